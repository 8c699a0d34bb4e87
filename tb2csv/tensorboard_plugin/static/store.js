/** The page's state: the series index, the ticked names, and the selection from a link. It draws nothing. */

import { Choice, FilteredChoice, selectedNames } from "./choice.js";
import { linkTo } from "./host.js";
import { recall, remember } from "./memory.js";
import { counted } from "./numbers.js";
import { SeriesIndex } from "./series_index.js";

/** Maximum length of a link: browsers and chats cut longer addresses. */
const LINK_LENGTH = 8000;

/**
 * @typedef {import("./api.js").ExportRequest} ExportRequest
 * @typedef {import("./host.js").LinkedSelection} LinkedSelection
 */

export class Store {
  /** @param {() => import("./export_options.js").Options} options returns the current export options */
  constructor(options) {
    this.options = options;
    const kept = recall("session", "selection") ?? {};
    this.choices = { runs: Choice.from(kept.runs), kinds: Choice.from(kept.kinds), tags: Choice.from(kept.tags) };
    /** @type {SeriesIndex | null} */
    this.index = null;
    /** @type {import("./series_index.js").Facets | null} */
    this.facets = null;
    /** @type {LinkedSelection | null} */
    this.linked = null;
    this.isStaleChecked = false;
    /** The filters of the lists; they narrow what is exported. */
    const all = (/** @type {string} */ _name) => true;
    this.filters = { runs: all, tags: all };
  }

  /** @returns {{runs: FilteredChoice, kinds: Choice, tags: FilteredChoice}} what is ticked and listed */
  get listed() {
    const { choices, filters } = this;
    return {
      runs: new FilteredChoice(choices.runs, filters.runs),
      kinds: choices.kinds,
      tags: new FilteredChoice(choices.tags, filters.tags),
    };
  }

  /**
   * Store a new answer of the server.
   *
   * @param {import("./api.js").IndexAnswer} answer
   */
  setIndex(answer) {
    if (!answer.unchanged) this.index = new SeriesIndex(answer);
    else if (this.index) this.index.state = "ready";
  }

  /**
   * Tick what a link selects.
   *
   * @param {LinkedSelection} linked
   */
  applyLink(linked) {
    this.linked = linked;
    const apply = (/** @type {Choice} */ choice, /** @type {string[]} */ names) => {
      if (names.length) choice.only(names);
      else choice.everything();
    };
    apply(this.choices.runs, linked.run);
    apply(this.choices.kinds, linked.kind);
    apply(this.choices.tags, linked.tag);
  }

  /**
   * Count what the current choices select, and remember them for this browser tab.
   *
   * @param {SeriesIndex} index
   * @returns {import("./series_index.js").Facets}
   */
  updateFacets(index) {
    if (index.state === "ready") this.dropStaleSelection(index);
    this.facets = index.facets(this.listed);
    remember("session", "selection", this.choices);
    return this.facets;
  }

  /**
   * Drop a selection that was kept from another log directory: it matches nothing here and would leave the page empty.
   *
   * @param {SeriesIndex} index
   */
  dropStaleSelection(index) {
    if (this.isStaleChecked) return;
    this.isStaleChecked = true;
    if (this.linked) return;
    const { runs, kinds, tags } = this.choices;
    for (const [choice, names] of /** @type {[Choice, string[]][]} */ ([
      [runs, index.runs],
      [kinds, index.kinds],
      [tags, index.tags],
    ])) {
      const isStale = !choice.all && choice.names.size > 0 && !names.some((name) => choice.has(name));
      if (isStale) choice.everything();
    }
  }

  /**
   * @param {SeriesIndex} index
   * @returns {string[]} what the user should know about the log directory and the link
   */
  notes(index) {
    const notes = [...index.notes];
    if (index.state === "failed" && index.error) notes.push(index.error.message);
    if (index.damage) {
      notes.push(
        `The event files have ${counted(index.damage, "damaged byte range")}. Everything that can be read is ` +
          "exported, and the report after an export lists what is lost.",
      );
    }
    const missing = index.state === "ready" ? this.missingNames(index) : [];
    if (missing.length) notes.push(`The link selects ${missing.join(", ")}, which the log directory does not have.`);
    return notes;
  }

  /**
   * @param {SeriesIndex} index
   * @returns {string[]} the names in the link that the log directory does not have
   */
  missingNames(index) {
    if (!this.linked) return [];
    return [
      ...this.linked.run.filter((run) => !index.runs.includes(run)).map((run) => `run “${run}”`),
      ...this.linked.tag.filter((tag) => !index.tags.includes(tag)).map((tag) => `tag “${tag}”`),
      ...this.linked.kind.filter((kind) => !index.kinds.includes(kind)).map((kind) => `kind “${kind}”`),
    ];
  }

  /** @returns {{address: string, isShortened: boolean}} a link to the selection; a short one has only the kinds */
  selectionLink() {
    const { runs, tags, kinds, file, layout, format } = this.request(false);
    const output = {
      file: file === "zip" ? [] : [file],
      layout: layout === "tree" ? [] : [layout],
      format: format === "csv" ? [] : [format],
    };
    const address = linkTo({ run: runs ?? [], tag: tags ?? [], kind: kinds ?? [], ...output });
    if (address.length <= LINK_LENGTH) return { address, isShortened: false };
    return { address: linkTo({ kind: kinds ?? [], ...output }), isShortened: true };
  }

  /**
   * @param {boolean} everything
   * @returns {ExportRequest}
   */
  request(everything) {
    const { index, facets, listed } = this;
    const isAll = everything || !index || !facets;
    const runs = isAll ? null : selectedNames(listed.runs, index.runs, facets.ofRun);
    const kinds = isAll ? null : selectedNames(listed.kinds, index.kinds, facets.ofKind);
    const tags = isAll ? null : selectedNames(listed.tags, index.tags, facets.ofTag);
    const archive = (everything ? index?.length : facets?.chosen.length) !== 1;
    return { ...this.options(), runs, tags, kinds, what: "tables", archive };
  }

  /** @returns {ExportRequest} */
  hparamsRequest() {
    return { ...this.request(true), what: "hparams", file: "zip", layout: "tree", format: "csv", archive: false };
  }

  /** @returns {number} */
  get selectedCount() {
    return this.facets?.chosen.length ?? 0;
  }
}
