/**
 * A plot of the API as it fits its card.
 *
 * fitted(plot, width)   in a narrow card: no labels at points, small titles, the colour bar below;
 * everywhere: legend entries in the colour of text where the points' own colour tells a number
 */
import { colour } from "./theme.js";

/** @typedef {{data: any[], layout: Record<string, any>}} Plot */

const NARROW = 560;

/** @param {Plot} plot @param {number} width px @returns {Plot} */
export function fitted(plot, width) {
  const legible = { data: withLegend(plot.data), layout: plot.layout };
  return width < NARROW ? compact(legible) : legible;
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

/** @param {Plot} plot @returns {Plot} */
function compact({ data, layout }) {
  const isTernary = Object.keys(layout).some((key) => key.startsWith("ternary"));
  const bar = layout.coloraxis?.colorbar;
  const result = /** @type {Record<string, any>} */ ({
    ...layout,
    margin: { ...layout.margin, l: isTernary ? 44 : 56, r: isTernary ? 44 : 10 },
    legend: { ...layout.legend, font: { size: 11.5 }, itemwidth: 30, ...(isTernary && { y: 1.16 }) },
  });
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis/.test(key) && layout[key].title) result[key] = { ...layout[key], title: { ...layout[key].title, font: { size: 11.5 } } };
  }
  if (bar) {
    const title = { ...bar.title, side: "bottom", text: bar.title?.text?.replaceAll("<br>", ", ") };
    const below = { orientation: "h", thickness: 10, len: 1, x: 0.5, xanchor: "center", y: isTernary ? -0.42 : -0.34, yanchor: "top", title };
    result.coloraxis = { ...layout.coloraxis, colorbar: { ...bar, ...below } };
  }
  const isCrowded = (/** @type {any} */ trace) => trace.mode === "markers+text" && (trace.hovertext || trace.hovertemplate);
  const shown = data.filter((trace) => trace.mode !== "text");
  return { data: shown.map((trace) => (isCrowded(trace) ? { ...trace, mode: "markers" } : trace)), layout: result };
}
