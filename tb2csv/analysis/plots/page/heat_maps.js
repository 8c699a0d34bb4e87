/** The values of the cells of heat maps, under the pointer and for the keyboard. The maps themselves are a drawing. */

"use strict";

/**
 * @typedef {Object} HeatMap a panel
 * @property {string} title
 * @property {[number, number, number, number]} place left, top, right and bottom, as fractions of the drawing
 * @property {[number, number]} xlim the ends of the x axis
 * @property {number[]} edges of the columns
 * @property {number[] | null} places of the columns; null if a column has several, and a cell is the highest of them
 * @property {(number | string | null)[][]} values by row and column; null for an empty cell
 *
 * @typedef {Object} Maps
 * @property {string} x the title of the x axis
 * @property {boolean} isTime whether places are in days since 1970
 * @property {string[]} rows
 * @property {HeatMap[]} maps
 *
 * @typedef {{map: HeatMap, row: number, column: number}} Cell
 */

class HeatMaps {
  /** @param {Maps} data */
  constructor(data) {
    this.data = data;
    this.svg = /** @type {SVGElement} */ (document.querySelector(".picture svg"));
    this.tip = new Tip();
    this.spoken = spokenNote();
    /** The cell that was shown last. @type {Cell | null} */
    this.cell = null;
    if (data.maps.length) this.listen();
  }

  listen() {
    const { svg } = this;
    svg.parentElement?.after(this.spoken);
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Heat maps. Arrow keys show the values of cells.");
    svg.addEventListener("pointermove", ({ clientX, clientY }) => {
      const box = svg.getBoundingClientRect();
      const cell = this.cellAt((clientX - box.left) / box.width, (clientY - box.top) / box.height);
      if (cell) this.show(cell, clientX, clientY);
      else this.tip.hide();
    });
    svg.addEventListener("pointerleave", () => this.tip.hide());
    svg.addEventListener("blur", () => this.tip.hide());
    svg.addEventListener("keydown", (event) =>
      runAction(event, {
        ArrowLeft: () => this.moveBy(0, -1),
        ArrowRight: () => this.moveBy(0, 1),
        ArrowUp: () => this.moveBy(-1, 0),
        ArrowDown: () => this.moveBy(1, 0),
        Escape: () => this.tip.hide(),
      }),
    );
  }

  /**
   * @param {number} x as a fraction of the drawing
   * @param {number} y
   * @returns {Cell | null}
   */
  cellAt(x, y) {
    for (const map of this.data.maps) {
      const [left, top, right, bottom] = map.place;
      if (x < left || x >= right || y < top || y >= bottom) continue;
      const [first, last] = map.xlim;
      const place = first + ((x - left) / (right - left)) * (last - first);
      const column = map.edges.findIndex((edge) => place < edge) - 1;
      const row = Math.floor(((y - top) / (bottom - top)) * this.data.rows.length);
      return column < 0 ? null : { map, row, column };
    }
    return null;
  }

  /**
   * Show the next cell; the first one if none was shown.
   *
   * @param {number} rows down
   * @param {number} columns to the right
   */
  moveBy(rows, columns) {
    const { map, row, column } = this.cell ?? { map: this.data.maps[0], row: -rows, column: -columns };
    const within = (/** @type {number} */ value, /** @type {number} */ count) =>
      Math.max(0, Math.min(value, count - 1));
    const cell = {
      map,
      row: within(row + rows, this.data.rows.length),
      column: within(column + columns, map.edges.length - 1),
    };
    const box = this.svg.getBoundingClientRect();
    const [left, top, right, bottom] = map.place;
    const [first, last] = map.xlim;
    const middle = (map.edges[cell.column] + map.edges[cell.column + 1]) / 2;
    const x = left + ((middle - first) / (last - first)) * (right - left);
    const y = top + ((cell.row + 0.5) / this.data.rows.length) * (bottom - top);
    this.spoken.textContent = this.show(cell, box.left + x * box.width, box.top + y * box.height);
  }

  /**
   * @param {Cell} cell
   * @param {number} left of the pointer
   * @param {number} top
   * @returns {string} what is shown
   */
  show(cell, left, top) {
    this.cell = cell;
    const { map, row, column } = cell;
    const value = map.values[row][column];
    const text =
      value === null ? "none" : typeof value === "string" ? value : numberText(value, Math.abs(value) / 1000);
    const place = map.places
      ? this.placeText(map, map.places[column])
      : `${this.placeText(map, map.edges[column])} to ${this.placeText(map, map.edges[column + 1])}, highest`;
    const lines = [`${this.data.x} ${place}`, ...(map.title ? [map.title] : [])];
    const tag = this.data.rows[row];
    const named = element("div", "", element("span", "name", tag), element("b", "", text));
    this.tip.show([...lines.map((line) => element("div", "note", line)), named], left, top);
    return `${lines.join(", ")}: ${tag}: ${text}`;
  }

  /**
   * @param {HeatMap} map
   * @param {number} place
   */
  placeText(map, place) {
    return this.data.isTime ? dateText(place) : numberText(place, (map.xlim[1] - map.xlim[0]) / 100);
  }
}
