/** The heading of a list of names: how many are ticked, buttons that tick them, and a filter. */

import { filterOf } from "./choice.js";
import { element, replace, setAttribute, setText } from "./elements.js";
import { icon } from "./icons.js";
import { counted, formatCount } from "./numbers.js";

/**
 * @typedef {Object} HeadingActions
 * @property {() => void} all ticks what is listed
 * @property {() => void} none unticks what is listed
 * @property {() => void} only ticks only what is listed
 * @property {(matches: (name: string) => boolean) => void} filter the filter has changed
 */

export class ListHeading {
  /**
   * @param {string} title
   * @param {{one: string, many: string}} noun
   * @param {HeadingActions} actions
   */
  constructor(title, noun, actions) {
    this.noun = noun;
    this.id = noun.many;
    this.summary = "";
    this.matches = filterOf("").matches;
    this.counts = element("span", { class: "heading-counts" });
    this.only = button("Only these", `Tick the listed ${noun.many} and nothing else (Enter)`, actions.only);
    this.only.hidden = true;
    this.input = /** @type {HTMLInputElement} */ (
      element("input", {
        type: "search",
        class: "filter-input",
        placeholder: `Filter ${noun.many} (regex)`,
        "aria-label": `Filter ${noun.many} by a regular expression`,
        "aria-describedby": `${this.id}-filter-note`,
        autocomplete: "off",
        spellcheck: "false",
        oninput: () => {
          this.refilter();
          actions.filter(this.matches);
        },
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Enter" && this.isFiltering) actions.only();
        },
      })
    );
    this.note = element("p", { class: "filter-note", id: `${this.id}-filter-note` });
    this.note.hidden = true;
    this.element = element(
      "div",
      { class: "list-heading" },
      element(
        "div",
        { class: "heading-row" },
        element("h2", { id: `${this.id}-title` }, title),
        this.counts,
        this.only,
        button("All", `Tick all listed ${noun.many}`, actions.all),
        button("None", `Untick all listed ${noun.many}`, actions.none),
      ),
      element("div", { class: "filter-row" }, icon("search"), this.input),
      this.note,
    );
    this.nothing = element("div", { class: "list-empty" });
    this.nothing.hidden = true;
    this.clear = () => {
      this.input.value = "";
      this.refilter();
      this.input.focus();
      actions.filter(this.matches);
    };
  }

  /** @returns {boolean} whether a valid filter is set */
  get isFiltering() {
    return this.input.value !== "" && !this.problem;
  }

  refilter() {
    const { matches, problem } = filterOf(this.input.value);
    this.matches = matches;
    this.problem = problem;
    setAttribute(this.input, "aria-invalid", problem ? "true" : null);
  }

  /**
   * @param {{chosen: number, total: number, listed: number, unlisted: number, nothing: string}} counts chosen: ticked
   *   names that match the filter; listed: all names that do; unlisted: ticked names that do not, which are not
   *   exported; nothing: the text of an empty list
   */
  update({ chosen, total, listed, unlisted, nothing }) {
    setText(this.counts, `${formatCount(chosen)} of ${formatCount(total)}`);
    this.summary = `${formatCount(chosen)} of ${counted(total, this.noun.one, this.noun.many)}`;
    setAttribute(this.counts, "aria-label", `${counted(chosen, this.noun.one, this.noun.many)} of ${total} ticked`);
    setAttribute(this.counts, "role", "note");
    this.only.hidden = !this.isFiltering;
    const parts = [];
    if (this.problem) parts.push(this.problem);
    else if (this.isFiltering) {
      if (listed > 0) parts.push(`${counted(listed, this.noun.one, this.noun.many)} listed.`);
      if (unlisted > 0)
        parts.push(`${formatCount(unlisted)} more ${unlisted === 1 ? "is" : "are"} ticked, but not exported.`);
    }
    setText(this.note, parts.join(" "));
    this.note.hidden = parts.length === 0;
    this.note.classList.toggle("is-problem", Boolean(this.problem));
    this.nothing.hidden = listed > 0;
    if (listed > 0) return;
    if (this.isFiltering && total > 0) {
      replace(
        this.nothing,
        element("p", {}, `No ${this.noun.one} matches “`, element("b", {}, this.input.value), "”."),
        element("button", { type: "button", class: "button small", onclick: this.clear }, "Clear the filter"),
      );
    } else replace(this.nothing, element("p", {}, nothing));
  }
}

/**
 * @param {string} text
 * @param {string} label
 * @param {() => void} act
 * @returns {HTMLElement}
 */
function button(text, label, act) {
  return element(
    "button",
    { type: "button", class: "text-button", "aria-label": `${text}: ${label}`, title: label, onclick: act },
    text,
  );
}
