/** The page's elements: draws what the store holds, and turns clicks into changes of the store and into exports. */

import { element, replace, setAttribute, setText } from "./elements.js";
import { ExportPanel } from "./export_panel.js";
import { icon } from "./icons.js";
import { KindsPanel } from "./kinds_panel.js";
import { counted } from "./numbers.js";
import { Palette } from "./palette.js";
import { PreviewPanel } from "./preview_panel.js";
import { RunsPanel } from "./runs_panel.js";
import { SeriesList } from "./series_list.js";
import { emptyState, errorState, loadingState } from "./states.js";
import { TagsPanel } from "./tags_panel.js";

/**
 * @typedef {import("./series_index.js").Facets} Facets
 * @typedef {import("./series_index.js").SeriesIndex} SeriesIndex
 * @typedef {import("./preview_panel.js").SeriesName} SeriesName
 */

/** Maximum time between a change and its drawing, in milliseconds. */
const DRAW_WITHIN = 100;

export class View {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./export_options.js").ExportOptions} options
   * @param {import("./export_controller.js").ExportController} exports
   * @param {import("./notices.js").Notices} notices
   * @param {() => void} load reads the index again
   */
  constructor(store, options, exports, notices, load) {
    this.store = store;
    this.exports = exports;
    this.notices = notices;
    this.load = load;
    this.palette = new Palette([]);
    this.hasPendingRender = false;
    const changed = () => this.scheduleRender();
    const filter = (/** @type {"runs" | "tags"} */ list) => (/** @type {(name: string) => boolean} */ matches) => {
      store.filters[list] = matches;
      changed();
    };
    const settle = () => this.settle();
    this.runs = new RunsPanel(store.choices.runs, changed, filter("runs"), settle);
    this.kinds = new KindsPanel(store.choices.kinds, changed);
    this.tags = new TagsPanel(store.choices.tags, changed, filter("tags"), settle, (tag) => this.previewTag(tag));
    this.series = new SeriesList({
      preview: (place) => this.selectPreview(place, false),
      save: (place, format) => exports.startOne(this.nameOf(place), format),
      copy: (place) => this.copy(this.nameOf(place)),
    });
    this.preview = new PreviewPanel({
      save: (name, format) => exports.startOne(name, format),
      copy: (name) => this.copy(name),
    });
    this.exportPanel = new ExportPanel(options, {
      all: () => exports.start(store.request(true), "All series"),
      selection: () => {
        this.settle();
        exports.start(store.request(false), `Selection of ${counted(store.selectedCount, "series", "series")}`);
      },
      hparams: () => {
        this.settle();
        exports.start(store.hparamsRequest(), "Hyperparameters");
      },
      link: () => this.link(),
      announce: (text) => notices.announce(text),
    });
    // Seen on narrow pages only, on which the lists would push the export off the screen.
    this.listsSummary = element("span", { class: "secondary" });
    this.listsButton = element(
      "button",
      { type: "button", class: "lists-button", "aria-expanded": "false", "aria-controls": "lists" },
      icon("chevron"),
      "Choose what to export ",
      this.listsSummary,
    );
    this.listsButton.addEventListener("click", () => {
      const isOpen = this.listsButton.getAttribute("aria-expanded") === "true";
      setAttribute(this.listsButton, "aria-expanded", String(!isOpen));
    });
    this.workspace = this.createWorkspace();
    this.root = element("div", { class: "app" }, loadingState(null));
  }

  /** @returns {HTMLElement[]} the children of the document's body */
  get elements() {
    return [this.root, this.notices.spoken, this.notices.snackbar];
  }

  createWorkspace() {
    return element(
      "div",
      { class: "workspace" },
      element(
        "aside",
        { class: "sidebar", "aria-label": "What to export" },
        this.listsButton,
        element("div", { class: "lists", id: "lists" }, this.runs.element, this.kinds.element, this.tags.element),
      ),
      element(
        "main",
        { class: "content" },
        element("h1", { class: "visually-hidden" }, "Export"),
        this.notices.element,
        this.exportPanel.element,
        element("div", { class: "series-and-preview" }, this.series.element, this.preview.element),
        this.exports.panel.element,
      ),
    );
  }

  /** Draw the page with the browser's next frame, once for all changes until then. */
  scheduleRender() {
    if (this.hasPendingRender) return;
    this.hasPendingRender = true;
    // Browsers draw no frames for a page out of sight, but run its timers.
    requestAnimationFrame(() => this.settle());
    setTimeout(() => this.settle(), DRAW_WITHIN);
  }

  /** Draw changes that wait for the next frame: what acts on a list must not act on the one before them. */
  settle() {
    if (!this.hasPendingRender) return;
    this.hasPendingRender = false;
    this.render();
  }

  render() {
    const { store } = this;
    const { index } = store;
    if (!index) return;
    if (index.length === 0) {
      this.renderWithoutSeries(index);
      return;
    }
    if (!this.root.contains(this.workspace)) replace(this.root, this.workspace);
    const facets = store.updateFacets(index);
    this.runs.update(index, facets, this.palette);
    this.kinds.update(index, facets);
    this.tags.update(index, facets);
    setText(this.listsSummary, [this.runs, this.kinds, this.tags].map((list) => list.summary).join(", "));
    this.series.update(index, facets, this.palette);
    this.exportPanel.update(index, facets, store.request(false), store.request(true));
    this.notices.update(index);
    this.notices.showNotes(store.notes(index));
    this.keepPreview(index, facets);
  }

  /** @param {SeriesIndex} index */
  renderWithoutSeries(index) {
    if (index.state === "scanning") replace(this.root, loadingState(index.progress));
    else if (index.state === "ready") replace(this.root, emptyState(index.notes));
    else if (index.error?.code === "no_data") replace(this.root, emptyState([index.error.message]));
    else this.showLoadError(index.error?.message ?? "The log directory cannot be read.");
  }

  /** @param {string} message */
  showLoadError(message) {
    if (this.store.index?.length) {
      this.notices.showError(message);
      return;
    }
    const retry = () => {
      replace(this.root, loadingState(null));
      this.load();
    };
    replace(this.root, errorState("Could not list the series", message, retry));
  }

  /** @param {Palette} palette */
  setPalette(palette) {
    this.palette = palette;
    const { name } = this.preview;
    if (name) this.preview.recolour(palette.colourOf(name.run));
    this.scheduleRender();
  }

  /** @returns {string} a link to the selection */
  link() {
    this.settle();
    const { address, isShortened } = this.store.selectionLink();
    if (isShortened)
      this.notices.showHint("The selection is too long for a link. The link has the kinds, but not every name.");
    return address;
  }

  /** @param {SeriesName} name */
  copy(name) {
    const { index } = this.store;
    const place = index?.find(name) ?? -1;
    this.exports.copyOne(name, place >= 0 ? (index?.bytes[place] ?? 0) : 0);
  }

  /** @param {number} place */
  nameOf(place) {
    return /** @type {SeriesIndex} */ (this.store.index).nameOf(place);
  }

  /**
   * Keep the preview while its table is selected, else show the first selected table.
   *
   * @param {SeriesIndex} index
   * @param {Facets} facets
   */
  keepPreview(index, facets) {
    const { name } = this.preview;
    const place = name ? index.find(name) : -1;
    if (place >= 0 && facets.chosen.includes(place)) this.series.mark(place, false);
    else if (facets.chosen.length) this.selectPreview(this.series.first, false);
    else {
      this.preview.clear();
      this.series.mark(-1, false);
    }
  }

  /**
   * Read the preview again if its series has grown.
   *
   * @param {SeriesIndex} before the previous index
   */
  refreshPreview(before) {
    const { name } = this.preview;
    const { index } = this.store;
    if (!name || !index || index === before) return;
    const old = before.find(name);
    const now = index.find(name);
    if (now >= 0 && old >= 0 && index.points[now] !== before.points[old]) this.showPreview(now);
  }

  /**
   * @param {number} place of a series in the index
   * @param {boolean} scroll whether the list of series scrolls to it
   */
  selectPreview(place, scroll) {
    this.series.mark(place, scroll);
    this.showPreview(place);
  }

  /** @param {number} place */
  showPreview(place) {
    const name = this.nameOf(place);
    this.preview.show(name, this.palette.colourOf(name.run));
  }

  /** @param {string} tag the first series with this tag is shown */
  previewTag(tag) {
    const { index } = this.store;
    if (!index) return;
    const place = this.series.order.find((each) => index.tags[index.tag[each]] === tag);
    if (place === undefined) this.notices.showHint("Tick the tag to see its series.");
    else this.selectPreview(place, true);
  }
}
