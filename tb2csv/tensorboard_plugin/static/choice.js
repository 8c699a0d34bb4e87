/**
 * The ticked names of a list. A choice is either all names except some, which includes names that appear later, or only
 * some names.
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
   * Add names to the choice, or remove them.
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
   * Choose only these names.
   *
   * @param {Iterable<string>} names
   */
  only(names) {
    this.all = false;
    this.names = new Set(names);
  }

  /** Choose all names, including those that appear later. */
  everything() {
    this.all = true;
    this.names = new Set();
  }

  /**
   * @param {string[]} names
   * @returns {Uint8Array} 1 for each chosen name, 0 for the others
   */
  marks(names) {
    return Uint8Array.from(names, (name) => (this.has(name) ? 1 : 0));
  }

  /** @returns {{all: boolean, names: string[]}} the argument of `from` */
  toJSON() {
    return { all: this.all, names: [...this.names] };
  }

  /**
   * @param {any} kept a result of `toJSON`; anything else gives the choice of all names
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

/** The chosen names that match a filter, which are what an export has. */
export class FilteredChoice {
  /**
   * @param {Choice} choice
   * @param {(name: string) => boolean} matches
   */
  constructor(choice, matches) {
    this.choice = choice;
    this.matches = matches;
  }

  /** @param {string} name */
  has(name) {
    return this.choice.has(name) && this.matches(name);
  }

  /**
   * @param {string[]} names
   * @returns {Uint8Array} 1 for each name that is chosen and matches, 0 for the others
   */
  marks(names) {
    return Uint8Array.from(names, (name) => (this.has(name) ? 1 : 0));
  }
}

/**
 * Return the runs, tags or kinds of an export request: the chosen names, or null for all of them. Null keeps the
 * request short and includes names that are written before the export starts.
 *
 * @param {{has(name: string): boolean}} choice
 * @param {string[]} names all names
 * @param {ArrayLike<number>} counts the number of series of each name; names without series are ignored
 * @returns {string[] | null}
 */
export function selectedNames(choice, names, counts) {
  const present = names.filter((_, place) => counts[place] > 0);
  const chosen = present.filter((name) => choice.has(name));
  return chosen.length === present.length ? null : chosen;
}

/**
 * Make a filter from the user's text: a regular expression that ignores case, as in TensorBoard.
 *
 * @param {string} text
 * @returns {{matches: (name: string) => boolean, problem: string | null}} an invalid expression matches all names
 */
export function filterOf(text) {
  if (text === "") return { matches: () => true, problem: null };
  try {
    const expression = new RegExp(text, "i");
    return { matches: (name) => expression.test(name), problem: null };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, "") : "";
    return { matches: () => true, problem: `Invalid regular expression: ${reason.toLowerCase()}.` };
  }
}
