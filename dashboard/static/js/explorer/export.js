/**
 * Saving what is filtered: all rows, page after page through the API, in the order shown.
 *
 * exportMenu(state, fields) → element
 */
import { get, isAbort, errorPanel } from "../common/api.js";
import { announce, h, replace } from "../common/dom.js";
import { saveText } from "../common/download.js";
import { count } from "../common/format.js";
import { csv } from "../common/plot_table.js";
import { readable } from "../common/url_state.js";
import { dropdown } from "./menu.js";
import { apiFields, columnsOf, filtersOf } from "./query.js";

export const MOST_ROWS = 100_000;
const PAGE = 1000;

/** @typedef {import("../common/fields.js").Fields} Fields */
/** @typedef {{rows: Record<string, any>[], names: string[], fields: any[], total: number, query: string}} Export */

/** @param {import("../common/url_state.js").UrlState} state @param {Fields} fields */
export function exportMenu(state, fields) {
  const status = h("div", { class: "stack tight" });
  const buttons = [save("csv", writeCsv), save("json", writeJson)];
  const about = `Every row that passes the filters, with the columns shown and their errors; at most ${count(MOST_ROWS)}.`;
  return dropdown("export", "Export", h("p", { class: "soft small", text: about }), h("div", { class: "row" }, ...buttons), status);

  /** @param {string} kind @param {(made: Export) => void} write */
  function save(kind, write) {
    return h("button", { id: `export-${kind}`, class: "button", type: "button", text: kind.toUpperCase(), onclick: () => run(write) });
  }

  /** @param {(made: Export) => void} write */
  async function run(write) {
    const controller = new AbortController();
    const progress = h("progress", { max: 1, value: 0, aria: { label: "Rows fetched" } });
    const stop = h("button", { class: "button tiny", type: "button", text: "Stop", onclick: () => controller.abort() });
    replace(status, h("div", { class: "row nowrap" }, progress, stop));
    for (const button of buttons) button.disabled = true;
    try {
      const made = await fetchAll(state.params, fields, controller.signal, (share) => { progress.value = share; });
      write(made);
      const part = made.rows.length < made.total ? `The first ${count(made.rows.length)} of ${count(made.total)} rows saved: add filters for the rest.` : `${count(made.rows.length, "row")} saved.`;
      replace(status, h("p", { class: "small", text: part }));
      announce(part);
    } catch (error) {
      replace(status, isAbort(error) ? h("p", { class: "small", text: "Stopped; nothing was saved." }) : errorPanel(error));
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }
}

/**
 * @param {URLSearchParams} params @param {Fields} fields @param {AbortSignal} signal
 * @param {(share: number) => void} onProgress @returns {Promise<Export>}
 */
async function fetchAll(params, fields, signal, onProgress) {
  const names = apiFields(columnsOf(params, fields), fields);
  const query = filtersOf(params);
  if (params.get("_sort_fields")) query.set("_sort_fields", params.get("_sort_fields") ?? "");
  query.set("_fields", names.join(","));
  query.set("_limit", String(PAGE));
  const asked = readable(query);
  const rows = [];
  let meta = { total_doc: 1, fields: [], next: "" };
  while (rows.length < Math.min(meta.total_doc, MOST_ROWS)) {
    const body = await get("/candidates", query, { signal });
    meta = body.meta;
    rows.push(...body.data);
    onProgress(rows.length / Math.min(meta.total_doc, MOST_ROWS));
    if (!body.data.length) break;
    query.delete(meta.next ? "_skip" : "_after");
    query.set(meta.next ? "_after" : "_skip", meta.next ?? String(rows.length));
  }
  return { rows: rows.slice(0, MOST_ROWS), names, fields: meta.fields ?? [], total: meta.total_doc, query: asked };
}

/** @param {Export} made */
function writeCsv({ rows, names, fields }) {
  const units = new Map(fields.map((field) => [field.name, field.unit]));
  const header = names.map((name) => (units.get(name) ? `${name} (${units.get(name)})` : name));
  saveText("haloflow-candidates.csv", csv(header, rows.map((row) => names.map((name) => row[name]))), "text/csv");
}

/** @param {Export} made */
function writeJson({ rows, fields, total, query }) {
  const made = { meta: { total_doc: total, rows: rows.length, query, written_at: new Date().toISOString(), fields }, data: rows };
  saveText("haloflow-candidates.json", JSON.stringify(made, null, 1), "application/json");
}
