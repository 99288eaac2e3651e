/**
 * A plot of the API as it fits its card.
 *
 * fitted(plot, width)   in a narrow card: no labels at points, small titles, fewer ticks, the colour bar below, and
 * what else is to be said as `note`, for which a narrow plot has no room; a triangle gets `more` height (px);
 * everywhere: long names of rows on two lines; legend entries in the colour of text where the points' own colour tells a number
 */
import { isNumber } from "./format.js";
import { plainText } from "./plot_table.js";
import { colour } from "./theme.js";

/** @typedef {{data: any[], layout: Record<string, any>}} Plot */

const NARROW = 560;
/** px of a tick label, and around the plot. */
const CHARACTER = 7;
const GAP = 12;
const MARGINS = 66;
/** Of a triangle below its legend. */
const TALLER = 60;
const LEGEND_MARK = 48;
const LEGEND_ROW = 22;
const LEGEND_ROWS = 2;
const NOTE = "note";

/** @param {Plot} plot @param {number} width px @returns {Plot & {note?: string, more?: number}} */
export function fitted(plot, width) {
  const legible = { data: withLegend(plot.data), layout: withNames(plot.layout, width) };
  return width < NARROW ? compact(legible, width) : legible;
}

/** @param {any[]} data */
function withLegend(data) {
  const entries = data.filter((trace) => trace.marker?.coloraxis && trace.name && trace.showlegend !== false).map((trace) => {
    const nowhere = trace.type === "scatterternary" ? { a: [null], b: [null], c: [null] } : { x: [null], y: [null] };
    const marker = { symbol: trace.marker.symbol, size: 10, color: colour("--soft"), line: { width: 2, color: colour("--soft") } };
    return { ...nowhere, type: trace.type, mode: "markers", name: trace.name, legendgroup: trace.name, marker, hoverinfo: "skip" };
  });
  if (!entries.length) return data;
  return [...data.map((trace) => (trace.marker?.coloraxis && trace.name ? { ...trace, legendgroup: trace.name, showlegend: false } : trace)), ...entries];
}

/** Long names of categories on two lines, cut where they would take the plot's room. @param {Record<string, any>} layout @param {number} width */
function withNames(layout, width) {
  const { yaxis } = layout;
  if (yaxis?.type !== "category" || !Array.isArray(yaxis.categoryarray)) return layout;
  const most = Math.floor((width * (width < NARROW ? 0.32 : 0.42)) / CHARACTER);
  const cut = (/** @type {string} */ line) => (plainText(line).length > most ? escaped(`${plainText(line).slice(0, most - 1)}…`) : line);
  const names = yaxis.categoryarray.map((/** @type {string} */ name) => (plainText(name).length > most ? name.split(/, (?=[^,]*$)/).map(cut).join("<br>") : name));
  return { ...layout, yaxis: { ...yaxis, tickmode: "array", tickvals: names.map((_, i) => i), ticktext: names } };
}

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Whole decades alone on a logarithmic axis with several. @param {any} axis @returns {any} */
function withDecades(axis) {
  const [low, high] = axis.range ?? [0, 0];
  return axis.type === "log" && Math.abs(high - low) > 1.2 ? { ...axis, dtick: Math.ceil(Math.abs(high - low) / 5) } : axis;
}

/** Those of the given ticks whose labels do not touch, from the last one backwards. @param {any} axis @param {number} room px @returns {any} */
function withRoom(axis, room) {
  const { tickvals, ticktext, range } = axis;
  if (!Array.isArray(tickvals) || !Array.isArray(ticktext) || !tickvals.every(isNumber)) return axis;
  const [low, high] = range ?? [Math.min(...tickvals), Math.max(...tickvals)];
  const longest = Math.max(...ticktext.flatMap((text) => plainText(String(text)).split("; ")).map((line) => line.length));
  const least = ((longest * CHARACTER + GAP) / room) * Math.abs(high - low);
  const order = tickvals.map((_, i) => i).sort((a, b) => tickvals[b] - tickvals[a]);
  const kept = /** @type {number[]} */ ([]);
  for (const i of order) if (!kept.length || tickvals[/** @type {number} */ (kept.at(-1))] - tickvals[i] >= least) kept.push(i);
  return { ...axis, tickvals: kept.map((i) => tickvals[i]), ticktext: kept.map((i) => ticktext[i]) };
}

/** Of the rows of a legend beyond those that a plot has room for, px. @param {any[]} data @param {number} width px */
function legendHeight(data, width) {
  const names = [...new Set(data.filter((trace) => trace.name && trace.showlegend !== false && trace.visible !== false).map((trace) => plainText(trace.name)))];
  const longest = Math.max(0, ...names.map((name) => name.length)) * CHARACTER + LEGEND_MARK;
  const columns = Math.max(1, Math.floor((width - MARGINS) / longest));
  return names.length < 2 ? 0 : LEGEND_ROW * Math.max(0, Math.ceil(names.length / columns) - LEGEND_ROWS);
}

/** @param {Plot} plot @param {number} width px @returns {Plot & {note: string, more: number}} */
function compact({ data, layout }, width) {
  const isTernary = Object.keys(layout).some((key) => key.startsWith("ternary"));
  const bar = layout.coloraxis?.colorbar;
  const result = /** @type {Record<string, any>} */ ({
    ...layout,
    margin: { ...layout.margin, l: isTernary ? 44 : 56, r: isTernary ? 44 : 10 },
    legend: { ...layout.legend, font: { size: 11.5 }, itemwidth: 30, ...(isTernary && { y: 1.18 }) },
  });
  const isNote = (/** @type {any} */ one) => one.name === NOTE;
  const notes = (layout.annotations ?? []).filter(isNote);
  if (notes.length) result.annotations = layout.annotations.filter((/** @type {any} */ one) => !isNote(one));
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis/.test(key) && layout[key].title) result[key] = { ...layout[key], title: { ...layout[key].title, font: { size: 11.5 } } };
    if (/^xaxis/.test(key)) result[key] = withDecades(withRoom(result[key], width - MARGINS));
  }
  if (bar) {
    const title = { ...bar.title, side: "bottom", text: bar.title?.text?.replaceAll("<br>", ", ") };
    const below = { orientation: "h", thickness: 10, len: 1, x: 0.5, xanchor: "center", y: isTernary ? -0.42 : -0.34, yanchor: "top", title };
    result.coloraxis = { ...layout.coloraxis, colorbar: { ...bar, ...below } };
  }
  const isCrowded = (/** @type {any} */ trace) => trace.mode === "markers+text" && (trace.hovertext || trace.hovertemplate);
  const shown = data.filter((trace) => trace.mode !== "text");
  const note = notes.map((/** @type {any} */ one) => plainText(one.text.replaceAll("<br>", " "))).join(" ");
  return { data: shown.map((trace) => (isCrowded(trace) ? { ...trace, mode: "markers" } : trace)), layout: result, note, more: (isTernary ? TALLER : 0) + legendHeight(shown, width) };
}
