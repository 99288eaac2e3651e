/**
 * Where a value stands among those compared: a dot with its interval on a line from least to most.
 *
 * scaleOf(shown, quantities) → (value) => 0…1, or null when there is nothing to tell apart
 * stripNode(quantity, scale, colour)
 */
import { h } from "../common/dom.js";
import { isNumber } from "../common/format.js";
import { endsOf, isLog } from "./difference.js";

/** @typedef {import("../common/format.js").Quantity} Quantity */
/** @typedef {(value: number) => number} Scale */

/** @param {import("../common/fields.js").Shown} field @param {Quantity[]} quantities @returns {Scale | null} */
export function scaleOf(field, quantities) {
  const all = quantities.flatMap((q) => [q.value, ...(endsOf(q) ?? [])]).filter((v) => isNumber(v) && Number.isFinite(v));
  const isDecades = isLog(field) && all.every((v) => Number(v) > 0);
  const map = isDecades ? Math.log10 : (/** @type {number} */ v) => v;
  const [low, high] = [Math.min(...all.map((v) => map(Number(v)))), Math.max(...all.map((v) => map(Number(v))))];
  if (!(high > low)) return null;
  return (value) => {
    const place = value <= 0 && isDecades ? 0 : (map(value) - low) / (high - low);
    return Math.min(1, Math.max(0, Number.isNaN(place) ? 0 : place));
  };
}

/** @param {Quantity} q @param {Scale} scale @param {string} colour a CSS value */
export function stripNode(q, scale, colour) {
  const ends = endsOf(q);
  if (!ends) return null;
  const [from, to] = ends.map(scale);
  const at = q.value ?? (Number.isFinite(ends[0]) ? ends[0] : ends[1]);
  return h("div", { class: "strip", aria: { hidden: true }, style: { "--mine": colour } },
    h("i", { style: { left: `${100 * from}%`, width: `${100 * (to - from)}%` } }),
    h("b", { class: q.value === null || q.value === undefined ? "bound" : "", style: { left: `${100 * scale(at)}%` } }));
}
