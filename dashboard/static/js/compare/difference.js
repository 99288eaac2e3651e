/**
 * How two quantities differ, and whether their errors leave room for doubt.
 *
 * difference(shown, mine, reference) → { text, isClear } | null     ratio for σ and D, else difference
 * endsOf(q) → [least, most] | null    the 95 % interval, one-sided bounds open (±Infinity)
 */
import { isKnown, isNumber, number } from "../common/format.js";

/** @typedef {import("../common/format.js").Quantity} Quantity */
/** @typedef {import("../common/fields.js").Shown} Shown */

const TWO_SIDED_95 = 1.96;

/** @param {Shown} field @returns {boolean} whether decades matter more than differences */
export const isLog = (field) => field.name === "sigma" || field.name.startsWith("d_");

/** @param {Quantity} q @returns {[number, number] | null} */
export function endsOf(q) {
  if (!isKnown(q)) return null;
  const { value, lower, upper, sd } = q;
  if (isNumber(lower) || isNumber(upper)) return [isNumber(lower) ? lower : -Infinity, isNumber(upper) ? upper : Infinity];
  if (!isNumber(value)) return null;
  const half = isNumber(sd) ? TWO_SIDED_95 * sd : 0;
  return [value - half, value + half];
}

/** @param {Shown} field @param {Quantity} mine @param {Quantity} reference */
export function difference(field, mine, reference) {
  const [own, other] = [endsOf(mine), endsOf(reference)];
  if (!own || !other) return null;
  const isClear = own[0] > other[1] || own[1] < other[0];
  if (!isNumber(mine.value) || !isNumber(reference.value)) {
    return isClear ? { text: own[0] > other[1] ? "larger" : "smaller", isClear } : { text: "cannot be told apart", isClear };
  }
  if (mine.value === reference.value) return { text: "the same", isClear: false };
  const isRatio = isLog(field) && mine.value > 0 && reference.value > 0;
  const change = (mine.value - reference.value) * field.scale;
  const amount = isRatio ? `×${number(mine.value / reference.value, 2)}` : `${change > 0 ? "+" : ""}${number(change, 2)}`;
  return { text: isClear ? amount : `${amount}, within the errors`, isClear };
}
