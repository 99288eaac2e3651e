/**
 * Figures beside the table, over what is filtered; each is asked for when its tab is first shown.
 *
 * makeViews(host, state) → { update(params) → promise of a drawn figure, toggle }      toggle: the button that hides them
 */
import { h, replace } from "../common/dom.js";
import { figureCard } from "../common/figure.js";
import { readable } from "../common/url_state.js";
import { filtersOf, NO_VIEW, viewOf, VIEWS } from "./query.js";
import { viewChoices } from "./view_choices.js";

const ABOUT = /** @type {Record<string, {tab: string, title: string, empty: string}>} */ ({
  map: { tab: "Map", title: "Conductivity over composition", empty: "No composition map" },
  pareto: { tab: "Stability – σ", title: "Stability against conductivity", empty: "No candidate has both numbers" },
  hull: { tab: "Hull", title: "Stability over composition", empty: "No hull to draw" },
});
const HEIGHT = 500;

/** @typedef {{card: ReturnType<typeof figureCard>, choices: import("./view_choices.js").Choices, query: string}} Shown */

/** @param {HTMLElement} host @param {import("../common/url_state.js").UrlState} state */
export function makeViews(host, state) {
  /** @type {Map<string, Shown>} */
  const shown = new Map();
  const tabs = new Map(VIEWS.map((view) => [view, h("button", {
    id: `tab-${view}`, class: "tab", type: "button", role: "tab", text: ABOUT[view].tab, aria: { controls: "view-panel" },
    onclick: () => state.set({ _view: view === VIEWS[0] ? null : view }, { replace: true }),
  })]));
  const panel = h("div", { id: "view-panel", role: "tabpanel" });
  const toggle = h("button", { id: "views-toggle", class: "button", type: "button", text: "Figures", aria: { pressed: true, controls: "views" },
    onclick: () => state.set({ _view: viewOf(state.params) === NO_VIEW ? null : NO_VIEW }, { replace: true }) });
  const list = h("div", { class: "tabs", role: "tablist", aria: { label: "Figures" } }, ...tabs.values());
  list.addEventListener("keydown", walk);
  replace(host, h("h2", { class: "visually-hidden", text: "Figures" }), list, panel);
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
    const one = shown.get(view) ?? add(view);
    if (panel.firstElementChild !== one.card.element) replace(panel, one.card.element);
    const asked = new URLSearchParams([...filtersOf(params), ...one.choices.params(params)]);
    const query = readable(asked);
    if (query === one.query) return undefined;
    one.query = query;
    return one.card.load({ path: `/figures/${view}`, params: asked });
  }

  /** @param {string} view @returns {Shown} */
  function add(view) {
    const choices = viewChoices(view, state);
    const { title, empty } = ABOUT[view];
    const card = figureCard({ id: `figure-${view}`, title, empty, caption: "Click a point to open its candidate.", height: HEIGHT, onPoint: open, onMeta: choices.offer });
    card.heading.parentElement?.after(choices.element);
    const one = { card, choices, query: "\n" };
    shown.set(view, one);
    return one;
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
