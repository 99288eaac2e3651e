/**
 * The page's colours on plotly figures, which leave text, axes and background to it.
 *
 * themed(layout)   a copy of a plotly layout in the colours in force
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
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis/.test(key)) result[key] = { ...axis, ...layout[key] };
    if (/^ternary/.test(key)) result[key] = themedTernary(layout[key], axis);
  }
  return result;
}

/** @param {Record<string, any>} ternary @param {Record<string, any>} axis */
function themedTernary(ternary, axis) {
  const result = /** @type {Record<string, any>} */ ({ ...ternary, bgcolor: CLEAR });
  for (const key of ["aaxis", "baxis", "caxis"]) result[key] = { ...axis, ...ternary[key] };
  return result;
}
