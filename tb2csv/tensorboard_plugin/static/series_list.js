/** The list of the selected series: how much of each TensorBoard shows, and buttons to export it. */

import { ORDERS } from "./series_index.js";
import { element, replace, setAttribute, setText } from "./elements.js";
import { kindTitle } from "./kinds_panel.js";
import { counted, formatCount } from "./numbers.js";
import { VirtualList } from "./virtual_list.js";

/**
 * @typedef {Object} SeriesActions
 * @property {(place: number) => void} preview place: of a series in the index
 * @property {(place: number, format: string) => void} save
 * @property {(place: number) => void} copy
 */

/**
 * Describe how much of a series TensorBoard shows.
 *
 * @param {number} shown NaN or null if it does not show the series
 * @param {number} points
 * @returns {{text: string, brief: string}} brief: without the number of points
 */
export function comparison(shown, points) {
  if (!shown) return { text: "TensorBoard does not show it", brief: "TensorBoard shows none" };
  const brief = `TensorBoard shows ${shown >= points ? "all" : formatCount(shown)}`;
  if (shown >= points) return { text: brief, brief };
  return { text: `${brief} of ${counted(points, "point")}`, brief };
}

export class SeriesList {
  /** @param {SeriesActions} actions */
  constructor(actions) {
    this.actions = actions;
    /** @type {Int32Array} */
    this.chosen = new Int32Array(0);
    /** @type {Int32Array} */
    this.order = this.chosen;
    this.current = -1;
    this.counts = element("span", { class: "heading-counts" });
    this.sort = /** @type {HTMLSelectElement} */ (
      element("select", { id: "series-order", onchange: () => this.arrange() })
    );
    for (const [order, title] of Object.entries(ORDERS)) this.sort.append(element("option", { value: order }, title));
    this.nothing = element("div", { class: "pane-empty" });
    this.nothing.hidden = true;
    const viewport = element("div", { class: "list-viewport" });
    this.element = element(
      "section",
      { class: "card series-card", "aria-labelledby": "series-title" },
      element(
        "div",
        { class: "card-heading" },
        element("h2", { id: "series-title" }, "Series"),
        this.counts,
        element("label", { class: "inline-field", for: "series-order" }, "Sort by"),
        this.sort,
      ),
      this.nothing,
      viewport,
    );
    this.list = new VirtualList(viewport, {
      rowHeight: 54,
      attributes: { role: "list", "aria-labelledby": "series-title" },
      create: () => this.createRow(),
      fill: (row, number, active) => this.fillRow(row, number, active),
      focusable: (row) => /** @type {HTMLElement} */ (row.querySelector("button")),
    });
  }

  /**
   * @param {import("./series_index.js").SeriesIndex} index
   * @param {import("./series_index.js").Facets} facets
   * @param {import("./palette.js").Palette} palette
   */
  update(index, facets, palette) {
    this.index = index;
    this.palette = palette;
    this.chosen = facets.chosen;
    this.arrange();
    setText(this.counts, `${formatCount(this.chosen.length)} of ${formatCount(index.length)}`);
    this.nothing.hidden = this.chosen.length > 0;
    replace(
      this.nothing,
      element("p", { class: "empty-title" }, "Nothing is selected"),
      element("p", {}, "Tick at least one run, one kind and one tag in the lists."),
    );
  }

  arrange() {
    if (!this.index) return;
    this.order = this.index.sorted(this.chosen, this.sort.value);
    this.list.show(this.order.length);
  }

  /** @returns {number} the place of the first series in the list, -1 if the list is empty */
  get first() {
    return this.order.length ? this.order[0] : -1;
  }

  /**
   * Mark the series whose preview is shown.
   *
   * @param {number} place of the series in the index, -1 for none
   * @param {boolean} scroll whether the list scrolls to it
   */
  mark(place, scroll) {
    this.current = place;
    const row = scroll ? this.order.indexOf(place) : -1;
    if (row >= 0) this.list.reveal(row);
    else this.list.layOut(true);
  }

  createRow() {
    const row = element("div", { class: "series-row", role: "listitem" });
    const at = () => this.order[Number(row.dataset.index)];
    const action = (/** @type {string} */ text, /** @type {() => void} */ act) =>
      element("button", { type: "button", class: "button small", onclick: act }, text);
    row.append(
      element(
        "button",
        { type: "button", class: "series-main", onclick: () => this.actions.preview(at()) },
        element("span", { class: "series-tag" }),
        element("span", { class: "series-points" }),
        element("span", { class: "series-run" }, element("span", { class: "dot" }), element("span", { class: "name" })),
        element("span", { class: "series-shown" }),
      ),
      element(
        "span",
        { class: "row-actions" },
        action("CSV", () => this.actions.save(at(), "csv")),
        action("Parquet", () => this.actions.save(at(), "parquet")),
        action("Copy", () => this.actions.copy(at())),
      ),
    );
    return row;
  }

  /**
   * @param {HTMLElement} row
   * @param {number} number of the row
   * @param {boolean} active
   */
  fillRow(row, number, active) {
    const place = this.order[number];
    const index = /** @type {import("./series_index.js").SeriesIndex} */ (this.index);
    const { run, tag, kind } = index.nameOf(place);
    const main = row.children[0];
    const [tagText, points, runText, shown] = /** @type {HTMLElement[]} */ ([...main.children]);
    const [dot, runName] = /** @type {HTMLElement[]} */ ([...runText.children]);
    const sampling = comparison(index.shown[place], index.points[place]);
    const pointsText = counted(index.points[place], "point");
    setText(tagText, tag || "(no name)");
    setText(points, pointsText);
    dot.style.background = this.palette?.colourOf(run) ?? "";
    setText(runName, `${run} · ${kindTitle(kind)}`);
    setText(shown, sampling.brief);
    setAttribute(main, "title", `${tag}\nRun ${run}\n${sampling.text}`);
    setAttribute(
      main,
      "aria-label",
      `Preview ${tag} of run ${run}: ${kindTitle(kind)}, ${pointsText}; ${sampling.text}`,
    );
    setAttribute(main, "aria-current", place === this.current ? "true" : null);
    row.classList.toggle("is-current", place === this.current);
    const [csv, parquet, copy] = row.querySelectorAll(".row-actions button");
    setAttribute(csv, "aria-label", `CSV of ${tag} of run ${run}`);
    setAttribute(parquet, "aria-label", `Parquet of ${tag} of run ${run}`);
    setAttribute(copy, "aria-label", `Copy ${tag} of run ${run} to the clipboard`);
    for (const button of row.querySelectorAll("button")) button.tabIndex = active ? 0 : -1;
    setAttribute(row, "aria-setsize", this.order.length);
    setAttribute(row, "aria-posinset", number + 1);
  }
}
