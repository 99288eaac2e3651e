/**
 * The numbers behind a plotly figure, for readers of tables and for CSV.
 *
 * plotRows(figure)   { columns: ["series", "x axis title", …], rows: [[…], …] }
 * plainText("a<sub>b</sub>&lt;")   plotly's markup as plain text
 * csv(columns, rows)   RFC 4180, formulas of spreadsheets defused
 */

/** @typedef {{data: any[], layout: any}} Plot */

const DESCRIPTION = "description";

/** @param {Plot} plot @returns {{columns: string[], rows: (string | number | null)[][]}} */
export function plotRows({ data, layout }) {
  const isTernary = data.some((trace) => trace.type === "scatterternary");
  const keys = isTernary ? ["a", "b", "c"] : ["x", "y"];
  const titles = keys.map((key) => {
    const axis = isTernary ? layout.ternary?.[`${key}axis`] : layout[`${key}axis`];
    return plainText(axis?.title?.text ?? axis?.title ?? "") || key;
  });
  const [low, high] = [`${titles.at(-1)} error −`, `${titles.at(-1)} error +`];
  const rows = data.flatMap((trace) => traceRows(trace, keys));
  const hasErrors = rows.some((row) => row.at(-2) !== null);
  const columns = ["series", ...titles, ...(hasErrors ? [low, high] : []), DESCRIPTION];
  const shown = rows.map((row) => (hasErrors
    ? [...row.slice(0, -3), row.at(-2), row.at(-1), row.at(-3)]
    : row.slice(0, -2)));
  return { columns, rows: /** @type {(string | number | null)[][]} */ (shown) };
}

/** @param {any} trace @param {string[]} keys */
function traceRows(trace, keys) {
  const length = Math.max(...keys.map((key) => trace[key]?.length ?? 0));
  const at = (/** @type {any} */ value, /** @type {number} */ i) => (Array.isArray(value) ? value[i] ?? null : value ?? null);
  const rows = [];
  for (let i = 0; i < length; i += 1) {
    const point = keys.map((key) => trace[key]?.[i] ?? null);
    if (point.every((value) => value === null)) continue;
    const about = at(trace.hovertext, i) ?? at(trace.text, i) ?? "";
    const error = trace.error_y ?? {};
    rows.push([plainText(trace.name ?? ""), ...point.map(plainValue), plainText(String(about)), at(error.arrayminus, i), at(error.array, i)]);
  }
  return rows;
}

/** @param {any} value */
const plainValue = (value) => (typeof value === "string" ? plainText(value) : value);

/** @param {string} text */
export function plainText(text) {
  return text.replaceAll(/<br\s*\/?>/g, "; ").replaceAll(/<\/?(?:b|i|sub|sup|em|span|a)\b[^>]*>/g, "")
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

/** @param {string[]} columns @param {any[][]} rows */
export function csv(columns, rows) {
  return [columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

/** @param {any} value */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = Array.isArray(value) ? value.join(" ") : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
