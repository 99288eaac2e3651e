/**
 * What the address says: filters under the API's own names, the view under names with "_".
 *
 * filtersOf(params)  → URLSearchParams for /facets, /figures     listQuery(params, columns, fields) → for /candidates
 * columnsOf(params, fields) → names     pageOf, sizeOf, sortOf, selectionOf, viewOf
 */
import { splitWords } from "../common/words.js";

export const MOST_COMPARED = 6;
export const PAGE_SIZES = [50, 100, 200, 500];
export const VIEWS = ["map", "pareto", "hull"];
export const NO_VIEW = "none";
export const SMALL_SCREEN = "(max-width: 860px)";
const DEFAULT_SIZE = 100;

/** @param {URLSearchParams} params */
export function filtersOf(params) {
  return new URLSearchParams([...params].filter(([name, value]) => !name.startsWith("_") && value !== ""));
}

/** @param {URLSearchParams} params */
export const pageOf = (params) => Math.max(1, Math.trunc(Number(params.get("_page"))) || 1);

/** @param {URLSearchParams} params */
export function sizeOf(params) {
  const size = Number(params.get("_per_page"));
  return PAGE_SIZES.includes(size) ? size : DEFAULT_SIZE;
}

/** @param {URLSearchParams} params @returns {{name: string, down: boolean} | null} */
export function sortOf(params) {
  const first = splitWords(params.get("_sort_fields"))[0];
  return first ? { name: first.replace(/^-/, ""), down: first.startsWith("-") } : null;
}

/** @param {URLSearchParams} params @returns {string[]} */
export function selectionOf(params) {
  return [...new Set(splitWords(params.get("_select")))].slice(0, MOST_COMPARED);
}

/** @param {URLSearchParams} params */
export const viewOf = (params) => [...VIEWS, NO_VIEW].find((view) => view === params.get("_view")) ?? VIEWS[0];

/** @param {URLSearchParams} params @param {import("../common/fields.js").Fields} fields @returns {string[]} */
export function columnsOf(params, fields) {
  const wanted = splitWords(params.get("_columns")).filter((name) => fields.get(name));
  return wanted.length ? [...new Set(wanted)] : defaultColumns(fields);
}

/** On a small screen the numbers stand right beside the name. @param {import("../common/fields.js").Fields} fields */
function defaultColumns(fields) {
  if (!matchMedia(SMALL_SCREEN).matches) return fields.default;
  const last = fields.default.filter((name) => name !== "label" && fields.get(name)?.type !== "number");
  return [...fields.default.filter((name) => !last.includes(name)), ...last];
}

/** @param {string[]} columns @param {import("../common/fields.js").Fields} fields @returns {string[]} names of the API */
export function apiFields(columns, fields) {
  return [...new Set(["id", "label", ...columns.flatMap((name) => fields.get(name)?.parts ?? [])])];
}

/** @param {URLSearchParams} params @param {import("../common/fields.js").Fields} fields */
export function listQuery(params, fields) {
  const query = filtersOf(params);
  const sort = params.get("_sort_fields");
  if (sort) query.set("_sort_fields", sort);
  query.set("_page", String(pageOf(params)));
  query.set("_per_page", String(sizeOf(params)));
  query.set("_fields", apiFields(columnsOf(params, fields), fields).join(","));
  return query;
}
