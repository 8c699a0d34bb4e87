/** A plot of curves: its panels, and the list of runs, which can be hidden. */

"use strict";

/**
 * @typedef {Object} Line a curve, or single points
 * @property {number} run index of the run, -1 for the median of all
 * @property {"line" | "raw" | "lone" | "odd" | "band"} shape
 * @property {(number | null)[]} x null for a gap
 * @property {(number | null)[]} y
 * @property {number} width in points
 * @property {number[]} dashes lengths of dashes and gaps by turns, in widths; none for a solid line
 * @property {number} opacity
 *
 * @typedef {Object} Panel
 * @property {string} title
 * @property {string} x the title of the x axis
 * @property {boolean} isTime whether x is in days since 1970
 * @property {boolean} log
 * @property {[number, number]} xlim
 * @property {[number, number]} ylim
 * @property {Line[]} lines
 * @property {{run: number, value: number | null, text: string}[]} bars
 *
 * @typedef {Object} Plot
 * @property {string} folder what the names of all runs begin with
 * @property {{name: string, dashes: number[]}[]} runs with the dashes that a run has in all panels
 * @property {Panel[]} panels
 */

/** The maximum number of runs in the list under the pointer. */
const LISTED = 12;
/** The width of the line that a swatch shows, in pixels. */
const DASH = 1.5;

class Page {
  /** @param {Plot} plot */
  constructor(plot) {
    this.plot = plot;
    /** @type {Set<number>} */
    this.hidden = new Set();
    this.tip = new Tip();
    this.views = plot.panels.map((panel) => (panel.bars.length ? new Bars(this, panel) : new Chart(this, panel)));
    const panels = /** @type {HTMLElement} */ (document.querySelector(".panels"));
    panels.append(...this.views.map((view) => view.element));
    this.listRuns();
    this.draw();
    new ResizeObserver(() => this.draw()).observe(panels);
  }

  /** @param {number} run */
  colourOf(run) {
    return run < 0 ? "var(--text)" : `var(--run-${run})`;
  }

  /** @param {number} run */
  nameOf(run) {
    return run < 0 ? "median" : this.plot.runs[run].name;
  }

  /** @param {number} run */
  swatchOf(run) {
    const swatch = element("span", "swatch");
    const colour = this.colourOf(run);
    let end = 0;
    const stops = (run < 0 ? [] : this.plot.runs[run].dashes).map((length, number) => {
      const start = end;
      end += length * DASH;
      return `${number % 2 ? "transparent" : colour} ${start}px ${end}px`;
    });
    swatch.style.background = stops.length ? `repeating-linear-gradient(90deg, ${stops.join(", ")})` : colour;
    return swatch;
  }

  draw() {
    for (const view of this.views) view.draw();
  }

  /** @param {number | null} run whose curves are in front; null for all */
  point(run) {
    document.body.classList.toggle("is-pointed", run !== null);
    for (const each of document.querySelectorAll(".run")) {
      each.classList.toggle("is-shown", run !== null && each.getAttribute("data-run") === String(run));
    }
  }

  listRuns() {
    const list = /** @type {HTMLElement} */ (document.querySelector(".runs"));
    if (this.plot.folder) list.before(element("p", "note", this.plot.folder));
    const boxes = this.plot.runs.map((run, number) => {
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => {
        if (box.checked) this.hidden.delete(number);
        else this.hidden.add(number);
        this.draw();
      });
      const label = element("label", "", box, this.swatchOf(number), element("span", "name", run.name));
      label.addEventListener("pointerenter", () => this.point(number));
      label.addEventListener("pointerleave", () => this.point(null));
      list.append(element("li", "", label));
      return box;
    });
    for (const [id, on] of /** @type {[string, boolean][]} */ ([
      ["all", true],
      ["none", false],
    ])) {
      document.getElementById(id)?.addEventListener("click", () => {
        for (const box of boxes) box.checked = on;
        this.hidden = new Set(on ? [] : this.plot.runs.keys());
        this.draw();
      });
    }
  }

  /**
   * @param {string} title
   * @param {{run: number, text: string}[]} rows
   * @param {number} left
   * @param {number} top
   */
  showTip(title, rows, left, top) {
    const lines = rows
      .slice(0, LISTED)
      .map(({ run, text }) =>
        element("div", "", this.swatchOf(run), element("span", "name", this.nameOf(run)), element("b", "", text)),
      );
    if (rows.length > LISTED) lines.push(element("div", "note", `and ${rows.length - LISTED} more`));
    this.tip.show([element("div", "note", title), ...lines], left, top);
  }
}

class Bars {
  /**
   * @param {Page} page
   * @param {Panel} panel
   */
  constructor(page, panel) {
    this.page = page;
    this.panel = panel;
    this.rows = element("div", "");
    this.element = element("section", "panel", element("h2", "", panel.title), this.rows);
  }

  draw() {
    const { page } = this;
    const bars = this.panel.bars.filter(({ run }) => !page.hidden.has(run));
    const longest = Math.max(...bars.map(({ value }) => Math.abs(value ?? 0)), 0) || 1;
    this.rows.replaceChildren(
      ...bars.map(({ run, value, text }) => {
        const fill = element("span", "fill");
        fill.style.background = page.colourOf(run);
        fill.style.width = `${(80 * Math.abs(value ?? 0)) / longest}%`;
        const row = element(
          "div",
          "bar run",
          element("span", "name", page.nameOf(run)),
          element("span", "length", fill, text),
        );
        row.dataset.run = String(run);
        return row;
      }),
    );
  }
}
