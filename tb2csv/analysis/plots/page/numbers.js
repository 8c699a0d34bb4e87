/** Numbers and times as text, and the ticks of axes. */

"use strict";

/**
 * Return a number as text with as many digits as the range of an axis needs.
 *
 * @param {number} value
 * @param {number} [span] the distance that should be visible in the text
 */
function numberText(value, span = 0) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(3).replace(/\.?0+e/, "e");
  const digits = span > 0 ? Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(span)))) : 6;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

/**
 * @param {number} days
 * @returns {string} a date and time in UTC
 */
function dateText(days) {
  const date = new Date(days * 86400000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace("T", " ").slice(0, 19);
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} most
 * @returns {number[]} round numbers between two ends
 */
function ticksBetween(low, high, most) {
  const rough = (high - low) / most;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough) ?? 10 * power;
  const ticks = [];
  for (let count = Math.ceil(low / step); count * step <= high + step * 1e-9; count += 1) ticks.push(count * step);
  return ticks;
}

/**
 * @param {number} low
 * @param {number} high
 * @returns {number[]} powers of ten, or their parts if there are few
 */
function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const parts = last - first > 3 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil((last - first) / 7));
  const ticks = [];
  for (let power = first; power <= last; power += every) for (const part of parts) ticks.push(part * 10 ** power);
  return ticks.filter((tick) => tick >= low && tick <= high);
}
