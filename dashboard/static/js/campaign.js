/** How far a campaign is: progress, running steps, failures by cause, cost; refreshes itself. */
import { emptyPanel, errorPanel, get, isAbort, latest } from "./common/api.js";
import { byId, h, replace } from "./common/dom.js";
import { count, duration } from "./common/format.js";
import { mountShell } from "./common/shell.js";
import { UrlState } from "./common/url_state.js";
import { failuresSection, runningSection, stagesSection, summarySection } from "./campaign/sections.js";
import { Refresher } from "./campaign/refresh.js";

const EVERY_S = 10;
const SECTIONS = /** @type {const} */ ([
  ["summary", summarySection], ["stages", stagesSection],
  ["running", runningSection], ["failures", failuresSection],
]);

mountShell("campaign");
const state = new UrlState();
const ask = latest();
const refresher = new Refresher(byId("refresh"), EVERY_S, load);
/** @type {Map<string, string>} */
const shown = new Map();

state.onChange(() => { byId("sweep").value = state.get("sweep"); refresher.now(); });
start();

async function start() {
  await fillMenu();
  refresher.now();
}

async function fillMenu() {
  const menu = byId("sweep");
  try {
    const { data } = await get("/sweeps");
    replace(menu, h("option", { value: "", text: "all sweeps" }), data.map((/** @type {any} */ sweep) =>
      h("option", { value: sweep.name, text: `${sweep.name} (${count(sweep.n_candidates)})` })));
    menu.value = state.get("sweep");
    menu.addEventListener("change", () => state.set({ sweep: menu.value }));
  } catch {
    byId("sweep-label").hidden = true; // the campaign itself says what is wrong
  }
}

/** Ask and show; throws nothing, returns whether it went well. */
async function load() {
  const place = byId("campaign");
  try {
    const { data } = await ask("/campaign", { sweep: state.get("sweep") });
    replace(byId("problem"));
    show(place, data);
    return true;
  } catch (error) {
    if (isAbort(error)) return true;
    replace(byId("problem"), errorPanel(error, () => refresher.now()));
    if (state.get("sweep")) forget(place);
    return false;
  } finally {
    place.setAttribute("aria-busy", "false");
    document.body.dataset.ready = "true";
  }
}

/** @param {HTMLElement} place */
function forget(place) {
  shown.clear();
  replace(place);
}

/** Redraw the parts that changed, so that focus and what was unfolded stay. @param {HTMLElement} place @param {any} data */
function show(place, data) {
  if (!data.n_candidates) {
    forget(place);
    replace(place, h("div", { class: "card" }, emptyPanel("No candidates yet", "haloflow run plans and runs a sweep; its candidates appear here as soon as they are planned.")));
    return;
  }
  if (!shown.size) replace(place, SECTIONS.map(([name]) => h("section", { id: name, aria: { labelledby: `${name}-title` } })));
  for (const [name, make] of SECTIONS) {
    const parts = make(data);
    const text = JSON.stringify(parts.from);
    if (shown.get(name) === text) continue;
    shown.set(name, text);
    const section = byId(name);
    const unfolded = new Set([...section.querySelectorAll("details[open]")].map((one) => one.dataset.key));
    replace(section, parts.build());
    for (const one of section.querySelectorAll("details")) one.open = unfolded.has(one.dataset.key);
  }
  document.title = `${title(data)} · haloflow`;
}

/** @param {any} data */
function title(data) {
  const { done, skipped, total } = data.states;
  const left = data.eta_s ? `, ${duration(data.eta_s)} left` : "";
  return `${total ? Math.floor((100 * (done + skipped)) / total) : 0} %${left} · Campaign`;
}
