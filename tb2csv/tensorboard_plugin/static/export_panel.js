/** The export card: the size of the selection, the export buttons, the options and the command. */

import { ApiError, asArchiveIfNeeded, isAbort, postPlan } from "./api.js";
import { copyText } from "./clipboard.js";
import { element, replace, setAttribute, setText } from "./elements.js";
import { icon } from "./icons.js";
import { counted, formatBytes, formatCount } from "./numbers.js";

/** How long to wait for another tick before the page requests the size of a selection, in milliseconds. */
const PATIENCE = 200;

/**
 * @typedef {Object} ExportActions
 * @property {() => void} all
 * @property {() => void} selection
 * @property {() => void} hparams
 * @property {() => string} link returns a link to the selection
 * @property {(text: string) => void} announce
 */

export class ExportPanel {
  /**
   * @param {import("./export_options.js").ExportOptions} options
   * @param {ExportActions} actions
   */
  constructor(options, actions) {
    this.actions = actions;
    this.figures = element("p", { class: "figures" });
    this.note = element("p", { class: "figures-note" });
    this.all = exportButton("Export all", "button", actions.all);
    this.selection = exportButton("Export selection", "button primary", actions.selection);
    this.hparams = exportButton("HParams", "button", actions.hparams);
    setText(this.hparams.size, "one table as CSV");
    this.command = element("code", { class: "command-text", id: "command-text" });
    this.commandRow = element(
      "div",
      { class: "command-row" },
      element("span", { class: "command-label", id: "command-label" }, "Same on the command line"),
      element(
        "div",
        { class: "command", tabindex: "0", role: "region", "aria-labelledby": "command-label" },
        this.command,
      ),
      this.copyButton("copy", "Copy command", () => this.command.textContent ?? ""),
      this.copyButton("link", "Copy link", actions.link),
    );
    this.element = element(
      "section",
      { class: "card export-card", "aria-labelledby": "export-title" },
      element("h2", { class: "visually-hidden", id: "export-title" }, "Export"),
      element(
        "div",
        { class: "export-top" },
        element("div", { class: "export-figures" }, this.figures, this.note),
        element("div", { class: "export-buttons" }, this.hparams.button, this.all.button, this.selection.button),
      ),
      options.element,
      this.commandRow,
    );
  }

  /**
   * @param {import("./series_index.js").SeriesIndex} index
   * @param {import("./series_index.js").Facets} facets
   * @param {import("./api.js").ExportRequest} request for the selection
   * @param {import("./api.js").ExportRequest} everything request for all series
   */
  update(index, facets, request, everything) {
    const { totals } = facets;
    const isNothing = totals.series === 0;
    this.hparams.button.hidden = !index.kinds.includes("hparams");
    setReason(this.selection, isNothing ? "Nothing is selected." : null);
    setText(this.note, isNothing ? "Tick runs, kinds and tags to export them." : comparisonOf(totals));
    this.commandRow.hidden = isNothing;
    // The page's own estimate is shown until the server answers: only the server knows the effect of layout and format.
    this.showSelection(totals.series, "series", "series", totals);
    this.figures.classList.add("is-preliminary");
    const known = `${index.version} ${JSON.stringify(everything)}`;
    if (this.knownOfAll !== known)
      setText(this.all.size, sizeOf(index.totals.series, "series", "series", index.totals));
    clearTimeout(this.waiting);
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.waiting = setTimeout(async () => {
      if (!isNothing) await this.planSelection(request, asking.signal);
      if (this.knownOfAll !== known && !asking.signal.aborted) await this.planAll(everything, known, asking.signal);
    }, PATIENCE);
  }

  /**
   * @param {import("./api.js").ExportRequest} request
   * @param {AbortSignal} signal
   */
  async planSelection(request, signal) {
    try {
      const plan = await asArchiveIfNeeded(postPlan, request, signal);
      this.showSelection(plan.tables, "table", "tables", plan);
      this.figures.classList.remove("is-preliminary");
      this.command.classList.remove("is-problem");
      setReason(this.selection, null);
      setText(this.command, plan.command);
      this.actions.announce(`${counted(plan.tables, "table")}, ${counted(plan.rows, "row")} selected`);
    } catch (error) {
      if (isAbort(error)) return;
      const message = error instanceof Error ? error.message : String(error);
      this.command.classList.add("is-problem");
      setText(this.command, message);
      if (isRefusal(error)) setReason(this.selection, message);
    }
  }

  /**
   * @param {import("./api.js").ExportRequest} request
   * @param {string} known the index and the request that the answer belongs to
   * @param {AbortSignal} signal
   */
  async planAll(request, known, signal) {
    try {
      const plan = await asArchiveIfNeeded(postPlan, request, signal);
      setText(this.all.size, sizeOf(plan.tables, "table", "tables", plan));
      setReason(this.all, null);
      this.knownOfAll = known;
    } catch (error) {
      // The page's own estimate stays.
      if (!isRefusal(error)) return;
      setReason(this.all, error.message);
      this.knownOfAll = known;
    }
  }

  /**
   * @param {number} count
   * @param {string} one
   * @param {string} many
   * @param {{rows: number, bytes: number}} amount
   */
  showSelection(count, one, many, { rows, bytes }) {
    const figure = (/** @type {string} */ number, /** @type {string} */ what) => [element("b", {}, number), ` ${what}`];
    replace(
      this.figures,
      ...figure(formatCount(count), count === 1 ? one : many),
      element("span", { class: "figures-gap" }),
      ...figure(formatCount(rows), rows === 1 ? "row" : "rows"),
      element("span", { class: "figures-gap" }),
      "about ",
      element("b", {}, formatBytes(bytes)),
    );
    setText(this.selection.size, count ? sizeOf(count, one, many, { bytes }) : "nothing selected");
  }

  /**
   * @param {string} picture
   * @param {string} text
   * @param {() => string} content
   */
  copyButton(picture, text, content) {
    const label = element("span", {}, text);
    const press = async () => {
      const done = await copyText(content());
      setText(label, done ? "Copied" : "Not allowed");
      this.actions.announce(done ? "Copied" : "The browser does not let this page use the clipboard.");
      setTimeout(() => setText(label, text), 2000);
    };
    return element("button", { type: "button", class: "button small", onclick: press }, icon(picture), label);
  }
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} many
 * @param {{bytes: number}} amount
 * @returns {string} the second line of a button
 */
function sizeOf(count, one, many, { bytes }) {
  return `${counted(count, one, many)}, about ${formatBytes(bytes)}`;
}

/**
 * @param {import("./series_index.js").Totals} totals
 * @returns {string}
 */
function comparisonOf({ shown, points }) {
  if (shown >= points) return "Every point is exported; nothing is sampled.";
  return `TensorBoard shows ${formatCount(shown)} of these ${counted(points, "point")}; the export has every one.`;
}

/**
 * Disable the button of an export that cannot be made, and say why; null enables it.
 *
 * @param {{button: HTMLElement}} exporting
 * @param {string | null} reason
 */
function setReason({ button }, reason) {
  setAttribute(button, "aria-disabled", reason === null ? null : "true");
  setAttribute(button, "title", reason);
}

/**
 * @param {unknown} error
 * @returns {error is ApiError} whether the server would refuse the export as well
 */
function isRefusal(error) {
  return error instanceof ApiError && error.code === "refused";
}

/**
 * Make a button with the size of the export below its name. If there is nothing to export, the keyboard still reaches
 * the button, and its title says why.
 *
 * @param {string} text
 * @param {string} style
 * @param {() => void} act
 */
function exportButton(text, style, act) {
  const size = element("span", { class: "button-size" });
  const press = () => {
    if (!button.hasAttribute("aria-disabled")) act();
  };
  const button = element(
    "button",
    { type: "button", class: `${style} tall`, onclick: press },
    icon("download"),
    element("span", { class: "button-lines" }, element("span", {}, text), size),
  );
  return { button, size };
}
