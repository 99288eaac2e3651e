/**
 * The filter panel, made from /fields and /facets.
 *
 * const panel = filterPanel(host, state, fields, facets); panel.update(params); panel.hint(ranges of /stats)
 */
import { h, replace } from "../common/dom.js";
import { STATUS_LABELS } from "../common/format.js";
import { activeFilters } from "./chips.js";
import { choiceFilter, flagFilter, textFilter } from "./choices.js";
import { elementPicker } from "./elements.js";
import { SMALL_SCREEN } from "./query.js";
import { rangeFilter, variableFilter } from "./ranges.js";

/** @typedef {import("./ranges.js").Part} Part */
/** @typedef {Record<string, {min: number | null, max: number | null}>} Ranges */

const FIRST_RANGES = ["e_hull", "sigma", "e_a"];
const KINDS = /** @type {[string, string][]} */ ([["phase", "Phase"], ["family", "Family"], ["sweep", "Sweep"], ["level", "Level of theory"]]);

/**
 * @param {HTMLElement} host
 * @param {import("../common/url_state.js").UrlState} state
 * @param {import("../common/fields.js").Fields} fields
 * @param {import("./facets.js").Facets} facets
 */
export function filterPanel(host, state, fields, facets) {
  /** @type {Part[]} */
  const parts = [];
  const add = (/** @type {Part} */ part) => { parts.push(part); return part.element; };
  const numbers = fields.columns.filter((field) => field.type === "number");
  /** @type {Map<string, ReturnType<typeof rangeFilter>>} */
  const byName = new Map(numbers.map((field) => [field.name, rangeFilter(field, state)]));
  const rangeOf = (/** @type {{name: string}} */ field) => add(/** @type {Part} */ (byName.get(field.name)));
  const isFirst = (/** @type {{name: string}} */ field) => FIRST_RANGES.includes(field.name);
  const quantities = numbers.filter((field) => field.isQuantity && facets.all.has(`${field.name}_status`));

  const badge = h("span", { class: "badge plain", hidden: true });
  const drawer = h("details", { id: "filter-drawer", class: "drawer", open: !matchMedia(SMALL_SCREEN).matches },
    h("summary", { class: "button" }, "Filters", badge),
    h("div", { class: "drawer-body card" },
      section("Elements", true, add(elementPicker(state, facets))),
      section("Kind", true, KINDS.map(([name, label]) => add(choiceFilter(name, label, state, facets)))),
      section("Stability and transport", true, numbers.filter(isFirst).map(rangeOf)),
      section("Trust", true, trust().map(add)),
      section("Flags", false, h("div", { class: "flags" }, fields.columns.filter((field) => field.type === "flag").map((field) => add(flagFilter(field, state))))),
      section("Sweep variable", false, add(variableFilter(state))),
      section("Chemical system", false, add(choiceFilter("chemsys", "Elements present, no others", state, facets))),
      section("More numbers", false, numbers.filter((field) => !isFirst(field)).map(rangeOf))));
  replace(host, h("search", { class: "search" }, add(textFilter(state)), drawer));
  return { update, hint };

  function trust() {
    const groups = quantities.map((field) => /** @type {[string, string]} */ ([`${field.name}_status`, `${field.label} is`]));
    if (facets.all.has("status")) groups.push(["status", "σ(300 K) is"]);
    return groups.map(([name, label]) => choiceFilter(name, label, state, facets, STATUS_LABELS));
  }

  /** @param {Ranges} ranges */
  function hint(ranges) {
    for (const [name, { min, max }] of Object.entries(ranges)) byName.get(name)?.hint([min, max]);
  }

  /** @param {URLSearchParams} params */
  function update(params) {
    for (const part of parts) part.update(params);
    const active = activeFilters(params, fields).length;
    badge.hidden = active === 0;
    badge.textContent = `${active} active`;
  }
}

/** @param {string} title @param {boolean} open @param {...import("../common/dom.js").Child} children */
function section(title, open, ...children) {
  return h("details", { class: "section", open }, h("summary", null, h("h2", { text: title })), h("div", { class: "stack tight" }, ...children));
}
