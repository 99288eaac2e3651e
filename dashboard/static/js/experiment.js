/** Computed values against published ones: parity, residuals, and all values with their phases. */
import { emptyPanel, errorPanel, get, loadingPanel } from "./common/api.js";
import { announce, byId, h, replace } from "./common/dom.js";
import { count, number } from "./common/format.js";
import { figureCard } from "./common/figure.js";
import { mountShell } from "./common/shell.js";
import { UrlState } from "./common/url_state.js";
import { PLOTTED, markOf, parity, residuals } from "./experiment/plots.js";
import { valuesTable } from "./experiment/table.js";

/** @typedef {import("./experiment/plots.js").Published} Published */

const KINDS = /** @type {[string, string][]} */ ([["experiment", "measured values"], ["computed", "computed by others"], ["all", "measured and computed"]]);

mountShell("experiment");
const state = new UrlState();
/** @type {Published[]} */
let everything = [];
const cards = PLOTTED.flatMap((one) => [
  { make: parity, one, card: plotCard(`parity-${one.id}`, `${one.title}: computed against published`) },
  { make: residuals, one, card: plotCard(`residual-${one.id}`, `${one.title}: residual`) },
]);
replace(byId("plots"), cards.map(({ card }) => card.element));
byId("filters").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
state.onChange(show);
load();

/** @param {string} id @param {string} title */
function plotCard(id, title) {
  return figureCard({ id, title, height: 420, empty: "No pair of a published and a computed value",
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
  replace(byId("filters"),
    menu("family", "Family", [["", "all families"], ...names(everything.map((row) => row.family))]),
    menu("kind", "Published", KINDS),
    menu("level", "Level of theory", [["", "all levels"], ...names(pairs.map((pair) => pair.level))]),
    h("label", { class: "row check" }, h("input", { type: "checkbox", id: "filter-alike", onchange: (/** @type {any} */ event) =>
      state.set({ alike: event.target.checked ? "1" : null }) }), "only like with like"));
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

/** What the filters in the address leave of the published values, and of their pairs. */
function chosen() {
  const [family, level, kind] = [state.get("family"), state.get("level"), state.get("kind") || "experiment"];
  const isAlike = state.get("alike") === "1";
  return everything
    .filter((row) => (!family || row.family === family) && (kind === "all" || row.kind === kind))
    .map((row) => ({ ...row, computed: row.computed.filter((pair) => (!level || pair.level === level) && (!isAlike || pair.like_with_like)) }));
}

function show() {
  byId("filter-family").value = state.get("family");
  byId("filter-level").value = state.get("level");
  byId("filter-kind").value = state.get("kind") || "experiment";
  byId("filter-alike").checked = state.get("alike") === "1";
  const rows = chosen();
  const verdict = PLOTTED.map((one) => verdictOn(one, rows)).join(" ");
  byId("verdict").textContent = verdict;
  for (const { make, one, card } of cards) card.show(make(one, rows));
  replace(byId("values"), h("h2", { id: "values-title", text: `Published values (${count(rows.length)})` }),
    rows.length ? valuesTable(rows) : emptyPanel("No published value", "Widen the filters."));
  announce(verdict);
}

/** @param {import("./experiment/plots.js").Plotted} one @param {Published[]} rows */
function verdictOn({ quantity, title, isLog, unit, near }, rows) {
  const pairs = rows.filter((row) => row.quantity === quantity).flatMap((row) => row.computed).filter((pair) => pair.like_with_like);
  const marks = pairs.map((pair) => markOf(pair.residual, false)).filter((mark) => mark !== null && !mark.bound);
  const sizes = marks.map((mark) => Math.abs(/** @type {any} */ (mark).at)).sort((a, b) => a - b);
  if (!sizes.length) return `${title}: no computed value of the same state of matter to compare with.`;
  const median = sizes[Math.floor((sizes.length - 1) / 2)];
  const within = sizes.filter((size) => size <= near).length;
  const off = isLog ? `a factor of ${number(10 ** median, 2)}` : `${number(median, 2)} ${unit}`;
  const close = isLog ? `a factor of ${number(10 ** near, 2)}` : `${number(near, 2)} ${unit}`;
  return `${title}: median deviation ${off} over ${count(sizes.length, "pair")} like with like, ${within} of them within ${close}.`;
}
