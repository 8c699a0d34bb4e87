/**
 * A list of any length that has only its visible rows in the document.
 *
 * Tab reaches one row; the arrow keys, Home, End, Page Up and Page Down move from there. That row stays in the document
 * when it is scrolled out of sight, so that keyboard users keep their place.
 */

import { element } from "./elements.js";

/** Extra rows above and below the visible ones. */
const MARGIN = 4;

/** Maximum height in pixels; browsers stop at about 17 million. Longer lists are scaled down to it. */
const MAX_HEIGHT = 8_000_000;

/**
 * @typedef {Object} RowMaker
 * @property {number} rowHeight in pixels
 * @property {Object<string, any>} attributes of the list: role, label
 * @property {() => HTMLElement} create
 * @property {(row: HTMLElement, index: number, active: boolean) => void} fill active: whether Tab reaches the row
 * @property {(row: HTMLElement) => HTMLElement} focusable returns the element of a row that takes the focus
 */

export class VirtualList {
  /**
   * @param {HTMLElement} viewport the element that scrolls
   * @param {RowMaker} maker
   */
  constructor(viewport, maker) {
    this.viewport = viewport;
    this.maker = maker;
    this.list = element("div", { class: "virtual-rows", ...maker.attributes });
    this.count = 0;
    this.active = 0;
    /** @type {Map<number, HTMLElement>} */
    this.rows = new Map();
    this.shift = 0;
    viewport.append(this.list);
    viewport.addEventListener("scroll", () => this.layOut(false), { passive: true });
    this.list.addEventListener("keydown", (event) => this.move(event));
    this.list.addEventListener("focusin", (event) => this.follow(event));
    new ResizeObserver(() => this.layOut(false)).observe(viewport);
  }

  /**
   * Set the number of rows, and fill the visible ones again.
   *
   * @param {number} count
   */
  show(count) {
    const hadFocus = this.list.contains(document.activeElement);
    this.count = count;
    this.active = Math.max(0, Math.min(this.active, count - 1));
    this.list.style.height = `${Math.min(MAX_HEIGHT, count * this.maker.rowHeight)}px`;
    this.layOut(true);
    if (hadFocus && count > 0 && !this.list.contains(document.activeElement)) this.focus(this.active);
  }

  /**
   * Scroll to a row and let Tab reach it.
   *
   * @param {number} index
   */
  reveal(index) {
    this.active = index;
    const { rowHeight } = this.maker;
    const height = this.viewport.clientHeight;
    const top = index * rowHeight;
    const visible = this.visibleTop();
    if (top < visible) this.scrollTo(top);
    else if (top + rowHeight > visible + height) this.scrollTo(top + rowHeight - height);
    this.layOut(true);
  }

  /**
   * Scroll to a row and focus it.
   *
   * @param {number} index
   */
  focus(index) {
    this.reveal(index);
    const row = this.rows.get(index);
    if (row) this.maker.focusable(row).focus({ preventScroll: true });
  }

  /**
   * @param {Element} inside
   * @returns {number} the index of the row that contains an element, -1 if no row does
   */
  indexOf(inside) {
    const row = inside.closest("[data-index]");
    return row instanceof HTMLElement && this.list.contains(row) ? Number(row.dataset.index) : -1;
  }

  /** @returns {number} pixels above the visible part, in the full height of the list */
  visibleTop() {
    return this.viewport.scrollTop * this.stretch();
  }

  /** @param {number} top in pixels of the full height of the list */
  scrollTo(top) {
    this.viewport.scrollTop = top / this.stretch();
  }

  /** @returns {number} full height of the list per height that scrolls */
  stretch() {
    const full = this.count * this.maker.rowHeight;
    if (full <= MAX_HEIGHT) return 1;
    const height = this.viewport.clientHeight;
    return (full - height) / (MAX_HEIGHT - height);
  }

  /** @param {boolean} refill whether rows that stay are filled again */
  layOut(refill) {
    const { rowHeight, create, fill } = this.maker;
    const visible = this.visibleTop();
    // In a list that is scaled down, rows are placed relative to the scroll bar.
    const shift = this.viewport.scrollTop - visible;
    const first = Math.max(0, Math.floor(visible / rowHeight) - MARGIN);
    const last = Math.min(this.count, Math.ceil((visible + this.viewport.clientHeight) / rowHeight) + MARGIN);
    const stays = (/** @type {number} */ index) =>
      (index >= first && index < last) || (index === this.active && index < this.count);
    /** @type {HTMLElement[]} */
    const spare = [];
    for (const [index, row] of this.rows) {
      if (stays(index)) continue;
      this.rows.delete(index);
      spare.push(row);
    }
    const place = (/** @type {number} */ index) => {
      const known = this.rows.get(index);
      const row = known ?? spare.pop() ?? create();
      if (!known) {
        row.dataset.index = String(index);
        // Rows have the same order in the document as on the screen, for screen readers.
        this.list.insertBefore(row, this.rowAfter(index));
        this.rows.set(index, row);
      }
      if (!known || refill) fill(row, index, index === this.active);
      if (!known || shift !== this.shift || refill) row.style.transform = `translateY(${index * rowHeight + shift}px)`;
    };
    for (let index = first; index < last; index += 1) place(index);
    if (this.active < this.count) place(this.active);
    for (const row of spare) row.remove();
    this.shift = shift;
  }

  /**
   * @param {number} index
   * @returns {HTMLElement | null}
   */
  rowAfter(index) {
    let nearest = Infinity;
    for (const other of this.rows.keys()) if (other > index && other < nearest) nearest = other;
    return this.rows.get(nearest) ?? null;
  }

  /** @param {FocusEvent} event */
  follow(event) {
    const index = event.target instanceof Element ? this.indexOf(event.target) : -1;
    if (index < 0 || index === this.active) return;
    this.active = index;
    this.layOut(true);
  }

  /** @param {KeyboardEvent} event */
  move(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || this.count === 0) return;
    const page = Math.max(1, Math.floor(this.viewport.clientHeight / this.maker.rowHeight) - 1);
    /** @type {Object<string, number>} */
    const targets = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.count - 1,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(this.count - 1, targets[event.key])));
  }
}
