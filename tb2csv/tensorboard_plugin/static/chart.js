/** A small line chart of a series, to recognize it by. */

import { drawing, element, replace, setText } from "./elements.js";
import { counted, formatCount, formatTick } from "./numbers.js";

const HEIGHT = 168;
const BORDER = { left: 52, right: 12, top: 10, bottom: 24 };

/** @typedef {{step: number, value: number}} Point */

/**
 * Make a chart.
 *
 * @param {{step: (number | string)[], value: (number | string | null)[]}} data values that are not finite are text
 * @param {string} colour
 * @returns {HTMLElement} a figure, which is drawn again whenever its width changes
 */
export function chart(data, colour) {
  const points = data.step.map((step, index) => ({
    step: Number(step),
    value: Number(data.value[index] ?? Number.NaN),
  }));
  const finite = points.filter(({ step, value }) => Number.isFinite(step) && Number.isFinite(value));
  const skipped = points.length - finite.length;
  const readout = element("figcaption", { class: "chart-readout" });
  const summary = skipped
    ? `${counted(skipped, "point")} of the chart ${skipped === 1 ? "is" : "are"} not finite and not drawn.`
    : "";
  setText(readout, summary);
  if (finite.length === 0) {
    return element("figure", { class: "chart" }, element("p", { class: "chart-empty" }, "No finite values to draw."));
  }
  const picture = drawing("svg", { role: "img", "aria-label": describe(finite), height: HEIGHT, width: "100%" });
  const figure = element("figure", { class: "chart" }, picture, readout);
  let scales = scalesOf(finite, 320);
  const draw = () => {
    const width = figure.clientWidth;
    if (width === 0) return;
    scales = scalesOf(finite, width);
    replace(picture, ...axes(scales), ...lines(points, scales, colour));
  };
  new ResizeObserver(draw).observe(figure);
  const marker = drawing("circle", { r: 4, style: `fill:${colour}`, class: "chart-marker" });
  picture.addEventListener("pointermove", (event) => {
    const x = /** @type {PointerEvent} */ (event).clientX - picture.getBoundingClientRect().left;
    const near = nearest(finite, x, scales);
    marker.setAttribute("cx", String(scales.x(near.step)));
    marker.setAttribute("cy", String(scales.y(near.value)));
    if (!marker.isConnected) picture.append(marker);
    setText(readout, `Step ${formatCount(near.step)}: ${near.value}`);
  });
  picture.addEventListener("pointerleave", () => {
    marker.remove();
    setText(readout, summary);
  });
  return figure;
}

/**
 * @param {Point[]} points
 * @returns {string}
 */
function describe(points) {
  const first = points[0];
  const last = points[points.length - 1];
  const [low, high] = extent(points.map(({ value }) => value));
  const end = (/** @type {Point} */ { step, value }) => `${formatTick(value)} at step ${step}`;
  return `Line from ${end(first)} to ${end(last)}, lowest ${formatTick(low)}, highest ${formatTick(high)}`;
}

/**
 * @param {number[]} numbers
 * @returns {[number, number]}
 */
function extent(numbers) {
  return [Math.min(...numbers), Math.max(...numbers)];
}

/**
 * @typedef {Object} Scales
 * @property {number} width
 * @property {(step: number) => number} x
 * @property {(value: number) => number} y
 * @property {number[]} steps ticks
 * @property {number[]} values ticks
 *
 * @param {Point[]} points
 * @param {number} width
 * @returns {Scales}
 */
function scalesOf(points, width) {
  const across = widened(extent(points.map(({ step }) => step)), 0);
  const up = widened(extent(points.map(({ value }) => value)), 0.05);
  const toX = (/** @type {number} */ step) => BORDER.left + part(step, across) * (width - BORDER.left - BORDER.right);
  const toY = (/** @type {number} */ value) =>
    HEIGHT - BORDER.bottom - part(value, up) * (HEIGHT - BORDER.top - BORDER.bottom);
  return { width, x: toX, y: toY, steps: ticks(across, Math.max(2, Math.floor(width / 90))), values: ticks(up, 4) };
}

/**
 * @param {number} number
 * @param {[number, number]} range
 * @returns {number} from 0 to 1
 */
function part(number, [low, high]) {
  if (Number.isFinite(high - low)) return (number - low) / (high - low);
  // The difference overflows: divide by two first.
  return (number / 2 - low / 2) / (high / 2 - low / 2);
}

/**
 * @param {[number, number]} range
 * @param {number} by the share of the range to add at both ends
 * @returns {[number, number]} never empty
 */
function widened([low, high], by) {
  const span = high - low;
  if (span === 0) {
    const half = Math.abs(low) * 0.1 || 0.5;
    return [low - half, high + half];
  }
  if (!Number.isFinite(span)) return [low, high];
  return [low - span * by, high + span * by];
}

/**
 * @param {[number, number]} range
 * @param {number} about approximate number of ticks
 * @returns {number[]} round numbers
 */
function ticks([low, high], about) {
  const rough = (high - low) / about;
  if (!(rough > 0) || !Number.isFinite(rough)) return [low, high];
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  const first = Math.ceil(low / unit);
  const count = Math.floor(high / unit) - first;
  // Multiply instead of adding up, which would accumulate errors: 0.30000000000000004.
  return Array.from({ length: Math.min(20, count + 1) }, (_, index) =>
    Number(((first + index) * unit).toPrecision(12)),
  );
}

/**
 * @param {Scales} scales
 * @returns {SVGElement[]}
 */
function axes({ width, x, y, steps, values }) {
  const bottom = HEIGHT - BORDER.bottom;
  const made = [];
  for (const value of values) {
    made.push(
      drawing("line", { class: "chart-grid", x1: BORDER.left, x2: width - BORDER.right, y1: y(value), y2: y(value) }),
    );
    made.push(
      drawing(
        "text",
        { class: "chart-label", x: BORDER.left - 6, y: y(value) + 4, "text-anchor": "end" },
        formatTick(value),
      ),
    );
  }
  for (const step of steps) {
    made.push(drawing("line", { class: "chart-grid", x1: x(step), x2: x(step), y1: BORDER.top, y2: bottom }));
    made.push(
      drawing("text", { class: "chart-label", x: x(step), y: HEIGHT - 8, "text-anchor": "middle" }, formatTick(step)),
    );
  }
  made.push(
    drawing("line", { class: "chart-axis", x1: BORDER.left, x2: width - BORDER.right, y1: bottom, y2: bottom }),
  );
  return made;
}

/**
 * @param {Point[]} points in the order of the file; a value that is not finite breaks the line
 * @param {Scales} scales
 * @param {string} colour
 * @returns {SVGElement[]}
 */
function lines(points, { x, y }, colour) {
  let path = "";
  let broken = true;
  /** @type {SVGElement[]} */
  const alone = [];
  points.forEach(({ step, value }, index) => {
    if (!Number.isFinite(step) || !Number.isFinite(value)) {
      broken = true;
      return;
    }
    const ends = index + 1 === points.length || !Number.isFinite(points[index + 1].value);
    if (broken && ends) alone.push(drawing("circle", { cx: x(step), cy: y(value), r: 2.5, style: `fill:${colour}` }));
    path += `${broken ? "M" : "L"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
    broken = false;
  });
  return [drawing("path", { class: "chart-line", d: path, style: `stroke:${colour}` }), ...alone];
}

/**
 * @param {Point[]} points
 * @param {number} x in pixels
 * @param {Scales} scales
 * @returns {Point}
 */
function nearest(points, x, scales) {
  return points.reduce((best, point) =>
    Math.abs(scales.x(point.step) - x) < Math.abs(scales.x(best.step) - x) ? point : best,
  );
}
