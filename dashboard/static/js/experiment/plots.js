/**
 * Parity and residual plots of published and computed values.
 *
 * parity(PLOTTED[0], rows)   residuals(PLOTTED[0], rows)   plotly { data, layout, caption }, or null
 */
import { quantityText } from "../common/format.js";

/** @typedef {import("../common/format.js").Quantity} Quantity */
/** @typedef {{candidate_id: string, label: string, phase: string, phase_note: string, computed: Quantity, reason: string, level: string, like_with_like: boolean, caution: string, residual: Quantity | null}} Pair */
/** @typedef {{quantity: string, quantity_label: string, published: Quantity, published_text: string, kind: string, source: string, phases_present: string, conditions: string, electrode: string | null, family: string, former: string | null, at: Record<string, number>, sample_phase: string | null, computed: Pair[]}} Published */
/** @typedef {{id: string, quantity: string, title: string, unit: string, isLog: boolean, near: number}} Plotted */
/** @typedef {{row: Published, pair: Pair, x: Mark, y: Mark}} Point */
/** @typedef {{at: number, minus: number, plus: number, bound: "" | "at least" | "at most"}} Mark */

/** @type {Plotted[]} */
export const PLOTTED = [
  { id: "sigma", quantity: "sigma_300k_ms_cm", title: "σ(300 K)", unit: "mS/cm", isLog: true, near: 1 },
  { id: "ea", quantity: "activation_energy_ev", title: "Eₐ", unit: "eV", isLog: false, near: 0.1 },
];
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#A6761D", "#7A828C"];
const SYMBOLS = ["circle", "square", "diamond", "cross", "star", "hexagon", "pentagon", "x"];
const GREY = "#7A828C";
const TWO_SIDED_95 = 1.96;

/** Where a quantity is drawn: its value, or the bound that is known. @param {Quantity | null} q @param {boolean} isLog @returns {Mark | null} */
export function markOf(q, isLog) {
  const known = (/** @type {number | null | undefined} */ v) => (typeof v === "number" && Number.isFinite(v) && (!isLog || v > 0) ? v : null);
  const [value, lower, upper, sd] = [known(q?.value), known(q?.lower), known(q?.upper), q?.sd ?? 0];
  if (value === null && lower !== null && upper !== null) {
    const middle = isLog ? Math.sqrt(lower * upper) : (lower + upper) / 2;
    return { at: middle, minus: middle - lower, plus: upper - middle, bound: "" };
  }
  if (value === null) {
    const at = lower ?? upper;
    return at === null ? null : { at, minus: 0, plus: 0, bound: lower === null ? "at most" : "at least" };
  }
  const [low, high] = [lower ?? value - TWO_SIDED_95 * sd, upper ?? value + TWO_SIDED_95 * sd];
  return { at: value, minus: Math.max(value - (isLog && low <= 0 ? value / 10 : low), 0), plus: Math.max(high - value, 0), bound: "" };
}

/** @param {Plotted} plotted @param {Published[]} rows @returns {Point[]} */
function parityPoints({ quantity, isLog }, rows) {
  return rows.filter((row) => row.quantity === quantity).flatMap((row) => row.computed.map((pair) =>
    ({ row, pair, x: markOf(row.published, isLog), y: markOf(pair.computed, isLog) }))).filter(isDrawn);
}

/** @param {Plotted} plotted @param {Published[]} rows @returns {Point[]} */
function residualPoints({ quantity, isLog }, rows) {
  return rows.filter((row) => row.quantity === quantity).flatMap((row) => row.computed.map((pair) =>
    ({ row, pair, x: markOf(row.published, isLog), y: markOf(pair.residual, false) }))).filter(isDrawn);
}

/** @param {{x: Mark | null, y: Mark | null}} point @returns {point is Point} */
const isDrawn = (point) => point.x !== null && point.y !== null;

/** @param {Plotted} plotted @param {Published[]} rows */
export function parity(plotted, rows) {
  const points = parityPoints(plotted, rows);
  if (!points.length) return null;
  const { isLog, near, unit, title } = plotted;
  const range = rangeOf(points.flatMap(({ x, y }) => [x.at - x.minus, x.at + x.plus, y.at - y.minus, y.at + y.plus, x.at, y.at]), isLog);
  const ends = isLog ? range.map((power) => 10 ** power) : range;
  const shifted = (/** @type {number} */ by) => ends.map((end) => (isLog ? end * 10 ** by : end + by));
  return {
    data: [...lines(ends, [shifted(near), shifted(-near)]), ...traces(points, rows)],
    layout: layout(axis(`published ${title} (${unit})`, range, isLog), axis(`computed ${title} (${unit})`, range, isLog)),
    caption: `Line: equal; dotted: ${isLog ? "a factor of 10" : `${near} ${unit}`} off. ${SYMBOL_KEY}${left(plotted, points, rows)}`,
  };
}

/** @param {Plotted} plotted @param {Published[]} rows */
export function residuals(plotted, rows) {
  const points = residualPoints(plotted, rows);
  if (!points.length) return null;
  const { isLog, near, unit, title } = plotted;
  const wide = rangeOf(points.flatMap(({ x }) => [x.at - x.minus, x.at + x.plus, x.at]), isLog);
  const high = rangeOf([...points.flatMap(({ y }) => [y.at - y.minus, y.at + y.plus]), 1.3 * near, -1.3 * near], false);
  const ends = isLog ? wide.map((power) => 10 ** power) : wide;
  const across = [[0, 0], [near, near], [-near, -near]];
  return {
    data: [...across.map((level, i) => line(ends, level, i ? "dot" : "solid")), ...traces(points, rows)],
    layout: layout(axis(`published ${title} (${unit})`, wide, isLog), axis(isLog ? "log₁₀(computed / published)" : `computed − published (${unit})`, high, false)),
    caption: `Above zero: computed too ${isLog ? "fast" : "high"}. ${SYMBOL_KEY}`,
  };
}

const SYMBOL_KEY = "Filled: like with like; open: not of the same state of matter. Arrows: only a bound is known.";

/** Say what cannot be drawn. @param {Plotted} plotted @param {Point[]} points @param {Published[]} rows */
function left({ quantity }, points, rows) {
  const all = rows.filter((row) => row.quantity === quantity).flatMap((row) => row.computed).length;
  return all > points.length ? ` ${all - points.length} of ${all} pairs are not drawn: no number was computed.` : "";
}

/** One trace per level of theory and likeness. @param {Point[]} points @param {Published[]} rows */
function traces(points, rows) {
  const levels = [...new Set(rows.flatMap((row) => row.computed.map((pair) => pair.level)))].sort();
  return levels.flatMap((level, i) => [true, false].map((alike) => {
    const own = points.filter(({ pair }) => pair.level === level && pair.like_with_like === alike);
    const colour = COLOURS[i % COLOURS.length];
    return {
      type: "scatter", mode: "markers", name: `${safe(level || "level not known")}${alike ? "" : ", not alike"}`,
      x: own.map(({ x }) => x.at), y: own.map(({ y }) => y.at), customdata: own.map(({ pair }) => pair.candidate_id),
      error_x: bars(own.map(({ x }) => x), colour), error_y: bars(own.map(({ y }) => y), colour),
      hovertext: own.map(hover), hovertemplate: "%{hovertext}<extra></extra>",
      marker: { color: colour, size: 9, opacity: alike ? 0.95 : 0.8, symbol: own.map((point) => symbol(point, SYMBOLS[i % SYMBOLS.length], alike)), line: { width: 1.4, color: colour } },
    };
  })).filter((trace) => trace.x.length);
}

/** @param {Mark[]} marks @param {string} colour */
function bars(marks, colour) {
  return { type: "data", symmetric: false, array: marks.map(({ plus }) => plus), arrayminus: marks.map(({ minus }) => minus), thickness: 1, width: 0, color: colour };
}

/** @param {Point} point @param {string} own @param {boolean} alike */
function symbol({ x, y }, own, alike) {
  const arrow = y.bound ? (y.bound === "at least" ? "triangle-up" : "triangle-down")
    : x.bound && (x.bound === "at least" ? "triangle-right" : "triangle-left");
  return `${arrow || own}${alike ? "" : "-open"}`;
}

/** @param {Point} point */
function hover({ row, pair }) {
  const lines = [
    `<b>${safe(pair.label)}</b>`,
    `computed ${safe(quantityText(pair.computed))} (${safe(pair.level)})`,
    `published ${safe(row.published_text)}: ${safe(row.source)}`,
    safe(row.phases_present), safe(pair.caution),
  ];
  return lines.filter(Boolean).join("<br>");
}

/** plotly reads a few tags in its texts. @param {string} text */
function safe(text) {
  const short = text.length > 110 ? `${text.slice(0, 109)}…` : text;
  return short.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** @param {number[]} ends @param {number[][]} others */
const lines = (ends, others) => [line(ends, ends, "solid"), ...others.map((other) => line(ends, other, "dot"))];

/** @param {number[]} x @param {number[]} y @param {string} dash */
const line = (x, y, dash) => ({ type: "scatter", mode: "lines", x, y, hoverinfo: "skip", showlegend: false, line: { color: GREY, width: 1.2, dash } });

/** @param {number[]} values @param {boolean} isLog */
function rangeOf(values, isLog) {
  const known = values.filter((value) => Number.isFinite(value) && (!isLog || value > 0)).map((value) => (isLog ? Math.log10(value) : value));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = Math.max(0.06 * (high - low), isLog ? 0.3 : 0.02);
  return [low - room, high + room];
}

/** @param {string} title @param {number[]} range @param {boolean} isLog */
function axis(title, range, isLog) {
  return {
    title: { text: title, standoff: 8 }, range, showline: true, mirror: true, ticks: "outside", zeroline: false, automargin: true,
    ...(isLog ? { type: "log", exponentformat: "power", dtick: Math.max(Math.ceil((range[1] - range[0]) / 7), 1) } : {}),
  };
}

/** @param {object} xaxis @param {object} yaxis */
const layout = (xaxis, yaxis) => ({ xaxis, yaxis, margin: { l: 60, r: 12, t: 8, b: 50 }, legend: { orientation: "h", y: -0.2, x: 0 }, hovermode: "closest" });
