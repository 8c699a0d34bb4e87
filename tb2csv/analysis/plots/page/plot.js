/**
 * The script of a plot's page: curves that show their values, zoom and can be hidden. Names in logs are untrusted text:
 * all text goes through text nodes, and nothing parses HTML.
 */

"use strict";

/**
 * @typedef {Object} Line a curve, or single points
 * @property {number} run index of the run, -1 for the median of all
 * @property {"line" | "raw" | "lone" | "odd" | "band"} shape
 * @property {(number | null)[]} x null for a gap
 * @property {(number | null)[]} y
 * @property {number} width in points
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
 * @property {{name: string}[]} runs
 * @property {Panel[]} panels
 */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 260;
const MARGIN = { right: 12, top: 8, bottom: 36 };
/** The average width of a letter of a label, in pixels. */
const LETTER = 6.6;
/** The maximum number of runs in the list under the pointer. */
const LISTED = 12;
/** Drags that are shorter than this number of pixels are clicks. */
const DRAG = 5;

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

/**
 * Return a number as text with as many digits as the range of an axis needs.
 *
 * @param {number} value
 * @param {number} [span] the distance that should be visible in the text
 */
function numberText(value, span = 0) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(3).replace(/\.?0+e/, "e");
  const digits = span > 0 ? Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(span)))) : 6;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

/**
 * @param {number} days
 * @returns {string} a date and time in UTC
 */
function dateText(days) {
  const date = new Date(days * 86400000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace("T", " ").slice(0, 19);
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} most
 * @returns {number[]} round numbers between two ends
 */
function ticksBetween(low, high, most) {
  const rough = (high - low) / most;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough) ?? 10 * power;
  const ticks = [];
  for (let count = Math.ceil(low / step); count * step <= high + step * 1e-9; count += 1) ticks.push(count * step);
  return ticks;
}

/**
 * @param {number} low
 * @param {number} high
 * @returns {number[]} powers of ten, or their parts if there are few
 */
function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const parts = last - first > 3 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil((last - first) / 7));
  const ticks = [];
  for (let power = first; power <= last; power += every) for (const part of parts) ticks.push(part * 10 ** power);
  return ticks.filter((tick) => tick >= low && tick <= high);
}

/**
 * Show a box beside the pointer, within the window.
 *
 * @param {HTMLElement} tip
 * @param {number} left of the pointer
 * @param {number} top
 */
function placeTip(tip, left, top) {
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${left + 16 + width > innerWidth ? Math.max(0, left - width - 16) : left + 16}px`;
  tip.style.top = `${Math.max(0, Math.min(top - height / 2, innerHeight - height))}px`;
}

class Page {
  /** @param {Plot} plot */
  constructor(plot) {
    this.plot = plot;
    /** @type {Set<number>} */
    this.hidden = new Set();
    this.tip = element("div", "tip");
    this.tip.hidden = true;
    this.views = plot.panels.map((panel) => (panel.bars.length ? new Bars(this, panel) : new Chart(this, panel)));
    const panels = /** @type {HTMLElement} */ (document.querySelector(".panels"));
    panels.append(...this.views.map((view) => view.element));
    document.body.append(this.tip);
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
      const swatch = element("span", "swatch");
      swatch.style.background = this.colourOf(number);
      const label = element("label", "", box, swatch, element("span", "name", run.name));
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
    const lines = rows.slice(0, LISTED).map(({ run, text }) => {
      const swatch = element("span", "swatch");
      swatch.style.background = this.colourOf(run);
      return element("div", "", swatch, element("span", "name", this.nameOf(run)), element("b", "", text));
    });
    if (rows.length > LISTED) lines.push(element("div", "note", `and ${rows.length - LISTED} more`));
    this.tip.replaceChildren(element("div", "note", title), ...lines);
    placeTip(this.tip, left, top);
  }

  hideTip() {
    this.tip.hidden = true;
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

class Chart {
  /**
   * @param {Page} page
   * @param {Panel} panel
   */
  constructor(page, panel) {
    this.page = page;
    this.panel = panel;
    /** @type {[number, number]} */
    this.xlim = panel.xlim;
    /** @type {[number, number]} */
    this.ylim = panel.ylim;
    this.width = 0;
    /** The room for labels of values. */
    this.left = 40;
    /** The position under the pointer, or of the keyboard. @type {number | null} */
    this.cursor = null;
    this.id = `clip-${page.plot.panels.indexOf(panel)}`;
    this.svg = drawing("svg", {
      tabindex: 0,
      role: "img",
      "aria-label": `${panel.title}. Arrow keys show values, plus and minus zoom, 0 resets.`,
    });
    this.back = drawing("g");
    this.curves = drawing("g", { "clip-path": `url(#${this.id})` });
    this.front = drawing("g");
    this.svg.append(this.back, this.curves, this.front);
    this.reset = /** @type {HTMLButtonElement} */ (element("button", "", "Reset zoom"));
    this.reset.type = "button";
    this.reset.hidden = true;
    this.reset.addEventListener("click", () => this.zoom(panel.xlim, panel.ylim));
    this.spoken = element("p", "note");
    this.spoken.setAttribute("role", "status");
    this.element = element("section", "panel", element("h2", "", panel.title), this.svg, this.spoken, this.reset);
    this.listen();
  }

  listen() {
    /** @type {{x: number, y: number} | null} */
    let start = null;
    const place = (/** @type {MouseEvent} */ event) => {
      const box = this.svg.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    this.svg.addEventListener("pointerdown", (event) => {
      start = place(event);
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      const { x, y } = place(event);
      this.front.replaceChildren();
      if (start) this.drawSelection(start, { x, y });
      this.cursor = this.valueOfX(x);
      this.showValues(event.clientX, event.clientY);
    });
    this.svg.addEventListener("pointerup", (event) => {
      const end = place(event);
      if (start && Math.max(Math.abs(end.x - start.x), Math.abs(end.y - start.y)) > DRAG) this.zoomTo(start, end);
      start = null;
    });
    this.svg.addEventListener("pointerleave", () => {
      if (start) return;
      this.front.replaceChildren();
      this.page.hideTip();
    });
    this.svg.addEventListener("dblclick", () => this.zoom(this.panel.xlim, this.panel.ylim));
    this.svg.addEventListener("keydown", (event) => this.pressKey(event));
    this.svg.addEventListener("blur", () => this.page.hideTip());
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    const [low, high] = this.xlim;
    const step = (high - low) / 50;
    const scaled = (/** @type {number} */ factor) => {
      const middle = this.cursor ?? (low + high) / 2;
      return /** @type {[number, number]} */ ([middle - (middle - low) * factor, middle + (high - middle) * factor]);
    };
    /** @type {Object<string, () => void>} */
    const actions = {
      ArrowLeft: () => this.moveCursor(Math.max(low, (this.cursor ?? high) - step)),
      ArrowRight: () => this.moveCursor(Math.min(high, (this.cursor ?? low) + step)),
      "+": () => this.zoom(scaled(0.5), this.ylim),
      "-": () => this.zoom(scaled(2), this.ylim),
      0: () => this.zoom(this.panel.xlim, this.panel.ylim),
      Escape: () => this.page.hideTip(),
    };
    if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** @param {number} x */
  moveCursor(x) {
    this.cursor = x;
    this.front.replaceChildren();
    const box = this.svg.getBoundingClientRect();
    const rows = this.showValues(box.left + this.placeOfX(x), box.top + HEIGHT / 2);
    this.spoken.textContent = rows.map(({ run, text }) => `${this.page.nameOf(run)}: ${text}`).join("; ");
  }

  /** @param {number} value */
  placeOfX(value) {
    const [low, high] = this.xlim;
    return this.left + ((value - low) / (high - low || 1)) * (this.width - this.left - MARGIN.right);
  }

  /** @param {number} place */
  valueOfX(place) {
    const [low, high] = this.xlim;
    return low + ((place - this.left) / (this.width - this.left - MARGIN.right)) * (high - low);
  }

  /** @param {number} value */
  scaled(value) {
    return this.panel.log ? Math.log10(value) : value;
  }

  /** @param {number} value */
  placeOfY(value) {
    const [low, high] = this.ylim.map((end) => this.scaled(end));
    return MARGIN.top + (1 - (this.scaled(value) - low) / (high - low || 1)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  }

  /** @param {number} place */
  valueOfY(place) {
    const [low, high] = this.ylim.map((end) => this.scaled(end));
    const value = low + (1 - (place - MARGIN.top) / (HEIGHT - MARGIN.top - MARGIN.bottom)) * (high - low);
    return this.panel.log ? 10 ** value : value;
  }

  /**
   * @param {[number, number]} xlim
   * @param {[number, number]} ylim
   */
  zoom(xlim, ylim) {
    const [low, high] = this.panel.xlim;
    const [first, last] = [Math.max(low, xlim[0]), Math.min(high, xlim[1])];
    if (!(last - first > (high - low) * 1e-9)) return;
    this.xlim = [first, last];
    this.ylim = ylim;
    this.reset.hidden = this.xlim[0] === low && this.xlim[1] === high && this.ylim === this.panel.ylim;
    this.front.replaceChildren();
    this.page.hideTip();
    this.draw();
  }

  /**
   * @param {{x: number, y: number}} start
   * @param {{x: number, y: number}} end
   */
  zoomTo(start, end) {
    const [left, right] = [start.x, end.x].sort((one, other) => one - other);
    const [top, bottom] = [start.y, end.y].sort((one, other) => one - other);
    /** @type {[number, number]} */
    const xlim = right - left > DRAG ? [this.valueOfX(left), this.valueOfX(right)] : this.xlim;
    // A flat drag selects steps only, as in TensorBoard.
    this.zoom(xlim, bottom - top > 4 * DRAG ? [this.valueOfY(bottom), this.valueOfY(top)] : this.ylim);
  }

  /**
   * @param {{x: number, y: number}} start
   * @param {{x: number, y: number}} end
   */
  drawSelection(start, end) {
    const [x, y] = [Math.min(start.x, end.x), Math.min(start.y, end.y)];
    const [width, height] = [Math.abs(start.x - end.x), Math.abs(start.y - end.y)];
    const isFlat = height <= 4 * DRAG;
    this.front.append(
      drawing("rect", {
        class: "selection",
        x,
        y: isFlat ? MARGIN.top : y,
        width,
        height: isFlat ? HEIGHT - MARGIN.top - MARGIN.bottom : height,
      }),
    );
  }

  draw() {
    this.width = Math.max(200, this.element.clientWidth);
    this.svg.setAttribute("width", String(this.width));
    this.svg.setAttribute("height", String(HEIGHT));
    this.drawAxes();
    this.curves.replaceChildren(
      ...this.panel.lines.filter(({ run }) => !this.page.hidden.has(run)).flatMap((line) => this.drawLine(line)),
    );
  }

  drawAxes() {
    const { panel, width } = this;
    const ends = this.ylim;
    const yTicks = (panel.log ? logTicks(...ends) : ticksBetween(...ends, 5)).map((tick) => {
      const text = numberText(tick, panel.log ? tick : ends[1] - ends[0]);
      return { tick, text };
    });
    this.left = 16 + LETTER * Math.max(3, ...yTicks.map(({ text }) => text.length));
    const [right, bottom] = [width - MARGIN.right, HEIGHT - MARGIN.bottom];
    const clip = drawing("clipPath", { id: this.id });
    clip.append(
      drawing("rect", {
        x: this.left,
        y: MARGIN.top,
        width: right - this.left,
        height: bottom - MARGIN.top,
      }),
    );
    const parts = [clip];
    const write = (/** @type {string} */ text, /** @type {Object<string, string | number>} */ attributes) => {
      const label = drawing("text", attributes);
      label.textContent = text;
      parts.push(label);
    };
    for (const { tick, text } of yTicks) {
      const y = this.placeOfY(tick);
      parts.push(drawing("line", { class: "grid", x1: this.left, x2: right, y1: y, y2: y }));
      write(text, { x: this.left - 6, y: y + 4, "text-anchor": "end" });
    }
    const most = Math.max(2, Math.floor((right - this.left) / 90));
    for (const tick of ticksBetween(...this.xlim, most)) {
      const x = this.placeOfX(tick);
      parts.push(drawing("line", { class: "grid", x1: x, x2: x, y1: MARGIN.top, y2: bottom }));
      const text = panel.isTime
        ? dateText(tick).slice(...(this.xlim[1] - this.xlim[0] < 2 ? [11, 19] : [0, 10]))
        : numberText(tick, this.xlim[1] - this.xlim[0]);
      write(text, { x, y: bottom + 14, "text-anchor": "middle" });
    }
    parts.push(drawing("line", { class: "axis", x1: this.left, x2: right, y1: bottom, y2: bottom }));
    write(panel.x, { x: (this.left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" });
    this.back.replaceChildren(...parts);
  }

  /**
   * @param {Line} line
   * @returns {SVGElement[]}
   */
  drawLine({ run, shape, x, y, width, opacity }) {
    const colour = this.page.colourOf(run);
    const known = { class: "run", "data-run": run, opacity };
    const at = (/** @type {number} */ index) => {
      const [across, up] = [x[index], y[index]];
      if (across === null || up === null || (this.panel.log && up <= 0)) return null;
      return `${this.placeOfX(across).toFixed(1)} ${this.placeOfY(up).toFixed(1)}`;
    };
    if (shape === "lone" || shape === "odd") {
      return x.flatMap((_, index) => {
        const place = at(index);
        if (!place) return [];
        const form = shape === "lone" ? "M-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0z" : "M0 -5l4.5 8h-9z";
        return [drawing("path", { ...known, d: form, fill: colour, transform: `translate(${place})` })];
      });
    }
    let path = "";
    let isGap = true;
    for (let index = 0; index < x.length; index += 1) {
      const place = at(index);
      if (place) path += `${isGap ? "M" : "L"}${place}`;
      isGap = !place;
    }
    if (!path) return [];
    const fill = shape === "band" ? colour : "none";
    const stroke = shape === "band" ? "none" : colour;
    return [drawing("path", { ...known, class: "run line", d: path, fill, stroke, "stroke-width": width * 1.33 })];
  }

  /**
   * Show the values of all shown runs nearest to the cursor.
   *
   * @param {number} left of the pointer
   * @param {number} top
   * @returns {{run: number, text: string}[]}
   */
  showValues(left, top) {
    const { cursor, panel } = this;
    if (cursor === null || cursor < this.xlim[0] || cursor > this.xlim[1]) {
      this.page.hideTip();
      return [];
    }
    const found = [];
    const box = this.svg.getBoundingClientRect();
    for (const { run, shape, x, y } of panel.lines) {
      if ((shape !== "line" && shape !== "lone") || this.page.hidden.has(run)) continue;
      let nearest = -1;
      for (let index = 0; index < x.length; index += 1) {
        if (x[index] === null || y[index] === null) continue;
        const isNearer =
          nearest < 0 ||
          Math.abs(/** @type {number} */ (x[index]) - cursor) < Math.abs(/** @type {number} */ (x[nearest]) - cursor);
        if (isNearer) nearest = index;
      }
      if (nearest < 0) continue;
      found.push({
        run,
        x: /** @type {number} */ (x[nearest]),
        y: /** @type {number} */ (y[nearest]),
      });
    }
    if (!found.length) return [];
    const best = found.reduce((one, other) => (Math.abs(other.x - cursor) < Math.abs(one.x - cursor) ? other : one));
    const place = this.placeOfX(best.x);
    this.front.append(
      drawing("line", { class: "cursor", x1: place, x2: place, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
    );
    const height = top - box.top;
    const byDistance = (/** @type {{y: number}} */ one, /** @type {{y: number}} */ other) =>
      Math.abs(this.placeOfY(one.y) - height) - Math.abs(this.placeOfY(other.y) - height);
    const rows = found.sort(byDistance).map(({ run, x, y }) => ({
      run,
      text: numberText(y, Math.abs(y) / 1000) + (x === best.x ? "" : ` at ${this.xText(x)}`),
    }));
    this.page.showTip(`${panel.x} ${this.xText(best.x)}`, rows, left, top);
    return rows.slice(0, LISTED);
  }

  /** @param {number} x */
  xText(x) {
    return this.panel.isTime ? dateText(x) : numberText(x, (this.xlim[1] - this.xlim[0]) / 100);
  }
}
