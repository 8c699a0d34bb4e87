/**
 * All series of the log directory, column by column, and the counts of a selection. A log directory may have a hundred
 * thousand series, so everything here is a pass over arrays of numbers.
 */

import { nameRanks } from "./name_order.js";

/**
 * @typedef {Object} Totals
 * @property {number} series
 * @property {number} rows
 * @property {number} bytes
 * @property {number} points
 * @property {number} shown maximum number of their points that TensorBoard shows
 *
 * @typedef {Object} Facets the counts that the lists show, and what is selected
 * @property {Float64Array} ofRun number of series in each run
 * @property {Float64Array} ofKind number of series of each kind in the chosen runs
 * @property {Float64Array} ofTag number of series of each tag in the chosen runs and kinds
 * @property {Int32Array} chosen indexes of the chosen series
 * @property {Totals} totals of the chosen series
 * @property {Uint8Array} runs 1 for each chosen run
 * @property {Uint8Array} kinds 1 for each chosen kind
 * @property {Uint8Array} tags 1 for each chosen tag
 */

export class SeriesIndex {
  /** @param {import("./api.js").FullIndex} answer */
  constructor(answer) {
    /** @type {string} */
    this.version = answer.version;
    /** @type {"scanning" | "ready" | "failed"} */
    this.state = answer.state;
    /** @type {import("./api.js").Progress | null} */
    this.progress = answer.progress ?? null;
    /** @type {import("./api.js").Refusal | null} */
    this.error = answer.error ?? null;
    /** @type {string[]} */
    this.runs = answer.runs;
    /** @type {string[]} */
    this.tags = answer.tags;
    /** @type {string[]} */
    this.kinds = answer.kinds;
    /** @type {number} */
    this.damage = answer.damage ?? 0;
    /** @type {string[]} */
    this.notes = answer.notes ?? [];
    const series = answer.series;
    this.run = Int32Array.from(series.run);
    this.tag = Int32Array.from(series.tag);
    this.kind = Int32Array.from(series.kind);
    this.points = Float64Array.from(series.points);
    this.rows = Float64Array.from(series.rows);
    this.bytes = Float64Array.from(series.bytes);
    /** NaN if TensorBoard does not show the series. */
    this.shown = Float64Array.from(series.shown, (count) => count ?? Number.NaN);
    this.length = this.run.length;
    /** The totals of all series. */
    this.totals = noTotals();
    for (let index = 0; index < this.length; index += 1) this.addTo(this.totals, index);
    /** @type {Map<string, Int32Array>} */
    this.orders = new Map();
  }

  /**
   * @param {number} index
   * @returns {{run: string, tag: string, kind: string}}
   */
  nameOf(index) {
    return { run: this.runs[this.run[index]], tag: this.tags[this.tag[index]], kind: this.kinds[this.kind[index]] };
  }

  /**
   * @param {{run: string, tag: string, kind: string}} name
   * @returns {number} the index of the series, -1 if it is missing
   */
  find(name) {
    const run = this.runs.indexOf(name.run);
    const tag = this.tags.indexOf(name.tag);
    const kind = this.kinds.indexOf(name.kind);
    for (let index = 0; index < this.length; index += 1) {
      if (this.run[index] === run && this.tag[index] === tag && this.kind[index] === kind) return index;
    }
    return -1;
  }

  /**
   * @param {Object<"runs" | "kinds" | "tags", {marks(names: string[]): Uint8Array}>} choices
   * @returns {Facets}
   */
  facets(choices) {
    const runs = choices.runs.marks(this.runs);
    const kinds = choices.kinds.marks(this.kinds);
    const tags = choices.tags.marks(this.tags);
    const ofRun = new Float64Array(this.runs.length);
    const ofKind = new Float64Array(this.kinds.length);
    const ofTag = new Float64Array(this.tags.length);
    const chosen = new Int32Array(this.length);
    const totals = noTotals();
    for (let index = 0; index < this.length; index += 1) {
      const run = this.run[index];
      const kind = this.kind[index];
      const tag = this.tag[index];
      ofRun[run] += 1;
      if (!runs[run]) continue;
      ofKind[kind] += 1;
      if (!kinds[kind]) continue;
      ofTag[tag] += 1;
      if (!tags[tag]) continue;
      chosen[totals.series] = index;
      this.addTo(totals, index);
    }
    return { ofRun, ofKind, ofTag, chosen: chosen.subarray(0, totals.series), totals, runs, kinds, tags };
  }

  /**
   * Sort series.
   *
   * @param {Int32Array} chosen
   * @param {string} order one of ORDERS
   * @returns {Int32Array} a new array
   */
  sorted(chosen, order) {
    const isChosen = new Uint8Array(this.length);
    for (const index of chosen) isChosen[index] = 1;
    return this.inOrder(order).filter((index) => isChosen[index]);
  }

  /**
   * @param {string} order
   * @returns {Int32Array} all series; sorted once, because ticks change more often than the index
   */
  inOrder(order) {
    const known = this.orders.get(order);
    if (known) return known;
    const byTag = nameRanks(this.tags);
    const byRun = nameRanks(this.runs);
    /** @type {Object<string, (one: number, other: number) => number>} */
    const comparisons = {
      tag: (one, other) =>
        byTag[this.tag[one]] - byTag[this.tag[other]] || byRun[this.run[one]] - byRun[this.run[other]],
      run: (one, other) =>
        byRun[this.run[one]] - byRun[this.run[other]] || byTag[this.tag[one]] - byTag[this.tag[other]],
      points: (one, other) => this.points[other] - this.points[one] || comparisons.tag(one, other),
    };
    const sorted = Int32Array.from(this.run.keys()).sort(comparisons[order]);
    this.orders.set(order, sorted);
    return sorted;
  }

  /**
   * @param {Totals} totals
   * @param {number} index
   */
  addTo(totals, index) {
    totals.series += 1;
    totals.rows += this.rows[index];
    totals.bytes += this.bytes[index];
    totals.points += this.points[index];
    totals.shown += Math.min(this.shown[index] || 0, this.points[index]);
  }
}

/** The orders of `SeriesIndex.sorted`, and their titles. */
export const ORDERS = { points: "Most points", tag: "Tag", run: "Run" };

/** @returns {Totals} */
function noTotals() {
  return { series: 0, rows: 0, bytes: 0, points: 0, shown: 0 };
}
