/** Messages: errors, the scan and notes above the tables, and hints that disappear after a while. */

import { element, replace, setText } from "./elements.js";
import { icon } from "./icons.js";
import { share } from "./numbers.js";
import { progressText } from "./states.js";

/** How long a hint is shown, in milliseconds: long enough to read it twice. */
const HINT_TIME = 5000;

export class Notices {
  constructor() {
    this.errors = element("div", { class: "errors" });
    this.scanText = element("span", {});
    this.scanBar = element("div", { class: "progress", "aria-hidden": "true" }, element("span", {}));
    this.scan = element("div", { class: "notice scan-notice" }, this.scanText, this.scanBar);
    this.scan.hidden = true;
    this.notes = element("div", { class: "notes" });
    this.element = element("div", { class: "notices" }, this.errors, this.scan, this.notes);
    this.spoken = element("div", { class: "visually-hidden", role: "status", "aria-atomic": "false" });
    this.snackbar = element("div", { class: "snackbar", "aria-hidden": "true" });
    /** @type {string[]} */
    this.shownNotes = [];
  }

  /**
   * Announce a text to screen readers.
   *
   * @param {string} text
   */
  announce(text) {
    // One element for each text, so that the next text does not interrupt the one that is being read aloud.
    const line = element("p", {}, text);
    this.spoken.append(line);
    setTimeout(() => line.remove(), 2 * HINT_TIME);
  }

  /**
   * Show a text for a short time, and announce it.
   *
   * @param {string} text
   */
  showHint(text) {
    this.announce(text);
    setText(this.snackbar, text);
    this.snackbar.classList.add("is-shown");
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => this.snackbar.classList.remove("is-shown"), HINT_TIME);
  }

  /**
   * Show an error until the user dismisses it.
   *
   * @param {string} text
   */
  showError(text) {
    for (const old of [...this.errors.children])
      if (old.firstElementChild?.nextSibling?.textContent === text) old.remove();
    const notice = element(
      "div",
      { class: "notice is-problem", role: "alert" },
      icon("warning"),
      element("span", {}, text),
    );
    notice.append(
      element(
        "button",
        { type: "button", class: "icon-button", "aria-label": "Dismiss", onclick: () => notice.remove() },
        icon("close"),
      ),
    );
    this.errors.append(notice);
  }

  /** @param {import("./series_index.js").SeriesIndex} index */
  update(index) {
    const { progress } = index;
    this.scan.hidden = index.state !== "scanning";
    if (progress && progress.total > 0) {
      setText(this.scanText, `Looking for new data: ${progressText(progress)}. You can already export what is listed.`);
      /** @type {HTMLElement} */ (this.scanBar.firstElementChild).style.width =
        `${100 * share(progress.bytes, progress.total)}%`;
    } else setText(this.scanText, "Looking for new data. You can already export what is listed.");
  }

  /**
   * Show these notes in place of the previous ones.
   *
   * @param {string[]} notes
   */
  showNotes(notes) {
    if (notes.join("\n") === this.shownNotes.join("\n")) return;
    this.shownNotes = notes;
    replace(
      this.notes,
      ...notes.map((note) => element("div", { class: "notice" }, icon("warning"), element("span", {}, note))),
    );
  }
}
