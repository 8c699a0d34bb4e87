/** Natural order of names: part_2 before part_10, lr=0.001 before lr=0.01, lr=1e-4 before 1e-3, v1.9 before v1.10. */

/** A number, or a version: with a v before it, or with more than one point in it. */
const NUMBER = /((?<![a-z])v|)(\d+(?:\.\d+)*)(e[-+]\d+)?/gi;

const TEXT = new Intl.Collator("en");

/**
 * Sort by name. Each name is parsed once, because a log directory may have a hundred thousand.
 *
 * @template T
 * @param {Iterable<T>} items
 * @param {(item: T) => string} nameOf
 * @returns {T[]} a new array
 */
export function inNameOrder(items, nameOf) {
  const named = Array.from(items, (item) => ({ item, name: nameOf(item), parts: partsOf(nameOf(item)) }));
  return named.sort(compareNamed).map(({ item }) => item);
}

/**
 * @param {string[]} names
 * @returns {Int32Array} the place of each name in the sorted list
 */
export function nameRanks(names) {
  const places = new Int32Array(names.length);
  inNameOrder(names.keys(), (index) => names[index]).forEach((index, place) => {
    places[index] = place;
  });
  return places;
}

/**
 * @param {string} name
 * @returns {(string | number)[]} text and numbers in turn
 */
function partsOf(name) {
  /** @type {(string | number)[]} */
  const parts = [];
  let end = 0;
  for (const { 0: whole, 1: mark, 2: digits, 3: exponent = "", index } of name.matchAll(NUMBER)) {
    parts.push(name.slice(end, index) + mark);
    const pieces = digits.split(".");
    const isVersion = mark !== "" || pieces.length > 2;
    if (isVersion) parts.push(...pieces.flatMap((piece, place) => (place ? [".", +piece] : [+piece])), exponent);
    else parts.push(Number(digits + exponent));
    end = index + whole.length;
  }
  if (end < name.length) parts.push(name.slice(end));
  return parts;
}

/**
 * @param {{name: string, parts: (string | number)[]}} one
 * @param {{name: string, parts: (string | number)[]}} other
 * @returns {number} 0 only for equal names
 */
function compareNamed(one, other) {
  const shared = Math.min(one.parts.length, other.parts.length);
  for (let place = 0; place < shared; place += 1) {
    const difference = compareParts(one.parts[place], other.parts[place]);
    if (difference) return difference;
  }
  return one.parts.length - other.parts.length || (one.name < other.name ? -1 : Number(one.name > other.name));
}

/**
 * @param {string | number} one
 * @param {string | number} other
 * @returns {number} numbers come before text
 */
function compareParts(one, other) {
  if (typeof one === "number") return typeof other === "number" ? Math.sign(one - other) : -1;
  if (typeof other === "number") return 1;
  return one === other ? 0 : TEXT.compare(one, other);
}
