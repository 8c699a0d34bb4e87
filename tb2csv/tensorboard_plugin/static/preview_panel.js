/** The preview of one table: its first and last rows, a chart, and how much of it TensorBoard shows. */

import { getPreview, isAbort } from "./api.js";
import { chart } from "./chart.js";
import { element, replace } from "./elements.js";
import { kindTitle } from "./kinds_panel.js";
import { counted, formatCount, share } from "./numbers.js";
import { comparison } from "./series_list.js";

/** @typedef {{run: string, tag: string, kind: string}} SeriesName */

const SERIES_COLOUR = "var(--series-colour)";

export class PreviewPanel {
  /**
   * @param {{save: (name: SeriesName, format: string) => void, copy: (name: SeriesName) => void}} actions
   */
  constructor(actions) {
    this.actions = actions;
    /** @type {SeriesName | null} */
    this.name = null;
    this.colour = "";
    this.body = element("div", { class: "preview-body" });
    this.element = element(
      "section",
      { class: "card preview-card", "aria-labelledby": "preview-title" },
      element("div", { class: "card-heading" }, element("h2", { id: "preview-title" }, "Preview")),
      this.body,
    );
    this.clear();
  }

  /** Show no series. */
  clear() {
    this.stop();
    this.name = null;
    replace(
      this.body,
      element(
        "div",
        { class: "pane-empty" },
        element("p", { class: "empty-title" }, "No table to preview"),
        element("p", {}, "Select a table in the list to see its first and last rows."),
      ),
    );
  }

  /**
   * Read a series from the server and show it.
   *
   * @param {SeriesName} name
   * @param {string} colour of its run
   * @returns {Promise<void>}
   */
  async show(name, colour) {
    this.stop();
    const running = new AbortController();
    this.running = running;
    this.name = name;
    this.colour = colour;
    this.body.setAttribute("aria-busy", "true");
    // Keep the previous preview until the answer arrives, unless the user would notice the wait.
    const waiting = setTimeout(() => replace(this.body, this.heading(name), loading()), 150);
    try {
      const preview = await getPreview(name, running.signal);
      if (running.signal.aborted) return;
      replace(this.body, this.heading(name), ...this.content(preview));
    } catch (error) {
      if (isAbort(error)) return;
      replace(this.body, this.heading(name), this.failure(error));
    } finally {
      clearTimeout(waiting);
      if (this.running === running) this.body.removeAttribute("aria-busy");
    }
  }

  stop() {
    this.running?.abort();
  }

  /**
   * Change the colour of the series: TensorBoard's colours load after the page, and new runs may change them.
   *
   * @param {string} colour
   */
  recolour(colour) {
    this.colour = colour;
    this.body.style.setProperty("--series-colour", colour);
  }

  /** @param {SeriesName} name */
  heading({ run, tag, kind }) {
    this.recolour(this.colour);
    const dot = element("span", { class: "dot" });
    dot.style.background = SERIES_COLOUR;
    return element(
      "header",
      { class: "preview-heading" },
      element("h3", { title: tag }, tag || "(no name)"),
      element(
        "p",
        { class: "series-run" },
        dot,
        element("span", { class: "name", title: run }, `${run} · ${kindTitle(kind)}`),
      ),
    );
  }

  /** @param {import("./api.js").Preview} preview */
  content(preview) {
    const name = { run: preview.run, tag: preview.tag, kind: preview.kind };
    const shown = Math.min(preview.shown ?? 0, preview.points);
    const sampling = comparison(shown, preview.points);
    const bar = element("span", { class: "share-bar", "aria-hidden": "true" }, element("span", {}));
    /** @type {HTMLElement} */ (bar.firstElementChild).style.width =
      `${Math.max(0.5, 100 * share(shown, preview.points))}%`;
    const button = (/** @type {string} */ text, /** @type {() => void} */ act) =>
      element("button", { type: "button", class: "button", onclick: act }, text);
    return [
      element(
        "div",
        { class: "preview-facts" },
        element("p", { class: "secondary" }, `${sampling.text}.`),
        bar,
        element("p", { class: "secondary" }, `The table has ${counted(preview.rows, "row")}.`),
      ),
      preview.chart && preview.chart.step.length > 1 && chart(preview.chart, SERIES_COLOUR),
      rowsTable(preview),
      element(
        "div",
        { class: "preview-actions" },
        button("CSV", () => this.actions.save(name, "csv")),
        button("Parquet", () => this.actions.save(name, "parquet")),
        button("Copy", () => this.actions.copy(name)),
      ),
    ];
  }

  /** @param {unknown} error */
  failure(error) {
    const again = () => this.name && this.show(this.name, this.colour);
    return element(
      "div",
      { class: "pane-empty", role: "alert" },
      element("p", { class: "empty-title" }, "Could not show this table"),
      element("p", {}, error instanceof Error ? error.message : String(error)),
      element("button", { type: "button", class: "button", onclick: again }, "Try again"),
    );
  }
}

/** @param {import("./api.js").Preview} preview */
function rowsTable({ columns, first, last, rows }) {
  const between = rows - first.length - last.length;
  const isNumber = columns.map((_, place) => [...first, ...last].every((cells) => looksLikeNumber(cells[place])));
  const tableRow = (/** @type {any[]} */ cells) =>
    element("tr", {}, ...cells.map((cell, place) => tableCell(cell, isNumber[place])));
  const body = element("tbody", {}, ...first.map(tableRow));
  if (between > 0) {
    const text = `${formatCount(between)} more ${between === 1 ? "row" : "rows"}`;
    body.append(element("tr", { class: "rows-omitted" }, element("td", { colspan: columns.length }, text)));
  }
  body.append(...last.map(tableRow));
  const titles = columns.map((name, place) =>
    element("th", { scope: "col", class: isNumber[place] && "is-number" }, name),
  );
  const head = element("thead", {}, element("tr", {}, ...titles));
  const caption = between > 0 ? "First and last rows" : "All rows";
  return element(
    "div",
    { class: "rows-scroll", tabindex: "0", role: "region", "aria-label": `${caption} of the table` },
    element("table", { class: "rows" }, element("caption", { class: "visually-hidden" }, caption), head, body),
  );
}

/**
 * @param {any} cell
 * @returns {boolean} true also for numbers that JSON has only as text
 */
function looksLikeNumber(cell) {
  return cell === null || typeof cell === "number" || /^(NaN|-?Infinity|-?\d+)$/.test(String(cell));
}

/**
 * @param {any} cell
 * @param {boolean} isNumber
 */
function tableCell(cell, isNumber) {
  if (cell === null || cell === undefined) return element("td", {});
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  return element("td", { class: isNumber && "is-number", title: text.length > 24 ? text.slice(0, 1000) : null }, text);
}

function loading() {
  return element(
    "div",
    { class: "skeleton", "aria-label": "Loading the preview", role: "status" },
    ...Array.from({ length: 6 }, () => element("span", {})),
  );
}
