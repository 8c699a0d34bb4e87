/** The output options: layout, format and rarely used ones. They are kept for the next visit. */

import { element, setText } from "./elements.js";
import { recall, remember } from "./memory.js";

/**
 * @typedef {Object} Options
 * @property {string} file
 * @property {string} layout
 * @property {string} format
 * @property {string} tensors
 * @property {string[]} time
 * @property {string} restarts
 * @property {boolean} escape_formulas
 * @property {boolean} sessions
 * @property {boolean} merge_subruns
 */

/** @type {Options} */
const DEFAULTS = {
  file: "zip",
  layout: "tree",
  format: "csv",
  tensors: "elements",
  time: ["epoch"],
  restarts: "keep",
  escape_formulas: true,
  sessions: false,
  merge_subruns: false,
};

/**
 * The titles of the values. The server lists the values that it has.
 *
 * @type {Object<string, Object<string, string>>}
 */
const TITLES = {
  file: {
    zip: "ZIP archive of all tables",
    table: "One table",
    xlsx: "Excel workbook",
  },
  layout: {
    tree: "One file per run and tag",
    tags: "One file per tag, with all runs",
    wide: "One file per run, one column per scalar",
    long: "One file per kind",
    compare: "One file per scalar tag, one column per run",
  },
  format: {
    csv: "CSV",
    "csv.gz": "CSV, gzip",
    "csv.zst": "CSV, Zstandard",
    parquet: "Parquet",
    arrow: "Arrow",
    jsonl: "JSON Lines",
    "jsonl-null": "JSON Lines, null for NaN and infinities",
  },
  tensors: {
    elements: "One row per element",
    wide: "One row per step, one column per element",
    base64: "One row per step, bytes as base64",
    npy: "One .npy file per step",
  },
  restarts: {
    keep: "Keep all rows",
    purge: "Drop the rows that TensorBoard drops at a restart",
    supersede: "Later rows replace earlier rows of the same step",
  },
  time: {
    epoch: "Seconds since 1970",
    iso: "Date and time in UTC",
    relative: "Seconds since the run began",
  },
};

/** The titles of the default layout in files that are not archives. */
const DEFAULT_LAYOUTS = /** @type {Object<string, string>} */ ({
  zip: TITLES.layout.tree,
  table: "One row per value, with run and tag",
  xlsx: "One sheet per kind",
});

export class ExportOptions {
  /** @param {() => void} changed called whenever an option has changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Options} */
    this.value = { ...DEFAULTS, ...recall("local", "options") };
    this.file = this.select("file", "File");
    this.layout = this.select("layout", "Layout");
    this.format = this.select("format", "Format");
    this.tensors = this.select("tensors", "Tensors");
    this.restarts = this.select("restarts", "Restarts");
    this.times = element("div", { class: "checks" });
    this.escaping = this.flag("escape_formulas");
    this.sessions = this.flag("sessions");
    this.merging = this.flag("merge_subruns");
    this.summary = element("span", { class: "secondary" });
    const note = "Text that starts with = + - or @ gets a leading apostrophe. Numbers are not changed.";
    this.element = element(
      "div",
      { class: "options" },
      element("div", { class: "options-main" }, this.file.field, this.layout.field, this.format.field),
      element(
        "details",
        { class: "options-more" },
        element("summary", {}, "More options ", this.summary),
        element(
          "div",
          { class: "options-grid" },
          this.tensors.field,
          this.restarts.field,
          element("fieldset", {}, element("legend", {}, "Time columns"), this.times),
          element(
            "fieldset",
            {},
            element("legend", {}, "Runs"),
            check(
              this.sessions,
              "Add the session of each row",
              "A column with 0 for the first start of the training, 1 for the next, and so on.",
            ),
            check(
              this.merging,
              "Merge sub-runs",
              "What add_scalars and add_hparams of PyTorch wrote to runs of their own joins the writer's run.",
            ),
          ),
          element(
            "fieldset",
            {},
            element("legend", {}, "Spreadsheets"),
            check(this.escaping, "Escape text that looks like a formula", note),
          ),
        ),
      ),
    );
  }

  /**
   * Offer the values that the server has; a kept value that it does not have is replaced by the default.
   *
   * @param {import("./api.js").ServerOptions} server
   */
  update(server) {
    this.fill("file", this.file.select, server.files);
    this.fill("layout", this.layout.select, server.layouts);
    this.fill("format", this.format.select, server.formats);
    this.fill("tensors", this.tensors.select, server.tensors);
    this.fill("restarts", this.restarts.select, server.restarts);
    const known = this.value.time.filter((time) => server.times.includes(time));
    this.value.time = known.length ? known : [server.times[0]];
    this.times.replaceChildren(...server.times.map((time) => this.timeBox(time)));
    this.escaping.checked = this.value.escape_formulas !== false;
    this.sessions.checked = this.value.sessions === true;
    this.merging.checked = this.value.merge_subruns === true;
    this.lockLastTime();
    this.fitFile();
    this.updateSummary();
  }

  /** Show what the kind of file decides: a workbook has a format of its own, and the default layout depends on it. */
  fitFile() {
    const { file } = this.value;
    this.format.select.disabled = file === "xlsx";
    this.format.select.title = file === "xlsx" ? "A workbook has a format of its own." : "";
    for (const option of this.layout.select.options) {
      if (option.value === DEFAULTS.layout) setText(option, DEFAULT_LAYOUTS[file] ?? TITLES.layout.tree);
    }
  }

  /**
   * Set options, for example from a link. Values that the server does not have are ignored.
   *
   * @param {Partial<Options>} given
   */
  apply(given) {
    for (const name of /** @type {("file" | "layout" | "format")[]} */ (["file", "layout", "format"])) {
      const requested = given[name];
      const { select } = this[name];
      if (requested && [...select.options].some(({ value }) => value === requested)) {
        select.value = requested;
        this.value[name] = requested;
      }
    }
    this.fitFile();
  }

  /**
   * @param {"escape_formulas" | "sessions" | "merge_subruns"} name
   * @returns {HTMLInputElement}
   */
  flag(name) {
    const box = /** @type {HTMLInputElement} */ (
      element("input", { type: "checkbox", onchange: () => this.set(name, box.checked) })
    );
    return box;
  }

  /**
   * @param {"file" | "layout" | "format" | "tensors" | "restarts"} name
   * @param {string} title
   */
  select(name, title) {
    const select = /** @type {HTMLSelectElement} */ (
      element("select", { id: `option-${name}`, onchange: () => this.set(name, select.value) })
    );
    return {
      select,
      field: element("div", { class: "field" }, element("label", { for: `option-${name}` }, title), select),
    };
  }

  /**
   * @param {"file" | "layout" | "format" | "tensors" | "restarts"} name
   * @param {HTMLSelectElement} select
   * @param {string[]} values
   */
  fill(name, select, values) {
    select.replaceChildren(...values.map((value) => element("option", { value }, TITLES[name][value] ?? value)));
    if (!values.includes(this.value[name]))
      this.value[name] = values.includes(DEFAULTS[name]) ? DEFAULTS[name] : values[0];
    select.value = this.value[name];
  }

  /** @param {string} time */
  timeBox(time) {
    const box = /** @type {HTMLInputElement} */ (
      element("input", { type: "checkbox", value: time, onchange: () => this.setTimes() })
    );
    box.checked = this.value.time.includes(time);
    return element("label", { class: "check" }, box, element("span", {}, TITLES.time[time] ?? time));
  }

  setTimes() {
    this.set(
      "time",
      this.timeBoxes()
        .filter((box) => box.checked)
        .map((box) => box.value),
    );
    this.lockLastTime();
  }

  /** Disable the last ticked box: a table without a time column would lose data. */
  lockLastTime() {
    const ticked = this.timeBoxes().filter((box) => box.checked);
    for (const box of this.timeBoxes()) {
      box.disabled = ticked.length === 1 && box.checked;
      box.title = box.disabled ? "A table needs at least one time column." : "";
    }
  }

  /** @returns {HTMLInputElement[]} */
  timeBoxes() {
    return [...this.times.querySelectorAll("input")];
  }

  /**
   * @param {keyof Options} name
   * @param {any} value
   */
  set(name, value) {
    this.value = { ...this.value, [name]: value };
    remember("local", "options", this.value);
    this.fitFile();
    this.updateSummary();
    this.changed();
  }

  /** List the changed options beside the title that hides them. */
  updateSummary() {
    const { tensors, time, restarts, escape_formulas: escaping, sessions, merge_subruns: merging } = this.value;
    const changed = [
      tensors !== DEFAULTS.tensors && "tensors",
      time.join() !== DEFAULTS.time.join() && "time columns",
      restarts !== DEFAULTS.restarts && "restarts",
      sessions !== DEFAULTS.sessions && "sessions",
      merging !== DEFAULTS.merge_subruns && "sub-runs",
      escaping !== DEFAULTS.escape_formulas && "formulas",
    ].filter(Boolean);
    setText(this.summary, changed.length ? `changed: ${changed.join(", ")}` : "");
  }
}

/**
 * @param {HTMLInputElement} box
 * @param {string} text
 * @param {string} hint
 */
function check(box, text, hint) {
  return element("label", { class: "check" }, box, element("span", {}, text, element("span", { class: "hint" }, hint)));
}
