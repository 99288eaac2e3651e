/**
 * Figures beside the table, over what is filtered; each is asked for when its tab is first shown.
 *
 * makeViews(host, state) → { update(params), toggle }      toggle: the button that hides them all
 */
import { h, replace } from "../common/dom.js";
import { figureCard } from "../common/figure.js";
import { count } from "../common/format.js";
import { readable } from "../common/url_state.js";
import { filtersOf, NO_VIEW, viewOf, VIEWS } from "./query.js";

const ABOUT = /** @type {Record<string, {tab: string, title: string, caption: string, empty: string}>} */ ({
  map: { tab: "Map", title: "Composition map", caption: "Coloured by log₁₀ σ(300 K). Click a point to open its candidate.", empty: "No composition map" },
  pareto: { tab: "Stability – σ", title: "Stability against conductivity", caption: "Line: no candidate is both more stable and more conductive. Click a point to open its candidate.", empty: "No candidate has both numbers" },
  hull: { tab: "Hull", title: "Convex hull", caption: "Energies against the competing phases. Click a point to open its candidate.", empty: "No hull to draw" },
});

/** @param {HTMLElement} host @param {import("../common/url_state.js").UrlState} state */
export function makeViews(host, state) {
  /** @type {Map<string, {card: ReturnType<typeof figureCard>, query: string}>} */
  const cards = new Map();
  const system = h("select", { id: "map-system", class: "field", onchange: () => state.set({ _system: system.value }, { replace: true }) });
  const systemLine = h("label", { class: "view-choice soft", hidden: true }, "Components", system);
  const tabs = new Map(VIEWS.map((view) => [view, h("button", {
    id: `tab-${view}`, class: "tab", type: "button", role: "tab", text: ABOUT[view].tab, aria: { controls: "view-panel" },
    onclick: () => state.set({ _view: view === VIEWS[0] ? null : view }, { replace: true }),
  })]));
  const panel = h("div", { id: "view-panel", role: "tabpanel" });
  const toggle = h("button", { id: "views-toggle", class: "button", type: "button", text: "Figures", aria: { pressed: true, controls: "views" },
    onclick: () => state.set({ _view: viewOf(state.params) === NO_VIEW ? null : NO_VIEW }, { replace: true }) });
  const list = h("div", { class: "tabs", role: "tablist", aria: { label: "Figures" } }, ...tabs.values());
  list.addEventListener("keydown", walk);
  replace(host, list, panel);
  return { update, toggle };

  /** @param {URLSearchParams} params @returns {Promise<void> | undefined} when the figure is drawn */
  function update(params) {
    const view = viewOf(params);
    const isHidden = view === NO_VIEW;
    host.hidden = isHidden;
    host.parentElement?.classList.toggle("no-views", isHidden);
    toggle.setAttribute("aria-pressed", String(!isHidden));
    if (isHidden) return undefined;
    for (const [name, tab] of tabs) {
      tab.setAttribute("aria-selected", String(name === view));
      tab.tabIndex = name === view ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${view}`);
    const filters = filtersOf(params);
    if (view === "map" && params.get("_system")) filters.set("system", params.get("_system") ?? "");
    const query = readable(filters);
    let entry = cards.get(view);
    if (!entry) {
      const { title, caption, empty } = ABOUT[view];
      entry = { query: "\n", card: figureCard({ id: `figure-${view}`, title, caption, empty, height: 500, onPoint: open, onMeta: view === "map" ? showSystems : undefined }) };
      if (view === "map") entry.card.heading.parentElement?.after(systemLine);
      cards.set(view, entry);
    }
    if (panel.firstElementChild !== entry.card.element) replace(panel, entry.card.element);
    const isNew = entry.query !== query;
    entry.query = query;
    return isNew ? entry.card.load({ path: `/figures/${view}`, params: filters }) : undefined;
  }

  /** Which components the map is drawn over. @param {any} meta */
  function showSystems({ systems = [], system: chosen = null }) {
    systemLine.hidden = systems.length < 2;
    replace(system, systems.map((/** @type {any} */ one) => h("option", { value: one.id, selected: one.id === chosen,
      text: `${one.components.join(" – ")} (${count(one.n_candidates)})` })));
  }

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = VIEWS[(VIEWS.indexOf(viewOf(state.params)) + step + VIEWS.length) % VIEWS.length];
    tabs.get(next)?.click();
    tabs.get(next)?.focus();
  }
}

/** @param {unknown} id */
function open(id) {
  location.assign(`/candidate?id=${encodeURIComponent(String(id))}`);
}
