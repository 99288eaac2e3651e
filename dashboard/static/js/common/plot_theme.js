/**
 * The page's colours on plotly figures, which leave text, axes and background to it.
 *
 * themed(layout)   a copy of a plotly layout in the colours in force
 * compact(plot, width)   the plot as it fits a narrow card: no labels at points, colour bar below
 * PLOT_CONFIG      plotly's settings for every figure
 */
import { colour } from "./theme.js";

export const PLOT_CONFIG = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"],
};
const NARROW = 560;
const CLEAR = "rgba(0,0,0,0)";

/** @param {Record<string, any>} layout @returns {Record<string, any>} */
export function themed(layout) {
  const [ink, soft, paper, line, grid] = ["--ink", "--soft", "--paper", "--axis", "--grid"].map(colour);
  const axis = { gridcolor: grid, linecolor: line, tickcolor: line };
  const result = /** @type {Record<string, any>} */ ({
    ...layout,
    autosize: true,
    paper_bgcolor: CLEAR,
    plot_bgcolor: CLEAR,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: ink },
    modebar: { bgcolor: CLEAR, color: soft, activecolor: colour("--accent") },
    hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink }, align: "left" },
  });
  delete result.width;
  result.updatemenus = (layout.updatemenus ?? []).map((/** @type {any} */ menu) => ({ ...menu, bgcolor: paper, bordercolor: line, font: { color: ink } }));
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis/.test(key)) result[key] = { ...axis, ...layout[key] };
    if (/^ternary/.test(key)) result[key] = themedTernary(layout[key], axis);
  }
  return result;
}

/** @param {{data: any[], layout: Record<string, any>}} plot @param {number} width px */
export function compact(plot, width) {
  if (width >= NARROW) return plot;
  const data = plot.data.map((trace) => (trace.mode === "markers+text" && (trace.hovertext || trace.hovertemplate) ? { ...trace, mode: "markers" } : trace));
  const { layout } = plot;
  const bar = layout.coloraxis?.colorbar;
  const isTernary = Object.keys(layout).some((key) => key.startsWith("ternary"));
  const below = { orientation: "h", thickness: 10, len: 1, x: 0.5, xanchor: "center", y: isTernary ? -0.42 : -0.34, yanchor: "top", title: { ...bar?.title, side: "bottom", text: bar?.title?.text?.replaceAll("<br>", ", ") } };
  return { data, layout: {
    ...layout,
    margin: { ...layout.margin, l: isTernary ? 30 : 56, r: isTernary ? 30 : 10 },
    legend: { ...layout.legend, font: { size: 11.5 }, itemwidth: 30 },
    ...(bar && { coloraxis: { ...layout.coloraxis, colorbar: { ...bar, ...below } } }),
  } };
}

/** @param {Record<string, any>} ternary @param {Record<string, any>} axis */
function themedTernary(ternary, axis) {
  const result = /** @type {Record<string, any>} */ ({ ...ternary, bgcolor: CLEAR });
  for (const key of ["aaxis", "baxis", "caxis"]) result[key] = { ...axis, ...ternary[key] };
  return result;
}
