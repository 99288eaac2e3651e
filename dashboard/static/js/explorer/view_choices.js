/**
 * What a figure is drawn of: a system of components, and for the hull how.
 *
 * const choices = viewChoices("hull", state); choices.element; choices.params(params) → for the API; choices.offer(meta)
 */
import { h, replace } from "../common/dom.js";
import { count } from "../common/format.js";

const HULLS = /** @type {[string, string][]} */ ([
  ["overview", "E_hull over sodium content"], ["section", "Hull along the compositions"],
  ["ternary", "Phases that coexist"], ["segregation", "Salt that leaves"],
]);

/** @typedef {{element: HTMLElement, params: (params: URLSearchParams) => [string, string][], offer: (meta: any) => void}} Choices */

/** @param {string} view @param {import("../common/url_state.js").UrlState} state @returns {Choices} */
export function viewChoices(view, state) {
  const choose = (/** @type {string} */ name, /** @type {string} */ id, /** @type {string} */ label) => {
    const select = h("select", { id, class: "field", onchange: () => state.set({ [name]: select.value }, { replace: true }) });
    return { select, line: h("label", { class: "view-choice soft", hidden: true }, label, select) };
  };
  const show = choose("_show", `${view}-show`, "Show");
  const system = choose("_system", `${view}-system`, "Components");
  const shownOf = (/** @type {URLSearchParams} */ params) => HULLS.find(([name]) => name === params.get("_show"))?.[0] ?? HULLS[0][0];
  if (view === "hull") {
    show.line.hidden = false;
    replace(show.select, HULLS.map(([value, text]) => h("option", { value, text })));
  }
  return { element: h("div", { class: "view-choices" }, show.line, system.line), params, offer };

  /** @param {URLSearchParams} params @returns {[string, string][]} */
  function params(params) {
    const shown = view === "hull" ? shownOf(params) : "";
    show.select.value = shown;
    const isOfSystem = view === "map" || (shown !== "" && shown !== "overview");
    const chosen = params.get("_system");
    return [...(shown ? [/** @type {[string, string]} */ (["show", shown])] : []),
      ...(isOfSystem && chosen ? [/** @type {[string, string]} */ (["system", chosen])] : [])];
  }

  /** @param {any} meta of the API */
  function offer({ systems = [], system: chosen = null }) {
    system.line.hidden = systems.length < 2 || chosen === null;
    replace(system.select, systems.map((/** @type {any} */ one) => h("option", { value: one.id, selected: one.id === chosen,
      text: `${one.components.join(" – ")} (${count(one.n_candidates)})` })));
  }
}
