/** The explorer: filters, table and figures over all candidates, all of it in the address. */
import { emptyPanel, errorPanel, get, isAbort, latest } from "./common/api.js";
import { announce, byId, h, replace } from "./common/dom.js";
import { loadFields } from "./common/fields.js";
import { count } from "./common/format.js";
import { mountShell } from "./common/shell.js";
import { UrlState } from "./common/url_state.js";
import { vendor } from "./common/vendor.js";
import { activeFilters, cleared, showChips } from "./explorer/chips.js";
import { columnMenu } from "./explorer/columns.js";
import { exportMenu } from "./explorer/export.js";
import { Facets } from "./explorer/facets.js";
import { filterPanel } from "./explorer/filters.js";
import { makeGrid } from "./explorer/grid.js";
import { showPager } from "./explorer/pager.js";
import { columnsOf, filtersOf, listQuery, NO_VIEW, pageOf, selectionOf, sizeOf, sortOf, viewOf } from "./explorer/query.js";
import { makeTray } from "./explorer/tray.js";
import { makeViews } from "./explorer/views.js";

mountShell("explorer");
vendor("tabulator").catch(() => null);
const state = new UrlState();
const ask = latest();
const tray = makeTray(byId("tray"), state);
const views = makeViews(byId("views"), state);
const frame = byId("grid-state");
const facets = new Facets();
/** @type {import("./common/fields.js").Fields} */
let fields;
/** @type {Awaited<ReturnType<typeof makeGrid>>} */
let grid;
/** @type {{update: (params: URLSearchParams) => void}[]} */
const panels = [];
/** @type {{query: string, body: any}} */
let last = { query: "", body: null };
let newest = Symbol("start");

start();

async function start() {
  try {
    fields = await loadFields();
    const menu = columnMenu(state, fields);
    replace(byId("actions"), views.toggle, menu.element, exportMenu(state, fields));
    panels.push(menu);
    const rows = fetchRows();
    grid = await makeGrid(byId("grid"), { onSort: sortBy, onToggle: tray.toggle, onMove: (names) => state.set({ _columns: names }, { replace: true }) });
    await rows.then(showRows, showProblem);
    state.onChange(refresh);
    showFrame();
    await startFilters();
  } catch (error) {
    showProblem(error);
  }
}

async function startFilters() {
  await facets.start(filtersOf(state.params));
  const panel = filterPanel(byId("filters"), state, fields, facets);
  panels.push(panel);
  for (const panel of panels) panel.update(state.params);
  await views.update(state.params);
  document.body.dataset.ready = "true";
  const stats = await get("/stats").catch(() => null);
  if (stats) panel.hint(stats.data.ranges);
}

async function refresh() {
  const mine = newest = Symbol("refresh");
  document.body.dataset.ready = "false";
  showFrame();
  byId("grid").setAttribute("aria-busy", "true");
  const counted = facets.load(filtersOf(state.params)).catch(() => false);
  try {
    showRows(await fetchRows());
  } catch (error) {
    showProblem(error);
  }
  if (await counted) for (const panel of panels) panel.update(state.params);
  await views.update(state.params);
  if (mine === newest) document.body.dataset.ready = "true";
}

function showFrame() {
  for (const panel of panels) panel.update(state.params);
  showChips(byId("chips"), state, fields);
  tray.update(state.params);
  if (viewOf(state.params) === NO_VIEW) views.update(state.params);
}

/** Rows of the API for the address; those at hand where only the view changed. */
async function fetchRows() {
  const query = listQuery(state.params, fields);
  if (query.toString() === last.query) return last.body;
  const body = await ask("/candidates", query);
  last = { query: query.toString(), body };
  return body;
}

/** @param {any} body */
function showRows(body) {
  const { params } = state;
  const [page, size, total] = [pageOf(params), sizeOf(params), body.meta.total_doc];
  const columns = columnsOf(params, fields).map((name) => /** @type {any} */ (fields.get(name)));
  grid.show(body.data, { columns, sort: sortOf(params), selection: selectionOf(params), total, first: (page - 1) * size });
  byId("grid").setAttribute("aria-busy", "false");
  showPager(byId("pager"), state, { page, size, total });
  const text = count(total, "candidate");
  if (byId("count").textContent !== text) byId("count").textContent = text;
  frame.hidden = body.data.length > 0;
  if (!body.data.length) replace(frame, nothing(total));
}

/** @param {number} total */
function nothing(total) {
  const reset = (/** @type {string} */ text, /** @type {() => void} */ onclick) => h("button", { class: "button", type: "button", text, onclick });
  if (total > 0) return emptyPanel("There is no such page", `${count(total, "candidate")} pass the filters.`, reset("First page", () => state.set({ _page: null })));
  if (activeFilters(state.params, fields).length) {
    return emptyPanel("No candidate passes these filters", "Remove one of them, or all.", reset("Clear all filters", () => state.go(cleared(state.params))));
  }
  return emptyPanel("No candidates yet", "haloflow run plans and runs a sweep; its candidates appear here as soon as they are planned.");
}

/** @param {unknown} error */
function showProblem(error) {
  if (isAbort(error)) return;
  document.body.dataset.ready = "true";
  last = { query: "", body: null };
  byId("grid").setAttribute("aria-busy", "false");
  byId("count").textContent = "Not counted";
  frame.hidden = false;
  replace(frame, errorPanel(error, fields && grid ? refresh : () => location.reload()));
  announce("The candidates could not be loaded");
}

/** Upwards, downwards, as the store has it. @param {string} name */
function sortBy(name) {
  const now = sortOf(state.params);
  const next = now?.name !== name ? name : now.down ? null : `-${name}`;
  state.set({ _sort_fields: next, _page: null });
}
