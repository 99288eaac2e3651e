/** Up to six candidates overlaid, and their properties side by side. */
import { emptyPanel, errorPanel, get, isAbort, latest } from "./common/api.js";
import { byId, h, replace } from "./common/dom.js";
import { loadFields } from "./common/fields.js";
import { figureCard } from "./common/figure.js";
import { mountShell } from "./common/shell.js";
import { UrlState } from "./common/url_state.js";
import { LEVELS } from "./compare/levels.js";
import { makePicker, MOST_COMPARED } from "./compare/picker.js";
import { propertyTable } from "./compare/properties.js";

const FIGURES = /** @type {Record<string, {title: string, caption: string, empty: string}>} */ ({
  arrhenius: { title: "Conductivity over inverse temperature", caption: "Filled: ok; hollow: not converged. Solid where data stand, dotted where extrapolated.", empty: "No conductivities" },
  msd: { title: "Mean squared displacement of Na", caption: "The shaded window was fitted.", empty: "No displacements" },
  rdf: { title: "Pair distribution g(r)", caption: "", empty: "No pair distributions" },
});

mountShell("compare");
const state = new UrlState();
const ask = latest();
const askFigures = latest();
const picker = makePicker(byId("picker"), state);
const cards = new Map(Object.entries(FIGURES).map(([name, about]) => [name, figureCard({ id: `figure-${name}`, height: 440, ...about })]));
const onlyDifferent = h("input", { id: "only-different", type: "checkbox", onchange: () => state.set({ only: onlyDifferent.checked ? "different" : null }, { replace: true }) });
replace(byId("properties-tools"), h("label", { class: "row" }, onlyDifferent, "only what differs"));
replace(byId("figures"), [...cards.values()].map((card) => card.element));
/** @type {Promise<import("./common/fields.js").Fields>} */
const fieldsLoaded = loadFields();
/** @type {{ids: string, rows: Record<string, any>[]}} */
let last = { ids: "", rows: [] };
let newest = Symbol("start");

state.onChange(refresh);
refresh();

/** @returns {string[]} */
function chosenIds() {
  return [...new Set(state.list("ids"))].slice(0, MOST_COMPARED);
}

async function refresh() {
  const mine = newest = Symbol("refresh");
  document.body.dataset.ready = "false";
  await show(chosenIds());
  if (mine === newest) document.body.dataset.ready = "true";
}

/** @param {string[]} ids */
async function show(ids) {
  picker.update();
  onlyDifferent.checked = state.get("only") === "different";
  byId("count").textContent = ids.length ? `${ids.length} of at most ${MOST_COMPARED}` : "";
  byId("figures").hidden = ids.length === 0;
  byId("properties-tools").hidden = ids.length < 2;
  if (!ids.length) {
    last = { ids: "", rows: [] };
    replace(byId("properties-body"), emptyPanel("Nothing to compare yet", "Search above, or tick up to six candidates in the explorer.", h("a", { class: "button primary", href: "/", text: "Open the explorer" })));
    return;
  }
  const isNew = ids.join(",") !== last.ids;
  await Promise.all([showProperties(ids, isNew), isNew && showFigures(ids)]);
}

/** @param {string[]} ids @param {boolean} isNew */
async function showProperties(ids, isNew) {
  const body = byId("properties-body");
  body.setAttribute("aria-busy", "true");
  try {
    const fields = await fieldsLoaded;
    const parts = [...LEVELS, ...fields.columns.flatMap((field) => field.parts)];
    if (isNew) last = { ids: ids.join(","), rows: await rowsOf(ids, parts) };
    const unknown = ids.filter((id) => !last.rows.some((row) => row.id === id));
    const onRemove = (/** @type {string} */ id) => state.set({ ids: ids.filter((one) => one !== id) });
    const onReference = (/** @type {string} */ id) => state.set({ ids: [id, ...ids.filter((one) => one !== id)] });
    replace(body, unknown.map((id) => missingLine(id, onRemove)),
      last.rows.length > 0 && propertyTable(last.rows, fields, { onlyDifferent: onlyDifferent.checked, onRemove, onReference }));
  } catch (error) {
    if (isAbort(error)) return;
    last = { ids: "", rows: [] };
    replace(body, errorPanel(error, refresh));
  }
  body.setAttribute("aria-busy", "false");
}

/** @param {string} id @param {(id: string) => void} onRemove */
function missingLine(id, onRemove) {
  return h("div", { class: "problem", role: "alert" }, h("strong", { text: "This store has no such candidate" }), h("span", { class: "mono", text: id.slice(0, 80) }),
    h("button", { class: "button tiny", type: "button", text: "Leave it out", onclick: () => onRemove(id) }));
}

/** In the order of `ids`. @param {string[]} ids @param {string[]} parts */
async function rowsOf(ids, parts) {
  const body = await ask("/candidates", { id: ids, _fields: [...new Set(["id", "label", ...parts])].slice(0, 100), _limit: MOST_COMPARED });
  return ids.flatMap((id) => body.data.find((/** @type {any} */ row) => row.id === id) ?? []);
}

/** @param {string[]} ids */
function showFigures(ids) {
  const asked = askFigures("/compare", { ids });
  return Promise.all([...cards].map(([name, card]) => {
    const mine = asked.then(({ data }) => data.figures.find((/** @type {any} */ figure) => figure.id === name));
    return card.follow(mine, () => showFigures(ids));
  }));
}
