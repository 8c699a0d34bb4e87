/**
 * What is ticked. A choice is either everything but some names, and then takes in what appears later, or some names
 * and nothing else.
 */

/** @typedef {{runs: Choice, kinds: Choice, tags: Choice}} Choices */

export class Choice {
  /**
   * @param {boolean} [all] whether names that are not listed are chosen
   * @param {Iterable<string>} [names] the exceptions
   */
  constructor(all = true, names = []) {
    this.all = all;
    this.names = new Set(names);
  }

  /**
   * @param {string} name
   * @returns {boolean}
   */
  has(name) {
    return this.names.has(name) !== this.all;
  }

  /**
   * Choose names, or choose them no longer.
   *
   * @param {Iterable<string>} names
   * @param {boolean} on
   */
  set(names, on) {
    for (const name of names) {
      if (on === this.all) this.names.delete(name);
      else this.names.add(name);
    }
  }

  /**
   * Choose these and nothing else.
   *
   * @param {Iterable<string>} names
   */
  only(names) {
    this.all = false;
    this.names = new Set(names);
  }

  /** Choose everything, also what appears later. */
  everything() {
    this.all = true;
    this.names = new Set();
  }

  /**
   * @param {string[]} names
   * @returns {Uint8Array} 1 for each that is chosen
   */
  marks(names) {
    return Uint8Array.from(names, (name) => (this.has(name) ? 1 : 0));
  }

  /** @returns {{all: boolean, names: string[]}} what `from` takes */
  toJSON() {
    return { all: this.all, names: [...this.names] };
  }

  /**
   * @param {any} kept what `toJSON` gave, or anything that lies in its place
   * @returns {Choice}
   */
  static from(kept) {
    if (typeof kept?.all !== "boolean" || !Array.isArray(kept.names)) return new Choice();
    return new Choice(
      kept.all,
      kept.names.filter((/** @type {any} */ name) => typeof name === "string"),
    );
  }
}

/**
 * The part of an export request that says what of one sort to take: null for all, which is short and includes what is
 * written meanwhile, or the names.
 *
 * @param {Choice} choice
 * @param {string[]} names all there are
 * @param {ArrayLike<number>} counts how many series each has; those without do not matter
 * @returns {string[] | null}
 */
export function asked(choice, names, counts) {
  const there = names.filter((_, place) => counts[place] > 0);
  const chosen = there.filter((name) => choice.has(name));
  return chosen.length === there.length ? null : chosen;
}

/**
 * Make a filter of what somebody typed: a regular expression, as in TensorBoard, that takes no notice of case.
 *
 * @param {string} text
 * @returns {{matches: (name: string) => boolean, problem: string | null}} an expression with a mistake matches all
 */
export function filterOf(text) {
  if (text === "") return { matches: () => true, problem: null };
  try {
    const expression = new RegExp(text, "i");
    return { matches: (name) => expression.test(name), problem: null };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, "") : "";
    return { matches: () => true, problem: `Not a regular expression: ${reason.toLowerCase()}.` };
  }
}
