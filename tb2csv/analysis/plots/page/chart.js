/** A chart of the curves of one panel: axes, values under the pointer and for the keyboard, zoom. */

"use strict";

const HEIGHT = 260;
const MARGIN = { right: 12, top: 8, bottom: 36 };
/** The average width of a letter of a label, in pixels. */
const LETTER = 6.6;
/** Drags that are shorter than this number of pixels are clicks. */
const DRAG = 5;

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
    this.spoken = spokenNote();
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
      this.page.tip.hide();
    });
    this.svg.addEventListener("dblclick", () => this.zoom(this.panel.xlim, this.panel.ylim));
    this.svg.addEventListener("keydown", (event) => this.pressKey(event));
    this.svg.addEventListener("blur", () => this.page.tip.hide());
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    const [low, high] = this.xlim;
    const step = (high - low) / 50;
    const scaled = (/** @type {number} */ factor) => {
      const middle = this.cursor ?? (low + high) / 2;
      return /** @type {[number, number]} */ ([middle - (middle - low) * factor, middle + (high - middle) * factor]);
    };
    runAction(event, {
      ArrowLeft: () => this.moveCursor(Math.max(low, (this.cursor ?? high) - step)),
      ArrowRight: () => this.moveCursor(Math.min(high, (this.cursor ?? low) + step)),
      "+": () => this.zoom(scaled(0.5), this.ylim),
      "-": () => this.zoom(scaled(2), this.ylim),
      0: () => this.zoom(this.panel.xlim, this.panel.ylim),
      Escape: () => this.page.tip.hide(),
    });
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
    this.page.tip.hide();
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
  drawLine({ run, shape, x, y, width, dashes, opacity }) {
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
    const thick = width * 1.33;
    const look = {
      fill,
      stroke,
      "stroke-width": thick,
      "stroke-dasharray": dashes.map((each) => each * thick).join(" "),
    };
    return [drawing("path", { ...known, class: "run line", d: path, ...look })];
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
      this.page.tip.hide();
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
