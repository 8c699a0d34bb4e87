/** The page as a whole: what is known, what is ticked, and who is told when either changes. */

import { ApiError, getIndex, getOptions } from "./api.js";
import { Catalogue } from "./catalogue.js";
import { Choice, asked } from "./choice.js";
import { element, replace } from "./elements.js";
import { ExportOptions } from "./export_options.js";
import { ExportPanel } from "./export_panel.js";
import { Exporting } from "./exporting.js";
import { linkTo, linkedSelection, onDataReloaded, onLinkChanged, runsOfTensorBoard } from "./host.js";
import { KindsPanel } from "./kinds_panel.js";
import { recall, remember } from "./memory.js";
import { Notices } from "./notices.js";
import { counted } from "./numbers.js";
import { Palette } from "./palette.js";
import { PreviewPanel } from "./preview_panel.js";
import { RunsPanel } from "./runs_panel.js";
import { SeriesList } from "./series_list.js";
import { emptyState, errorState, loadingState } from "./states.js";
import { TagsPanel } from "./tags_panel.js";

/** Milliseconds between two looks at a scan that goes on. */
const PERIOD = 500;

/** Names in a link at the most: browsers and chats cut longer addresses. */
const LINK_LENGTH = 8000;

export class App {
  constructor() {
    const kept = recall("session", "selection") ?? {};
    this.choices = { runs: Choice.from(kept.runs), kinds: Choice.from(kept.kinds), tags: Choice.from(kept.tags) };
    this.palette = new Palette([]);
    /** @type {Catalogue | null} */
    this.catalogue = null;
    const changed = () => this.changed();
    this.notices = new Notices();
    this.options = new ExportOptions(changed);
    this.exporting = new Exporting(this.notices, () => this.options.value);
    this.runs = new RunsPanel(this.choices.runs, changed);
    this.kinds = new KindsPanel(this.choices.kinds, changed);
    this.tags = new TagsPanel(this.choices.tags, changed, (tag) => this.previewTag(tag));
    this.series = new SeriesList({
      preview: (index) => this.preview(index, false),
      save: (index, format) => this.exporting.startOne(this.nameOf(index), format),
      copy: (index) => this.copy(this.nameOf(index)),
    });
    this.previewed = new PreviewPanel({
      save: (name, format) => this.exporting.startOne(name, format),
      copy: (name) => this.copy(name),
    });
    this.exports = new ExportPanel(this.options, {
      all: () => this.exporting.start(this.request(true), "All series"),
      selection: () =>
        this.exporting.start(this.request(false), `Selection of ${counted(this.chosenSeries(), "series", "series")}`),
      hparams: () => this.exporting.start(this.hparamsRequest(), "Hyperparameters"),
      link: () => this.link(),
      announce: (text) => this.notices.announce(text),
    });
    this.workspace = element(
      "div",
      { class: "workspace" },
      element(
        "aside",
        { class: "sidebar", "aria-label": "What to export" },
        this.runs.element,
        this.kinds.element,
        this.tags.element,
      ),
      element(
        "main",
        { class: "content" },
        element("h1", { class: "visually-hidden" }, "Export"),
        this.notices.element,
        this.exports.element,
        this.exporting.panel.element,
        element("div", { class: "series-and-preview" }, this.series.element, this.previewed.element),
      ),
    );
    this.root = element("div", { class: "app" }, loadingState(null));
  }

  /** @param {HTMLElement} body */
  show(body) {
    body.append(this.root, this.notices.spoken, this.notices.passing);
  }

  /** Ask the server for all that the page needs, and follow TensorBoard from then on. */
  async start() {
    this.linked = linkedSelection();
    if (this.linked) this.takeLink(this.linked);
    onLinkChanged((linked) => {
      this.takeLink(linked);
      this.changed();
    });
    onDataReloaded(() => {
      this.colour();
      this.load();
    });
    this.colour();
    await this.load();
  }

  /** Take over the colours that TensorBoard gives to runs; those that it does not know have the ones behind. */
  async colour() {
    this.palette = new Palette(await runsOfTensorBoard());
    const { name } = this.previewed;
    if (name) this.previewed.recolour(this.palette.colourOf(name.run));
    this.changed();
  }

  /** Bring the index up to date: at the start, when TensorBoard has reloaded, and while a scan goes on. */
  async load() {
    this.loading?.abort();
    const loading = new AbortController();
    this.loading = loading;
    try {
      const options = this.hasOptions ? null : this.loadOptions();
      for (;;) {
        const begun = performance.now();
        const [answer] = await Promise.all([getIndex(this.catalogue?.version ?? null, loading.signal), options]);
        if (!answer.unchanged) this.take(new Catalogue(answer));
        else if (this.catalogue) this.catalogue.state = "ready";
        this.changed();
        if (this.catalogue?.state !== "scanning") return;
        // A large index takes its time to read and to show: the page must not do nothing else.
        const spent = performance.now() - begun;
        await new Promise((resolve) => {
          setTimeout(resolve, Math.max(PERIOD, 3 * spent));
        });
        if (loading.signal.aborted) return;
      }
    } catch (error) {
      if (loading.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.fail(error.message);
    }
  }

  async loadOptions() {
    const options = await getOptions();
    this.hasOptions = true;
    this.exporting.blobLimit = options.blob_limit;
    this.options.update(options);
    if (this.linked) this.options.take({ layout: this.linked.layout[0], format: this.linked.format[0] });
    this.exporting.resume();
  }

  /** @param {Catalogue} catalogue */
  take(catalogue) {
    const old = this.catalogue;
    this.catalogue = catalogue;
    const { name } = this.previewed;
    if (!name || !old) return;
    const before = old.find(name);
    const now = catalogue.find(name);
    if (now >= 0 && before >= 0 && catalogue.points[now] !== old.points[before]) this.showPreview(now);
  }

  /** @param {string} message */
  fail(message) {
    if (this.catalogue?.length) this.notices.complain(message);
    else
      replace(
        this.root,
        errorState("The series cannot be listed", message, () => this.retry()),
      );
  }

  retry() {
    replace(this.root, loadingState(null));
    this.load();
  }

  /** Something has changed: show it, once, with the browser's next picture. */
  changed() {
    if (this.isPending) return;
    this.isPending = true;
    // Frames out of sight get no pictures, but their turn with the timers.
    const draw = () => {
      if (!this.isPending) return;
      this.isPending = false;
      this.render();
    };
    requestAnimationFrame(draw);
    setTimeout(draw, 100);
  }

  render() {
    const { catalogue } = this;
    if (!catalogue || !this.hasOptions) return;
    if (catalogue.length === 0) {
      this.renderWithoutSeries(catalogue);
      return;
    }
    if (!this.root.contains(this.workspace)) replace(this.root, this.workspace);
    if (catalogue.state === "ready") this.forgetStrangers(catalogue);
    const facets = catalogue.facets(this.choices);
    this.facets = facets;
    this.runs.update(catalogue, facets, this.palette);
    this.kinds.update(catalogue, facets);
    this.tags.update(catalogue, facets);
    this.series.update(catalogue, facets, this.palette);
    this.exports.update(catalogue, facets, this.request(false), this.request(true));
    this.notices.update(catalogue);
    this.notices.remark(this.remarks(catalogue));
    this.keepPreview(catalogue, facets);
    remember("session", "selection", this.choices);
  }

  /** @param {Catalogue} catalogue */
  renderWithoutSeries(catalogue) {
    if (catalogue.state === "scanning") replace(this.root, loadingState(catalogue.progress));
    else if (catalogue.state === "ready") replace(this.root, emptyState(catalogue.notes));
    else if (catalogue.error?.code === "no_data") replace(this.root, emptyState([catalogue.error.message]));
    else this.fail(catalogue.error?.message ?? "The log directory cannot be read.");
  }

  /**
   * A selection that was kept from another log directory fits nothing here, and would leave the page empty.
   *
   * @param {Catalogue} catalogue
   */
  forgetStrangers(catalogue) {
    if (this.isChecked) return;
    this.isChecked = true;
    const { runs, kinds, tags } = this.choices;
    for (const [choice, names] of /** @type {[Choice, string[]][]} */ ([
      [runs, catalogue.runs],
      [kinds, catalogue.kinds],
      [tags, catalogue.tags],
    ])) {
      const isStrange = !choice.all && choice.names.size > 0 && !names.some((name) => choice.has(name));
      if (isStrange && !this.linked) choice.everything();
    }
  }

  /**
   * @param {Catalogue} catalogue
   * @returns {string[]}
   */
  remarks(catalogue) {
    const remarks = [...catalogue.notes];
    if (catalogue.state === "failed" && catalogue.error) remarks.push(catalogue.error.message);
    if (catalogue.damage) {
      const damage = counted(catalogue.damage, "stretch", "stretches");
      remarks.push(
        `The event files have ${damage} of damaged bytes. Everything sound is exported, and the report after an ` +
          "export says what is lost.",
      );
    }
    if (this.linked && catalogue.state === "ready") {
      const absent = [
        ...this.linked.run.filter((run) => !catalogue.runs.includes(run)).map((run) => `run “${run}”`),
        ...this.linked.tag.filter((tag) => !catalogue.tags.includes(tag)).map((tag) => `tag “${tag}”`),
        ...this.linked.kind.filter((kind) => !catalogue.kinds.includes(kind)).map((kind) => `kind “${kind}”`),
      ];
      if (absent.length) remarks.push(`The link asks for ${absent.join(", ")}, which the log directory does not have.`);
    }
    return remarks;
  }

  /** @param {import("./host.js").LinkedSelection} linked */
  takeLink(linked) {
    this.linked = linked;
    const choose = (/** @type {Choice} */ choice, /** @type {string[]} */ names) => {
      if (names.length) choice.only(names);
      else choice.everything();
    };
    choose(this.choices.runs, linked.run);
    choose(this.choices.kinds, linked.kind);
    choose(this.choices.tags, linked.tag);
    if (this.hasOptions) this.options.take({ layout: linked.layout[0], format: linked.format[0] });
  }

  /** @returns {string} the address of this selection; with whole runs alone where all of it is too long to be sent */
  link() {
    const { runs, tags, kinds, layout, format } = this.request(false);
    const how = { layout: layout === "tree" ? [] : [layout], format: format === "csv" ? [] : [format] };
    const whole = linkTo({ run: runs ?? [], tag: tags ?? [], kind: kinds ?? [], ...how });
    if (whole.length <= LINK_LENGTH) return whole;
    this.notices.mention("The selection is too long for a link; the link has the kinds, but not every name.");
    return linkTo({ kind: kinds ?? [], ...how });
  }

  /**
   * @param {boolean} everything
   * @returns {import("./api.js").ExportRequest}
   */
  request(everything) {
    const { catalogue, facets, choices } = this;
    const known = everything || !catalogue || !facets;
    const runs = known ? null : asked(choices.runs, catalogue.runs, facets.ofRun);
    const kinds = known ? null : asked(choices.kinds, catalogue.kinds, facets.ofKind);
    const tags = known ? null : asked(choices.tags, catalogue.tags, facets.ofTag);
    const archive = (everything ? catalogue?.length : facets?.chosen.length) !== 1;
    return { ...this.options.value, runs, tags, kinds, what: "tables", archive };
  }

  /** @returns {import("./api.js").ExportRequest} */
  hparamsRequest() {
    return { ...this.request(true), what: "hparams", layout: "tree", format: "csv", archive: false };
  }

  /** @returns {number} */
  chosenSeries() {
    return this.facets?.chosen.length ?? 0;
  }

  /** @param {number} index */
  nameOf(index) {
    return /** @type {Catalogue} */ (this.catalogue).nameOf(index);
  }

  /** @param {import("./preview_panel.js").SeriesName} name */
  copy(name) {
    const index = this.catalogue?.find(name) ?? -1;
    this.exporting.copyOne(name, index >= 0 ? (this.catalogue?.bytes[index] ?? 0) : 0);
  }

  /**
   * Keep the preview that is there as long as it is of a chosen table, else show the first.
   *
   * @param {Catalogue} catalogue
   * @param {import("./catalogue.js").Facets} facets
   */
  keepPreview(catalogue, facets) {
    const { name } = this.previewed;
    const index = name ? catalogue.find(name) : -1;
    if (index >= 0 && facets.chosen.includes(index)) this.series.mark(index, false);
    else if (facets.chosen.length) this.preview(this.series.first, false);
    else {
      this.previewed.clear();
      this.series.mark(-1, false);
    }
  }

  /**
   * @param {number} index
   * @param {boolean} inSight whether the list of series scrolls to it
   */
  preview(index, inSight) {
    this.series.mark(index, inSight);
    this.showPreview(index);
  }

  /** @param {number} index */
  showPreview(index) {
    const name = this.nameOf(index);
    this.previewed.show(name, this.palette.colourOf(name.run));
  }

  /** @param {string} tag whose first series is shown */
  previewTag(tag) {
    const { catalogue } = this;
    if (!catalogue) return;
    const index = this.series.order.find((each) => catalogue.tags[catalogue.tag[each]] === tag);
    if (index === undefined) this.notices.mention("Tick the tag to see its series.");
    else this.preview(index, true);
  }
}
