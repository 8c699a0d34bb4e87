/** The kinds of data, with the number of their series in the chosen runs. */

import { element, setAttribute, setText } from "./elements.js";
import { counted, formatCount } from "./numbers.js";

/** @type {Object<string, string>} */
const TITLES = {
  scalars: "Scalars",
  histograms: "Histograms",
  histogram_stats: "Histogram statistics",
  tensors: "Tensors",
  text: "Text",
  images: "Images",
  audio: "Audio",
  hparams: "HParams",
  pr_curves: "PR curves",
  graphs: "Graphs",
  custom_scalars: "Custom scalars",
  meshes: "Meshes",
  blobs: "Other data",
};

/**
 * @param {string} kind
 * @returns {string} its title
 */
export function kindTitle(kind) {
  return TITLES[kind] ?? kind;
}

/**
 * @param {string[]} kinds
 * @returns {string[]} first the kinds that the page describes, the most common ones first, then the others
 */
function inOrder(kinds) {
  const known = Object.keys(TITLES).filter((kind) => kinds.includes(kind));
  return [...known, ...kinds.filter((kind) => !known.includes(kind))];
}

export class KindsPanel {
  /**
   * @param {import("./choice.js").Choice} choice
   * @param {() => void} changed called whenever the choice has changed
   */
  constructor(choice, changed) {
    this.choice = choice;
    this.changed = changed;
    /** @type {Map<string, {row: HTMLElement, box: HTMLInputElement, count: HTMLElement}>} */
    this.rows = new Map();
    this.summary = "";
    this.boxes = element("div", { class: "kind-rows" });
    this.element = element(
      "section",
      { class: "panel kinds-panel", role: "group", "aria-labelledby": "kinds-title" },
      element("div", { class: "heading-row" }, element("h2", { id: "kinds-title" }, "Kinds")),
      this.boxes,
    );
  }

  /**
   * @param {import("./series_index.js").SeriesIndex} index
   * @param {import("./series_index.js").Facets} facets
   */
  update(index, facets) {
    this.element.hidden = index.kinds.length === 0;
    for (const [kind, { row }] of this.rows) {
      if (index.kinds.includes(kind)) continue;
      row.remove();
      this.rows.delete(kind);
    }
    inOrder(index.kinds).forEach((kind, rank) => {
      const place = index.kinds.indexOf(kind);
      const { row, box, count } = this.rows.get(kind) ?? this.createRow(kind);
      if (this.boxes.children[rank] !== row) this.boxes.insertBefore(row, this.boxes.children[rank] ?? null);
      const number = facets.ofKind[place];
      box.checked = facets.kinds[place] === 1;
      setText(count, formatCount(number));
      setAttribute(count, "title", counted(number, "series", "series"));
      row.classList.toggle("is-void", number === 0);
    });
    const chosen = facets.kinds.reduce((sum, mark) => sum + mark, 0);
    this.summary = `${formatCount(chosen)} of ${counted(index.kinds.length, "kind")}`;
  }

  /** @param {string} kind */
  createRow(kind) {
    const box = /** @type {HTMLInputElement} */ (
      element("input", {
        type: "checkbox",
        onchange: () => {
          this.choice.set([kind], box.checked);
          this.changed();
        },
      })
    );
    const count = element("span", { class: "count" });
    const name = element("span", { class: "name", title: kindTitle(kind) }, kindTitle(kind));
    const row = element("label", { class: "kind-row" }, box, name, count);
    const made = { row, box, count };
    this.rows.set(kind, made);
    return made;
  }
}
