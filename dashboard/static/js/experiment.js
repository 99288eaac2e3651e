/** Computed values against published ones: parity and residuals of the API, all values with their phases. */
import { emptyPanel, errorPanel, get, loadingPanel } from "./common/api.js";
import { announce, byId, h, replace } from "./common/dom.js";
import { count } from "./common/format.js";
import { figureCard } from "./common/figure.js";
import { mountShell } from "./common/shell.js";
import { UrlState } from "./common/url_state.js";
import { PLOTTED, verdictOn } from "./experiment/verdict.js";
import { valuesTable } from "./experiment/table.js";

/** @typedef {import("./experiment/verdict.js").Published} Published */
/** @typedef {import("./experiment/verdict.js").Pair} Pair */

const KINDS = /** @type {[string, string][]} */ ([["experiment", "measured values"], ["computed", "computed by others"], ["all", "measured and computed"]]);
const SHOWN = /** @type {[string, string][]} */ ([["parity", "computed against measured"], ["residual", "computed less measured"]]);

mountShell("experiment");
const state = new UrlState();
/** @type {Published[]} */
let everything = [];
let drawn = "";
const cards = PLOTTED.flatMap((one) => SHOWN.map(([show, words]) => ({
  card: plotCard(`${show}-${one.id}`, `${one.title}: ${words}`), source: { quantity: one.field, show } })));
replace(byId("plots"), cards.map(({ card }) => card.element));
byId("filters").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
state.onChange(show);
load();

/** @param {string} id @param {string} title */
function plotCard(id, title) {
  return figureCard({ id, title, empty: "No pair of a measured and a computed value of the same state of matter",
    onPoint: (candidate) => { location.href = `/candidate?id=${encodeURIComponent(candidate)}`; } });
}

async function load() {
  replace(byId("values"), loadingPanel());
  try {
    everything = (await get("/literature")).data;
    makeFilters();
    show();
  } catch (error) {
    replace(byId("values"), errorPanel(error, load));
  }
  document.body.dataset.ready = "true";
}

function makeFilters() {
  const pairs = everything.flatMap((row) => row.computed);
  const families = [...everything.map((row) => row.family), ...pairs.map((pair) => pair.candidate_family)];
  replace(byId("filters"),
    menu("family", "Family", [["", "all families"], ...names(families)]),
    menu("level", "Level of theory", [["", "all levels"], ...names(pairs.map((pair) => pair.level))]),
    menu("kind", "Values listed", KINDS),
    h("label", { class: "row check" }, h("input", { type: "checkbox", id: "filter-alike", onchange: (/** @type {any} */ event) =>
      state.set({ alike: event.target.checked ? "1" : null }) }), "list only like with like"));
}

/** @param {string[]} all @returns {[string, string][]} */
const names = (all) => [...new Set(all)].filter(Boolean).sort().map((name) => [name, name]);

/** @param {string} name @param {string} label @param {[string, string][]} options */
function menu(name, label, options) {
  return h("label", { class: "filter" }, h("span", { class: "small soft", text: label }),
    h("select", { class: "field", id: `filter-${name}`, onchange: (/** @type {any} */ event) => {
      const { value } = event.target;
      state.set({ [name]: name === "kind" && value === "experiment" ? null : value });
    } }, options.map(([value, text]) => h("option", { value, text }))));
}

/** Pairs of the family and level in the address, as the figures show them. @returns {Published[]} */
function chosen() {
  const [family, level] = [state.get("family"), state.get("level")];
  const isChosen = (/** @type {Pair} */ pair) => (!family || pair.candidate_family === family) && (!level || pair.level === level);
  return everything.map((row) => ({ ...row, computed: row.computed.filter(isChosen) }))
    .filter((row) => !family || row.family === family || row.computed.length > 0);
}

/** What the table lists of them. @param {Published[]} rows @returns {Published[]} */
function listed(rows) {
  const kind = state.get("kind") || "experiment";
  const isAlike = state.get("alike") === "1";
  return rows.filter((row) => kind === "all" || row.kind === kind)
    .map((row) => (isAlike ? { ...row, computed: row.computed.filter((pair) => pair.like_with_like) } : row));
}

function show() {
  for (const name of ["family", "level"]) byId(`filter-${name}`).value = state.get(name);
  byId("filter-kind").value = state.get("kind") || "experiment";
  byId("filter-alike").checked = state.get("alike") === "1";
  const rows = chosen();
  const table = listed(rows);
  const verdict = PLOTTED.map((one) => verdictOn(one, rows)).join(" ");
  byId("verdict").textContent = verdict;
  draw();
  replace(byId("values"), h("h2", { id: "values-title", text: `Published values (${count(table.length)})` }),
    table.length ? valuesTable(table) : emptyPanel("No published value", "Widen the filters."));
  announce(verdict);
}

/** Ask for the figures where their filters have changed. */
function draw() {
  const words = (/** @type {string} */ name) => (state.get(name) ? [state.get(name)] : []);
  const filters = { family: words("family"), level_md: words("level") };
  if (drawn === JSON.stringify(filters)) return;
  drawn = JSON.stringify(filters);
  for (const { card, source } of cards) card.load({ path: "/figures/parity", params: { ...source, ...filters } });
}
