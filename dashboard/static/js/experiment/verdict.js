/**
 * How far computed values are off measured ones, in words: of pairs that are like with like and ok.
 *
 * verdictOn(PLOTTED[0], rows) → sentence      medianOf([1, 2, 4, 8]) → 3      PLOTTED: the quantities that are drawn
 */
import { count, isKnown, isNumber, number } from "../common/format.js";

/** @typedef {import("../common/format.js").Quantity} Quantity */
/** @typedef {{candidate_id: string, candidate_family: string, label: string, phase: string, phase_note: string, computed: Quantity, reason: string, level: string, like_with_like: boolean, caution: string, residual: Quantity | null}} Pair */
/** @typedef {{quantity: string, quantity_label: string, published: Quantity, published_text: string, kind: string, source: string, phases_present: string, conditions: string, electrode: string | null, family: string, former: string | null, at: Record<string, number>, sample_phase: string | null, computed: Pair[]}} Published */
/** @typedef {{id: string, field: string, quantity: string, title: string, unit: string, isLog: boolean, near: number}} Plotted */

/** @type {Plotted[]} */
export const PLOTTED = [
  { id: "sigma", field: "sigma", quantity: "sigma_300k_ms_cm", title: "σ(300 K)", unit: "mS/cm", isLog: true, near: 1 },
  { id: "ea", field: "e_a", quantity: "activation_energy_ev", title: "Eₐ", unit: "eV", isLog: false, near: 0.1 },
];

/** @param {number[]} values at least one */
export function medianOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
}

/** The value, or the middle of a published range; a single bound tells no deviation. @param {Quantity | null} residual */
function deviation(residual) {
  const { value, lower, upper } = residual ?? {};
  if (isNumber(value)) return Math.abs(value);
  return isNumber(lower) && isNumber(upper) ? Math.abs(lower + upper) / 2 : null;
}

/** @param {Plotted} plotted @param {Published[]} rows */
export function verdictOn({ quantity, title, isLog, unit, near }, rows) {
  const measured = rows.filter((row) => row.quantity === quantity && row.kind === "experiment");
  const alike = measured.flatMap((row) => row.computed).filter((pair) => pair.like_with_like && isKnown(pair.computed));
  const trusted = alike.filter(({ computed }) => computed.status === "ok");
  const sizes = trusted.map(({ residual }) => deviation(residual)).filter(isNumber);
  const left = alike.length - trusted.length;
  const rest = left ? `; ${count(left, "more pair")} left out, as what was computed is not ok` : "";
  if (!alike.length) return `${title}: no computed value of the same state of matter to compare with.`;
  if (!sizes.length) return `${title}: no computed value to judge by${rest}.`;
  const words = (/** @type {number} */ size) => (isLog ? `a factor of ${number(10 ** size, 2)}` : `${number(size, 2)} ${unit}`);
  const within = sizes.filter((size) => size <= near).length;
  const found = sizes.length === 1 ? `off by ${words(sizes[0])} in the one pair that is like with like and ok`
    : `median deviation ${words(medianOf(sizes))} over ${count(sizes.length, "pair")} like with like and ok, ${within} of them within ${words(near)}`;
  return `${title}: ${found}${rest}.`;
}
