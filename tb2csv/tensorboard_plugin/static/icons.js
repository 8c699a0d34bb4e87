/** The page's icons, drawn on a grid of 24 by 24. */

import { drawing } from "./elements.js";

/** @type {Object<string, string>} */
const PATHS = {
  search: "M10 4a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM14.5 14.5L20 20",
  chevron: "M9 5l7 7-7 7",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  copy: "M9 8h11v12H9zM5 16V4h11",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  check: "M5 12.5l4.5 4.5L19 7.5",
  warning: "M12 4L2.5 20h19zM12 10v5M12 17v1",
  close: "M6 6l12 12M18 6L6 18",
  tables: "M4 5h16v14H4zM4 10h16M4 14.5h16M10 10v9",
};

/**
 * Make a decorative icon: its meaning is also in the text beside it, or in the label of its button.
 *
 * @param {string} name one of PATHS
 * @returns {SVGElement}
 */
export function icon(name) {
  return drawing(
    "svg",
    { viewBox: "0 0 24 24", width: 18, height: 18, class: "icon", "aria-hidden": "true", focusable: "false" },
    drawing("path", { d: PATHS[name] }),
  );
}
