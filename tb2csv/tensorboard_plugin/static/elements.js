/**
 * DOM building. Names from event files are untrusted text: all text goes through the text nodes and attributes made
 * here, and no module of this page parses HTML.
 */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Make an element. Attributes that are false, null or undefined are left out, true makes an empty attribute, and
 * functions become event listeners: `onclick`.
 *
 * @param {string} name
 * @param {Object<string, any>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  assign(made, attributes);
  append(made, children);
  return made;
}

/**
 * Make an SVG element, with the arguments of `element`.
 *
 * @param {string} name
 * @param {Object<string, any>} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  assign(made, attributes);
  append(made, children);
  return made;
}

/**
 * Replace all children of a node.
 *
 * @param {Element} parent
 * @param {...Child} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * Set an attribute only if it changes, so that screen readers and styles are not disturbed.
 *
 * @param {Element} target
 * @param {string} name
 * @param {string | number | boolean | null} value false and null remove it
 */
export function setAttribute(target, name, value) {
  if (value === null || value === false) {
    if (target.hasAttribute(name)) target.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (target.getAttribute(name) !== text) target.setAttribute(name, text);
}

/**
 * Set an element's text only if it changes.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * @param {Element} target
 * @param {Object<string, any>} attributes
 */
function assign(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") target.addEventListener(name.replace(/^on/, ""), value);
    else setAttribute(target, name, value ?? null);
  }
}

/**
 * @param {Element} parent
 * @param {Child[]} children
 */
function append(parent, children) {
  parent.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
}
