/**
 * How two quantities differ, and whether their errors leave room for doubt.
 *
 * difference(shown, mine, reference, isOneLevel) → { text, isClear } | null     ratio for σ and D, else difference
 * endsOf(q) → [least, most] | null    the 95 % interval, one-sided bounds open (±Infinity)
 *
 * Numbers are subtracted only at one level of theory and where both are ok; of what is not, a bound may still tell.
 */
import { isKnown, isNumber, number, quantityText, STATUS_LABELS } from "../common/format.js";

/** @typedef {import("../common/format.js").Quantity} Quantity */
/** @typedef {import("../common/fields.js").Shown} Shown */
/** @typedef {{text: string, isClear: boolean}} Difference */

const TWO_SIDED_95 = 1.96;
const NOISE = 1e-9;

/** @param {Shown} field @returns {boolean} whether decades matter more than differences */
export const isLog = (field) => field.name === "sigma" || field.name === "sigma_c" || field.name.startsWith("d_");

/** @param {Quantity} q @returns {[number, number] | null} */
export function endsOf(q) {
  if (!isKnown(q)) return null;
  const { value, lower, upper, sd } = q;
  if (isNumber(lower) || isNumber(upper)) return [isNumber(lower) ? lower : -Infinity, isNumber(upper) ? upper : Infinity];
  if (!isNumber(value)) return null;
  const half = isNumber(sd) ? TWO_SIDED_95 * sd : 0;
  return [value - half, value + half];
}

/** @param {Quantity} q */
const isOk = ({ status }) => !status || status === "ok";

/** Of what is not converged only a bound counts. @param {Quantity} q */
const isBound = ({ status, lower, upper }) => status === "unconverged" && isNumber(lower) !== isNumber(upper);

/** @param {Quantity} q */
const hasError = ({ sd, lower, upper }) => isNumber(sd) || isNumber(lower) || isNumber(upper);

/** @param {Shown} field @param {Quantity} mine @param {Quantity} reference @param {boolean} isOneLevel @returns {Difference | null} */
export function difference(field, mine, reference, isOneLevel) {
  const [own, other] = [endsOf(mine), endsOf(reference)];
  if (!own || !other) return null;
  if (!isOneLevel) return { text: "another level", isClear: false };
  const wrong = [mine, reference].find((q) => !isOk(q) && !isBound(q));
  if (wrong) return { text: `not compared: ${STATUS_LABELS[wrong.status ?? ""] ?? wrong.status}`, isClear: false };
  const isClear = hasError(mine) && hasError(reference) && (own[0] > other[1] || own[1] < other[0]);
  if (!isOk(mine) || !isOk(reference) || !isNumber(mine.value) || !isNumber(reference.value)) {
    return { text: !isClear ? "cannot be told apart" : own[0] > other[1] ? "larger" : "smaller", isClear };
  }
  const isRatio = isLog(field) && mine.value > 0 && reference.value > 0;
  const change = mine.value - reference.value;
  const least = NOISE * Math.max(Math.abs(mine.value), Math.abs(reference.value), isRatio ? 0 : 1);
  if (Math.abs(change) <= least) return { text: "the same", isClear: false };
  const sd = isNumber(mine.sd) && isNumber(reference.sd) ? Math.hypot(mine.sd, reference.sd) : null;
  const amount = isRatio ? `×${number(mine.value / reference.value, 2)}`
    : quantityText({ value: change, sd }, { scale: field.scale, decimals: field.scale === 1 ? undefined : 0 }).replace(/^\(?(?=\d)/, "$&+");
  if (!hasError(mine) || !hasError(reference)) return { text: `${amount}, error not known`, isClear: false };
  return { text: isClear ? amount : `${amount}, within the errors`, isClear };
}
