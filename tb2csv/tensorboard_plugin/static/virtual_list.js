/**
 * A list of which only the rows in sight are in the document, however long it is.
 *
 * One row can be reached by Tab; the arrow keys, Home, End, Page Up and Page Down go on from there. It stays in the
 * document when it is scrolled out of sight, so that the keyboard's place is never lost.
 */

import { element } from "./elements.js";

/** Rows beyond either end of what is in sight. */
const MARGIN = 4;

/** Browsers stop at about 17 million pixels; longer lists scroll faster than they are long. */
const TALLEST = 8_000_000;

/**
 * @typedef {Object} RowMaker
 * @property {number} rowHeight in pixels
 * @property {Object<string, any>} attributes of the list: role, label
 * @property {() => HTMLElement} create
 * @property {(row: HTMLElement, index: number, active: boolean) => void} fill active: the row that Tab reaches
 * @property {(row: HTMLElement) => HTMLElement} focusable what takes the focus in a row
 */

export class VirtualList {
  /**
   * @param {HTMLElement} viewport what scrolls
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
    viewport.addEventListener("scroll", () => this.lay(false), { passive: true });
    this.list.addEventListener("keydown", (event) => this.move(event));
    this.list.addEventListener("focusin", (event) => this.follow(event));
    new ResizeObserver(() => this.lay(false)).observe(viewport);
  }

  /**
   * Show this many rows, and fill those in sight anew.
   *
   * @param {number} count
   */
  show(count) {
    const hadFocus = this.list.contains(document.activeElement);
    this.count = count;
    this.active = Math.max(0, Math.min(this.active, count - 1));
    this.list.style.height = `${Math.min(TALLEST, count * this.maker.rowHeight)}px`;
    this.lay(true);
    if (hadFocus && count > 0 && !this.list.contains(document.activeElement)) this.focus(this.active);
  }

  /**
   * Bring a row into sight and make it the one that Tab reaches.
   *
   * @param {number} index
   */
  reveal(index) {
    this.active = index;
    const { rowHeight } = this.maker;
    const height = this.viewport.clientHeight;
    const top = index * rowHeight;
    const seen = this.seenFrom();
    if (top < seen) this.scrollTo(top);
    else if (top + rowHeight > seen + height) this.scrollTo(top + rowHeight - height);
    this.lay(true);
  }

  /**
   * Bring a row into sight and give it the focus.
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
   * @returns {number} the index of the row that an element is in, -1 outside
   */
  indexOf(inside) {
    const row = inside.closest("[data-index]");
    return row instanceof HTMLElement && this.list.contains(row) ? Number(row.dataset.index) : -1;
  }

  /** @returns {number} pixels of the list, were it in full length, above what is in sight */
  seenFrom() {
    return this.viewport.scrollTop * this.stretch();
  }

  /** @param {number} top pixels, were the list in full length */
  scrollTo(top) {
    this.viewport.scrollTop = top / this.stretch();
  }

  /** @returns {number} how much longer the list is than what scrolls */
  stretch() {
    const full = this.count * this.maker.rowHeight;
    if (full <= TALLEST) return 1;
    const height = this.viewport.clientHeight;
    return (full - height) / (TALLEST - height);
  }

  /** @param {boolean} anew whether rows that stay are filled again */
  lay(anew) {
    const { rowHeight, create, fill } = this.maker;
    const seen = this.seenFrom();
    // Where the list is shortened, rows stand where the scroll bar is, not where they would be.
    const shift = this.viewport.scrollTop - seen;
    const first = Math.max(0, Math.floor(seen / rowHeight) - MARGIN);
    const last = Math.min(this.count, Math.ceil((seen + this.viewport.clientHeight) / rowHeight) + MARGIN);
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
        // In the document as on the screen, for those who read on without the arrow keys.
        this.list.insertBefore(row, this.rowBehind(index));
        this.rows.set(index, row);
      }
      if (!known || anew) fill(row, index, index === this.active);
      if (!known || shift !== this.shift || anew) row.style.transform = `translateY(${index * rowHeight + shift}px)`;
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
  rowBehind(index) {
    let nearest = Infinity;
    for (const other of this.rows.keys()) if (other > index && other < nearest) nearest = other;
    return this.rows.get(nearest) ?? null;
  }

  /** @param {FocusEvent} event */
  follow(event) {
    const index = event.target instanceof Element ? this.indexOf(event.target) : -1;
    if (index < 0 || index === this.active) return;
    this.active = index;
    this.lay(true);
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
