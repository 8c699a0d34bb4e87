/** The page without tables: while it loads, if there is nothing to export, and after an error. */

import { element } from "./elements.js";
import { icon } from "./icons.js";
import { formatBytes, share } from "./numbers.js";

/**
 * @param {import("./api.js").Progress | null} progress of the first scan, if known
 * @returns {HTMLElement}
 */
export function loadingState(progress) {
  const text = progress && progress.total > 0 ? progressText(progress) : "Scanning the event files.";
  return state(
    { role: "status" },
    element("div", { class: "spinner", "aria-hidden": "true" }),
    element("h1", { class: "state-title" }, "Reading the log directory"),
    element("p", {}, text),
  );
}

/**
 * @param {string[]} notes from the server
 * @returns {HTMLElement}
 */
export function emptyState(notes) {
  return state(
    {},
    icon("tables"),
    element("h1", { class: "state-title" }, "Nothing to export yet"),
    element("p", {}, "TensorBoard's log directory has no event files with data. Likely reasons:"),
    element(
      "ul",
      {},
      element("li", {}, "Training has not written anything yet. Reload later with the button at the top of the page."),
      element("li", {}, "The path after --logdir is not the folder that the training writes to."),
    ),
    ...notes.map((note) => element("p", { class: "secondary" }, note)),
  );
}

/**
 * @param {string} title
 * @param {string} message
 * @param {() => void} again
 * @returns {HTMLElement}
 */
export function errorState(title, message, again) {
  return state(
    { role: "alert" },
    icon("warning"),
    element("h1", { class: "state-title" }, title),
    element("p", {}, message),
    element("button", { type: "button", class: "button primary", onclick: again }, "Try again"),
  );
}

/**
 * @param {import("./api.js").Progress} progress
 * @returns {string}
 */
export function progressText({ bytes, total }) {
  return `${formatBytes(bytes)} of ${formatBytes(total)} read (${Math.floor(100 * share(bytes, total))} %)`;
}

/**
 * @param {Object<string, string>} attributes
 * @param {...import("./elements.js").Child} children
 * @returns {HTMLElement}
 */
function state(attributes, ...children) {
  return element("main", { class: "state-page" }, element("div", { class: "state", ...attributes }, ...children));
}
