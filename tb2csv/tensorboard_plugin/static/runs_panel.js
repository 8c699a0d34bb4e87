/** The list of runs: check boxes, with TensorBoard's colours. */

import { inNameOrder } from "./name_order.js";
import { element, setAttribute, setText } from "./elements.js";
import { ListHeading } from "./list_heading.js";
import { counted, formatCount } from "./numbers.js";
import { VirtualList } from "./virtual_list.js";

export class RunsPanel {
  /**
   * @param {import("./choice.js").Choice} choice
   * @param {() => void} changed called whenever the choice has changed
   * @param {(matches: (name: string) => boolean) => void} filtered called whenever the filter has changed
   * @param {() => void} settle draws what has changed
   */
  constructor(choice, changed, filtered, settle) {
    this.choice = choice;
    this.changed = changed;
    this.settle = settle;
    /** @type {string[]} */
    this.runs = [];
    /** @type {number[]} */
    this.order = [];
    /** @type {number[]} */
    this.listed = [];
    this.heading = new ListHeading(
      "Runs",
      { one: "run", many: "runs" },
      {
        all: () => this.tick(true),
        none: () => this.tick(false),
        only: () => this.change(() => this.choice.only(this.listedNames())),
        filter: filtered,
      },
    );
    const viewport = element("div", { class: "list-viewport" });
    this.element = element(
      "section",
      { class: "panel runs-panel", "aria-labelledby": "runs-title" },
      this.heading.element,
      this.heading.nothing,
      viewport,
    );
    this.list = new VirtualList(viewport, {
      rowHeight: 32,
      attributes: { role: "list", "aria-labelledby": "runs-title" },
      create: () => this.createRow(),
      fill: (row, index, active) => this.fillRow(row, index, active),
      focusable: (row) => /** @type {HTMLElement} */ (row.querySelector("input")),
    });
  }

  /**
   * @param {import("./series_index.js").SeriesIndex} index
   * @param {import("./series_index.js").Facets} facets
   * @param {import("./palette.js").Palette} palette
   */
  update(index, facets, palette) {
    if (this.runs !== index.runs) {
      this.runs = index.runs;
      this.order = inNameOrder(this.runs.keys(), (run) => this.runs[run]);
    }
    this.facets = facets;
    this.palette = palette;
    this.refresh();
  }

  refresh() {
    if (!this.facets) return;
    this.listed = this.order.filter((run) => this.heading.matches(this.runs[run]));
    const chosen = count(this.order, this.facets.runs);
    this.heading.update({
      chosen,
      total: this.runs.length,
      listed: this.listed.length,
      unlisted: this.order.filter((run) => this.choice.has(this.runs[run])).length - chosen,
      nothing: "No runs found yet.",
    });
    this.list.show(this.listed.length);
  }

  /** @returns {string} such as "3 of 7 runs" */
  get summary() {
    return this.heading.summary;
  }

  createRow() {
    const row = element("div", { class: "list-row run-row", role: "listitem" });
    const box = element("input", {
      type: "checkbox",
      onchange: () =>
        this.change(() => this.choice.set([this.nameAt(row)], /** @type {HTMLInputElement} */ (box).checked)),
    });
    const only = element(
      "button",
      {
        type: "button",
        class: "only-button",
        onclick: () => this.change(() => this.choice.only([this.nameAt(row)])),
      },
      "only",
    );
    row.append(
      element("label", {}, box, element("span", { class: "dot" }), element("span", { class: "name" })),
      element("span", { class: "count" }),
      only,
    );
    return row;
  }

  /**
   * @param {HTMLElement} row
   * @param {number} index
   * @param {boolean} active
   */
  fillRow(row, index, active) {
    const run = this.listed[index];
    const name = this.runs[run];
    const [label, series, only] = /** @type {HTMLElement[]} */ ([...row.children]);
    const [box, dot, text] = /** @type {HTMLElement[]} */ ([...label.children]);
    const input = /** @type {HTMLInputElement} */ (box);
    input.checked = this.facets?.runs[run] === 1;
    input.tabIndex = active ? 0 : -1;
    only.tabIndex = active ? 0 : -1;
    setAttribute(only, "aria-label", `Only run ${name}`);
    dot.style.background = this.palette?.colourOf(name) ?? "";
    setText(text, name);
    setAttribute(label, "title", name);
    const number = this.facets?.ofRun[run] ?? 0;
    setText(series, formatCount(number));
    setAttribute(series, "title", counted(number, "series", "series"));
    setAttribute(row, "aria-setsize", this.listed.length);
    setAttribute(row, "aria-posinset", index + 1);
  }

  /**
   * @param {HTMLElement} row
   * @returns {string}
   */
  nameAt(row) {
    return this.runs[this.listed[Number(row.dataset.index)]];
  }

  listedNames() {
    this.settle();
    return this.listed.map((run) => this.runs[run]);
  }

  /** @param {boolean} on */
  tick(on) {
    this.change(() => {
      if (this.heading.isFiltering) this.choice.set(this.listedNames(), on);
      else if (on) this.choice.everything();
      else this.choice.only([]);
    });
  }

  /** @param {() => void} act */
  change(act) {
    act();
    this.changed();
  }
}

/**
 * @param {number[]} places
 * @param {Uint8Array} marks
 * @returns {number} the number of marked places
 */
function count(places, marks) {
  return places.reduce((sum, place) => sum + marks[place], 0);
}
