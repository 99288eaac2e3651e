/**
 * How values read: the same words and digits as on the terminal and in reports.
 *
 * number(0.01234)                       "0.0123"; "–" for nothing
 * quantityText(q, { scale, digits })    "45.3 ± 3.1", "2.3 [0.8, 6.1]", "≥ 0.1"; q = {value, sd, lower, upper, status, note}
 * quantityOf(row, "sigma")              q from a flat API row (sigma, sigma_sd, sigma_lower, sigma_upper, sigma_status)
 * quantityNode(q, { unit, badge, reason })   element with number, unit and status badge; "not computed" where nothing is known
 * statusBadge("unconverged")  badge("text", "plain")  formulaNode("Na2ZrCl6")  missing()
 * duration(3700)  fileSize(12e6)  dateTime("2026-01-01T…")  count(12345, "candidate")  STATUS_LABELS  STATUS_MEANINGS
 */
import { h } from "./dom.js";

/** @typedef {{value?: number|null, sd?: number|null, lower?: number|null, upper?: number|null, status?: string|null, note?: string}} Quantity */

export const NOTHING = "–";
/** @type {Record<string, string>} */
export const STATUS_LABELS = {
  ok: "ok", extrapolated_through_tg: "through Tg", unconverged: "unconverged",
  out_of_domain: "out of domain", not_melted: "not melted", crystallised: "crystallised",
  decomposed: "decomposed", diverged: "diverged", failed: "failed",
};
/** @type {Record<string, string>} */
export const STATUS_MEANINGS = {
  ok: "met every criterion of convergence and sanity",
  extrapolated_through_tg: "converged, but the extrapolation to 300 K crosses the glass transition: below it the glass conducts otherwise",
  unconverged: "too short or too small to trust; only the bounds count",
  out_of_domain: "the potential was used outside of what it was trained on",
  not_melted: "the melt never flowed, so the glass remembers its start",
  crystallised: "order appeared where a glass was wanted",
  decomposed: "molecules formed that do not belong (Cl2, O2...)",
  diverged: "the run left physics and was stopped; its data are kept",
  failed: "no result",
};
const BROKEN = new Set(["decomposed", "diverged", "failed"]);

/** @param {unknown} value @returns {value is number} */
export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {number | null | undefined} value @param {number} [digits] significant */
export function number(value, digits = 3) {
  if (!isNumber(value)) return NOTHING;
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (isPlain(exponent)) return minus(value.toFixed(Math.max(digits - 1 - exponent, 0)));
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return minus(`${mantissa}e${Number(power)}`);
}

const isPlain = (/** @type {number} */ exponent) => exponent >= -3 && exponent < 4;
/** No negative zero. */
const minus = (/** @type {string} */ text) => text.replace(/^-(?=0(?:\.0*)?(?: |$))/, "").replaceAll("-", "−");

/** @param {Quantity | null | undefined} q @param {{scale?: number, digits?: number, decimals?: number}} [options] */
export function quantityText(q, { scale = 1, digits = 2, decimals } = {}) {
  if (!q) return NOTHING;
  const [value, lower, upper, sd] = [q.value, q.lower, q.upper, q.sd].map((v) => (isNumber(v) ? v * scale : null));
  if (value === null) return boundsText(lower, upper, digits);
  if (lower !== null && upper !== null && !isSymmetric(value, lower, upper)) {
    return `${number(value, digits)} [${number(lower, digits)}, ${number(upper, digits)}]`;
  }
  if ((lower === null) !== (upper === null)) return `${number(value, digits)} (${boundsText(lower, upper, digits)})`;
  if (sd !== null && sd > 0) return plusMinus(value, sd);
  return decimals === undefined ? number(value) : minus(value.toFixed(decimals));
}

/** @param {number} value @param {number} lower @param {number} upper */
function isSymmetric(value, lower, upper) {
  const [below, above] = [value - lower, upper - value];
  return below > 0 && above > 0 && above / below >= 0.8 && above / below <= 1.25;
}

/** @param {number | null} lower @param {number | null} upper @param {number} digits */
function boundsText(lower, upper, digits) {
  if (lower !== null && upper !== null) return `${number(lower, digits)} … ${number(upper, digits)}`;
  if (lower !== null) return `≥ ${number(lower, digits)}`;
  return upper === null ? NOTHING : `≤ ${number(upper, digits)}`;
}

/** One digit of the error, two below 3.55 of its first, as the Particle Data Group rounds. @param {number} value @param {number} sd */
function plusMinus(value, sd) {
  const exponent = Math.floor(Math.log10(Math.max(Math.abs(value), sd)));
  const power = isPlain(exponent) ? 0 : exponent;
  let [v, s] = [value / 10 ** power, sd / 10 ** power];
  const first = Math.floor(Math.log10(s));
  let decimals = -first + (s / 10 ** first < 3.55 ? 1 : 0);
  if (decimals < 0) {
    const unit = 10 ** -decimals;
    [v, s, decimals] = [Math.round(v / unit) * unit, Math.round(s / unit) * unit, 0];
  }
  const text = minus(`${v.toFixed(decimals)} ± ${s.toFixed(decimals)}`);
  return power ? `(${text})e${minus(String(power))}` : text;
}

/** @param {Record<string, any>} row @param {string} name @returns {Quantity} */
export function quantityOf(row, name) {
  return {
    value: row[name], sd: row[`${name}_sd`], lower: row[`${name}_lower`], upper: row[`${name}_upper`],
    status: row[`${name}_status`], note: row[`${name}_note`],
  };
}

/** @param {Quantity | null | undefined} q @returns {boolean} whether a number or a bound is known */
export const isKnown = (q) => Boolean(q) && [q?.value, q?.lower, q?.upper].some(isNumber);

/** @param {Quantity | null | undefined} q @param {{unit?: string, scale?: number, badge?: boolean, reason?: boolean}} [options] */
export function quantityNode(q, { unit = "", scale = 1, badge: withBadge = true, reason: withReason = false } = {}) {
  const status = q?.status;
  if (!isKnown(q)) {
    return h("span", null, missing(), status && status !== "ok" && [" ", statusBadge(status)]);
  }
  const why = withReason && status && status !== "ok" ? q?.note || STATUS_MEANINGS[status] : "";
  return h("span", null, h("span", { class: "number", text: quantityText(q, { scale }) }),
    unit && h("span", { class: "unit", text: ` ${unit}` }),
    withBadge && status && [" ", statusBadge(status)],
    why && h("span", { class: "soft small", text: ` ${why}` }));
}

/** @param {string | null | undefined} status */
export function statusBadge(status) {
  if (!status) return missing("no status");
  const kind = status === "ok" ? "ok" : BROKEN.has(status) ? "bad" : "not";
  return badge(STATUS_LABELS[status] ?? status, kind, STATUS_MEANINGS[status]);
}

/** @param {string} text @param {"ok"|"not"|"bad"|"plain"} [kind] @param {string} [title] */
export const badge = (text, kind = "plain", title = "") => h("span", { class: `badge ${kind}`, text, title });

/** @param {string} [text] */
export const missing = (text = "not computed") => h("span", { class: "missing", text });

/** Counts as subscripts: Na2O reads Na₂O; copied text stays Na2O. @param {string | null | undefined} formula */
export function formulaNode(formula) {
  const parts = String(formula ?? "").split(/((?<=[A-Z][a-z]?|\))\d+(?:\.\d+)?)/);
  const node = h("span", { class: "formula", translate: "no" });
  node.append(...parts.map((part, i) => (i % 2 ? h("sub", { text: part }) : document.createTextNode(part))));
  return node;
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  if (hours) return `${hours} h ${two(minutes)} min`;
  return minutes ? `${minutes} min ${two(rest)} s` : `${whole} s`;
}

/** @param {number | null | undefined} bytes */
export function fileSize(bytes) {
  if (!isNumber(bytes)) return NOTHING;
  for (const [unit, factor] of /** @type {[string, number][]} */ ([["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])) {
    if (bytes >= factor) return `${(bytes / factor).toFixed(1)} ${unit}`;
  }
  return `${bytes} B`;
}

/** @param {string | null | undefined} iso UTC */
export function dateTime(iso) {
  const date = iso ? new Date(/[zZ]|[+-]\d\d:\d\d$/.test(iso) ? iso : `${iso}Z`) : null;
  if (!date || Number.isNaN(date.getTime())) return NOTHING;
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** @param {number} n @param {string} [noun] */
export function count(n, noun = "") {
  const digits = n.toLocaleString("en-GB").replaceAll(",", "\u202f");
  return noun ? `${digits} ${noun}${n === 1 ? "" : "s"}` : digits;
}
