/** Lines above the tables: problems, remarks on the log directory, the scan; and the line that comes and goes below. */

import { element, replace, setText } from "./elements.js";
import { icon } from "./icons.js";
import { share } from "./numbers.js";
import { progressText } from "./states.js";

/** How long a passing line stays, in milliseconds: long enough to be read twice. */
const STAY = 5000;

export class Notices {
  constructor() {
    this.problems = element("div", { class: "problems" });
    this.scanText = element("span", {});
    this.scanBar = element("div", { class: "progress", "aria-hidden": "true" }, element("span", {}));
    this.scan = element("div", { class: "notice scan-notice" }, this.scanText, this.scanBar);
    this.scan.hidden = true;
    this.remarks = element("div", { class: "remarks" });
    this.element = element("div", { class: "notices" }, this.problems, this.scan, this.remarks);
    this.spoken = element("div", { class: "visually-hidden", role: "status", "aria-atomic": "false" });
    this.passing = element("div", { class: "snackbar", "aria-hidden": "true" });
    /** @type {string[]} */
    this.said = [];
  }

  /**
   * Say something to those who do not see the page.
   *
   * @param {string} text
   */
  announce(text) {
    // One line for each: what is said next must not cut off what is being read out.
    const line = element("p", {}, text);
    this.spoken.append(line);
    setTimeout(() => line.remove(), 2 * STAY);
  }

  /**
   * Say something that needs no answer, to all.
   *
   * @param {string} text
   */
  mention(text) {
    this.announce(text);
    setText(this.passing, text);
    this.passing.classList.add("is-shown");
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => this.passing.classList.remove("is-shown"), STAY);
  }

  /**
   * Show that something could not be done, until it is dismissed.
   *
   * @param {string} text
   */
  complain(text) {
    for (const old of [...this.problems.children])
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
    this.problems.append(notice);
  }

  /** @param {import("./catalogue.js").Catalogue} catalogue */
  update(catalogue) {
    const { progress } = catalogue;
    this.scan.hidden = catalogue.state !== "scanning";
    if (progress && progress.total > 0) {
      setText(
        this.scanText,
        `Looking for new data: ${progressText(progress)}. What is listed can be exported meanwhile.`,
      );
      /** @type {HTMLElement} */ (this.scanBar.firstElementChild).style.width =
        `${100 * share(progress.bytes, progress.total)}%`;
    } else setText(this.scanText, "Looking for new data. What is listed can be exported meanwhile.");
  }

  /**
   * Show remarks that stay as long as they are true.
   *
   * @param {string[]} remarks
   */
  remark(remarks) {
    if (remarks.join("\n") === this.said.join("\n")) return;
    this.said = remarks;
    replace(
      this.remarks,
      ...remarks.map((remark) => element("div", { class: "notice" }, icon("warning"), element("span", {}, remark))),
    );
  }
}
