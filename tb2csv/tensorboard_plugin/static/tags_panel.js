/** The tags of the chosen runs and kinds, as a tree with check boxes. */

import { element, setAttribute, setText } from "./elements.js";
import { icon } from "./icons.js";
import { ListHeading } from "./list_heading.js";
import { counted, formatCount } from "./numbers.js";
import { TagTree } from "./tag_tree.js";
import { VirtualList } from "./virtual_list.js";

/** Up to this number of tags, all folders are open at first. */
const FEW = 40;

export class TagsPanel {
  /**
   * @param {import("./choice.js").Choice} choice
   * @param {() => void} changed called whenever the choice has changed
   * @param {(matches: (name: string) => boolean) => void} filtered called whenever the filter has changed
   * @param {() => void} settle draws what has changed
   * @param {(tag: string) => void} show called when the user presses Enter on a tag or clicks its name
   */
  constructor(choice, changed, filtered, settle, show) {
    this.choice = choice;
    this.changed = changed;
    this.settle = settle;
    this.showTag = show;
    /** @type {string[]} */
    this.tags = [];
    this.tree = new TagTree([]);
    /** @type {import("./tag_tree.js").TreeRow[]} */
    this.rows = [];
    /** Folders that the user opened or closed; the others follow `openByDefault`. @type {Map<string, boolean>} */
    this.opened = new Map();
    this.heading = new ListHeading(
      "Tags",
      { one: "tag", many: "tags" },
      {
        all: () => this.tick(true),
        none: () => this.tick(false),
        only: () => this.change(() => this.choice.only(this.listedTags().map((tag) => this.tags[tag]))),
        filter: (matches) => {
          this.opened.clear();
          filtered(matches);
        },
      },
    );
    const viewport = element("div", { class: "list-viewport" });
    this.element = element(
      "section",
      { class: "panel tags-panel", "aria-labelledby": "tags-title" },
      this.heading.element,
      this.heading.nothing,
      viewport,
    );
    this.list = new VirtualList(viewport, {
      rowHeight: 30,
      attributes: {
        role: "tree",
        "aria-labelledby": "tags-title",
        "aria-multiselectable": "true",
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressKey(event),
      },
      create: () => this.createRow(),
      fill: (row, index, active) => this.fillRow(row, index, active),
      focusable: (row) => row,
    });
  }

  /**
   * @param {import("./series_index.js").SeriesIndex} index
   * @param {import("./series_index.js").Facets} facets
   */
  update(index, facets) {
    // During a scan, a new index often has the same tags: keep the tree.
    if (!sameNames(this.tags, index.tags)) this.tree = new TagTree(index.tags);
    this.tags = index.tags;
    this.facets = facets;
    this.refresh();
  }

  refresh() {
    const { facets, tree, tags } = this;
    if (!facets) return;
    const present = Uint8Array.from(facets.ofTag, (series) => (series > 0 ? 1 : 0));
    const listed = present.map((mark, tag) => (mark && this.heading.matches(tags[tag]) ? 1 : 0));
    const ticked = listed.map((mark, tag) => mark & facets.tags[tag]);
    this.listedOf = tree.sums(listed);
    this.tickedOf = tree.sums(ticked);
    const total = sum(present);
    const chosen = sum(ticked);
    const all = sum(present.map((mark, tag) => (mark && this.choice.has(tags[tag]) ? 1 : 0)));
    this.openByDefault = this.heading.isFiltering || total <= FEW;
    this.rows = tree.rows(this.listedOf, (node) => this.opened.get(node.key) ?? this.openByDefault === true);
    this.heading.update({
      chosen,
      total,
      listed: sum(listed),
      unlisted: all - chosen,
      nothing: tags.length ? "The ticked runs and kinds have no tags. Tick more of them above." : "No tags found yet.",
    });
    this.list.show(this.rows.length);
  }

  /** @returns {string} such as "3 of 7 runs" */
  get summary() {
    return this.heading.summary;
  }

  createRow() {
    const row = element("div", { class: "list-row tag-row", role: "treeitem" });
    row.append(
      element("span", { class: "twisty", onclick: () => this.toggle(Number(row.dataset.index)) }, icon("chevron")),
      element("span", { class: "box", onclick: () => this.tickRow(Number(row.dataset.index)) }, icon("check")),
      element("span", { class: "name", onclick: () => this.clickName(Number(row.dataset.index)) }),
      element("span", { class: "count" }),
    );
    return row;
  }

  /**
   * @param {HTMLElement} row
   * @param {number} index
   * @param {boolean} active
   */
  fillRow(row, index, active) {
    const shown = this.rows[index];
    const node = this.tree.nodes[shown.place];
    const [, , name, count] = /** @type {HTMLElement[]} */ ([...row.children]);
    const isFolder = node.tag < 0;
    const series = isFolder ? 0 : (this.facets?.ofTag[node.tag] ?? 0);
    const listed = this.listedOf?.[shown.place] ?? 0;
    const number = isFolder ? listed : series;
    const meaning = isFolder ? counted(number, "tag") : counted(number, "series", "series");
    row.tabIndex = active ? 0 : -1;
    row.style.setProperty("--level", String(node.level - 1));
    row.classList.toggle("is-folder", isFolder);
    setText(name, node.name || "(no name)");
    setAttribute(name, "title", node.path);
    setText(count, formatCount(number));
    setAttribute(count, "title", meaning);
    setAttribute(row, "aria-label", `${node.path || "no name"}, ${meaning}`);
    setAttribute(row, "aria-checked", this.stateOf(shown.place));
    setAttribute(row, "aria-expanded", isFolder ? String(shown.open) : null);
    setAttribute(row, "aria-level", node.level);
    setAttribute(row, "aria-setsize", shown.siblings);
    setAttribute(row, "aria-posinset", shown.position);
  }

  /**
   * @param {number} place
   * @returns {"true" | "false" | "mixed"}
   */
  stateOf(place) {
    const ticked = this.tickedOf?.[place] ?? 0;
    if (ticked === 0) return "false";
    return ticked === this.listedOf?.[place] ? "true" : "mixed";
  }

  /** @returns {number[]} the tags that match the filter */
  listedTags() {
    this.settle();
    const listed = this.tree.nodes.flatMap((node, place) =>
      node.tag >= 0 && (this.listedOf?.[place] ?? 0) > 0 ? [node.tag] : [],
    );
    return listed;
  }

  /** @param {boolean} on */
  tick(on) {
    this.change(() => {
      if (this.heading.isFiltering)
        this.choice.set(
          this.listedTags().map((tag) => this.tags[tag]),
          on,
        );
      else if (on) this.choice.everything();
      else this.choice.only([]);
    });
  }

  /** @param {number} index */
  tickRow(index) {
    const { place } = this.rows[index];
    const on = this.stateOf(place) !== "true";
    const below = this.tree.tagsBelow(place).filter((tag) => this.isListed(tag));
    this.change(() =>
      this.choice.set(
        below.map((tag) => this.tags[tag]),
        on,
      ),
    );
  }

  /**
   * @param {number} tag
   * @returns {boolean}
   */
  isListed(tag) {
    return (this.facets?.ofTag[tag] ?? 0) > 0 && this.heading.matches(this.tags[tag]);
  }

  /** @param {number} index */
  toggle(index) {
    const { place, open } = this.rows[index];
    const node = this.tree.nodes[place];
    if (node.tag >= 0) return;
    this.opened.set(node.key, !open);
    this.refresh();
  }

  /** @param {number} index */
  clickName(index) {
    const node = this.tree.nodes[this.rows[index].place];
    if (node.tag < 0) this.toggle(index);
    else this.showTag(this.tags[node.tag]);
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    const row = event.target instanceof Element ? this.list.indexOf(event.target) : -1;
    if (row < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const { place, open } = this.rows[row];
    const node = this.tree.nodes[place];
    /** @type {Object<string, () => void>} */
    const actions = {
      " ": () => this.tickRow(row),
      Enter: () => this.clickName(row),
      ArrowRight: () => {
        if (node.tag >= 0) return;
        if (open) this.list.focus(row + 1);
        else this.toggle(row);
      },
      ArrowLeft: () => {
        if (open) this.toggle(row);
        else if (node.parent >= 0) this.list.focus(this.rows.findIndex((other) => other.place === node.parent));
      },
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** @param {() => void} act */
  change(act) {
    act();
    this.changed();
  }
}

/**
 * @param {string[]} some
 * @param {string[]} others
 * @returns {boolean}
 */
function sameNames(some, others) {
  return some.length === others.length && some.every((name, place) => name === others[place]);
}

/**
 * @param {Uint8Array} marks
 * @returns {number}
 */
function sum(marks) {
  return marks.reduce((total, mark) => total + mark, 0);
}
