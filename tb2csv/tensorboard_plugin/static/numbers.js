/** Numbers as text. */

const COUNT = new Intl.NumberFormat("en");
const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * @param {number | string} count steps beyond 2^53 are text
 * @returns {string} with separators: 14,000
 */
export function formatCount(count) {
  if (typeof count === "number") return COUNT.format(count);
  return /^-?\d+$/.test(count) ? COUNT.format(BigInt(count)) : count;
}

/**
 * @param {number} bytes
 * @returns {string} in powers of 1000, as file managers and browsers show sizes: 56.3 MB
 */
export function formatBytes(bytes) {
  let unit = 0;
  let size = bytes;
  while (size >= 999.5 && unit < SIZES.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return `${size.toFixed(digits)} ${SIZES[unit]}`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 * @returns {string} 1 table, 2,000 tables
 */
export function counted(count, one, many = `${one}s`) {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/**
 * @param {number} value
 * @returns {string} at most five significant digits, for the axes of a chart
 */
export function formatTick(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3)
    return value
      .toExponential(2)
      .replace(/\.?0+e/, "e")
      .replace("e+", "e");
  return String(Number(value.toPrecision(5)));
}

/**
 * @param {number} part
 * @param {number} whole
 * @returns {number} a share from 0 to 1; 0 if the whole is unknown
 */
export function share(part, whole) {
  return whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0;
}
