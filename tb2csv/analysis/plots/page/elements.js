/**
 * Elements of the page, the box beside the pointer, and keys. Names in logs are untrusted text: all text goes through
 * text nodes, and nothing parses HTML.
 */

"use strict";

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} name
 * @param {Object<string, string | number>} [attributes]
 * @returns {SVGElement}
 */
function drawing(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/**
 * @param {string} name
 * @param {string} style
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
function element(name, style, ...children) {
  const made = document.createElement(name);
  if (style) made.className = style;
  made.append(...children);
  return made;
}

/** @returns {HTMLElement} a line whose text screen readers speak when it changes */
function spokenNote() {
  const made = element("p", "note");
  made.setAttribute("role", "status");
  return made;
}

/**
 * Run the action of a key, unless it is part of a shortcut of the browser.
 *
 * @param {KeyboardEvent} event
 * @param {Object<string, () => void>} actions by the name of the key
 */
function runAction(event, actions) {
  if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  actions[event.key]();
}

/** The box beside the pointer. */
class Tip {
  constructor() {
    this.element = element("div", "tip");
    this.element.hidden = true;
    document.body.append(this.element);
  }

  /**
   * Show lines beside the pointer, within the window.
   *
   * @param {HTMLElement[]} lines
   * @param {number} left of the pointer
   * @param {number} top
   */
  show(lines, left, top) {
    const box = this.element;
    box.replaceChildren(...lines);
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${left + 16 + width > innerWidth ? Math.max(0, left - width - 16) : left + 16}px`;
    box.style.top = `${Math.max(0, Math.min(top - height / 2, innerHeight - height))}px`;
  }

  hide() {
    this.element.hidden = true;
  }
}
