/**
 * Active filters as chips, each with a button that removes it.
 *
 * activeFilters(params, fields) → [{ text, without: URLSearchParams }]     showChips(list, state, fields)
 */
import { h, replace } from "../common/dom.js";
import { number, STATUS_LABELS } from "../common/format.js";
import { joinWords, splitWords } from "../common/words.js";
import { filtersOf } from "./query.js";

const ELEMENTS = /** @type {Record<string, string>} */ ({ elements_all: "with", elements_any: "with any of", elements_none: "without" });

/** @typedef {import("../common/fields.js").Fields} Fields */
/** @typedef {{text: string, without: URLSearchParams}} Chip */

/** @param {URLSearchParams} params @param {Fields} fields @returns {Chip[]} */
export function activeFilters(params, fields) {
  /** @type {Chip[]} */
  const chips = [];
  for (const name of new Set(filtersOf(params).keys())) {
    if (name.endsWith("_max") && params.has(name.replace(/max$/, "min"))) continue;
    chips.push(...chipsOf(name, params, fields));
  }
  return chips;
}

/** @param {string} name @param {URLSearchParams} params @param {Fields} fields @returns {Chip[]} */
function chipsOf(name, params, fields) {
  const bound = /^(.+)_(min|max)$/.exec(name);
  const ranged = bound && fields.get(bound[1]);
  if (ranged) {
    const [low, high] = ["min", "max"].map((end) => params.get(`${ranged.name}_${end}`));
    return [{ text: `${ranged.label} ${rangeText(low, high, ranged.scale)} ${ranged.unit}`.trim(), without: less(params, [`${ranged.name}_min`, `${ranged.name}_max`]) }];
  }
  const values = params.getAll(name);
  if (name === "text") return [{ text: `“${values[0]}”`, without: less(params, [name]) }];
  if (name === "variable") {
    return values.map((value) => {
      const [variable, low, high] = value.split(":");
      return { text: `${variable} ${rangeText(low, high, 1)}`, without: withoutValue(params, name, value) };
    });
  }
  return values.flatMap(splitWords).map((value) => ({
    text: wording(name, value, fields), without: withoutItem(params, name, value),
  }));
}

/** @param {string} name @param {string} value @param {Fields} fields */
function wording(name, value, fields) {
  if (ELEMENTS[name]) return `${ELEMENTS[name]} ${value}`;
  if (name === "has") return `${fields.get(value)?.label ?? value} known`;
  const isNot = name.endsWith("_not");
  const base = name.replace(/_not$/, "");
  const quantity = fields.get(base.replace(/_status$/, ""));
  const status = base.endsWith("_status") && quantity ? `${quantity.label} ` : "";
  const label = status || `${fields.get(base)?.label ?? base.replaceAll("_", " ")}: `;
  const shown = STATUS_LABELS[value] ?? ({ true: "yes", false: "no" })[value] ?? value;
  return `${label}${isNot ? "not " : ""}${shown}`;
}

/** @param {string | null} low @param {string | null} high @param {number} scale */
function rangeText(low, high, scale) {
  const [from, to] = [low, high].map((end) => (end ? number(Number(end) * scale, 4).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") : ""));
  if (from && to) return `${from} … ${to}`;
  return from ? `≥ ${from}` : `≤ ${to}`;
}

/** @param {URLSearchParams} params @param {string[]} names */
function less(params, names) {
  return new URLSearchParams([...params].filter(([name]) => ![...names, "_page"].includes(name)));
}

/** @param {URLSearchParams} params @param {string} name @param {string} value */
function withoutValue(params, name, value) {
  return new URLSearchParams([...params].filter(([key, v]) => key !== "_page" && !(key === name && v === value)));
}

/** @param {URLSearchParams} params @param {string} name @param {string} item */
function withoutItem(params, name, item) {
  const rest = params.getAll(name).flatMap(splitWords).filter((one) => one !== item);
  const result = less(params, [name]);
  if (rest.length) result.set(name, joinWords(rest));
  return result;
}

/** @param {HTMLElement} list @param {import("../common/url_state.js").UrlState} state @param {Fields} fields */
export function showChips(list, state, fields) {
  const chips = activeFilters(state.params, fields);
  const items = chips.map((chip, index) => h("li", null,
    h("button", { class: "chip", type: "button", aria: { label: `Remove filter ${chip.text}` }, onclick: () => remove(chip, index) },
      h("span", { text: chip.text }), h("span", { class: "chip-cross", text: "×", aria: { hidden: true } }))));
  const clear = h("li", null, h("button", { id: "clear-filters", class: "button bare tiny", type: "button", text: "Clear all", onclick: () => state.go(cleared(state.params)) }));
  replace(list, chips.length ? [...items, clear] : h("li", { class: "none soft small", text: "No filter: all candidates" }));

  /** @param {Chip} chip @param {number} index */
  function remove(chip, index) {
    state.go(chip.without);
    const next = list.querySelectorAll("button")[index];
    (next ?? document.getElementById("filter-text"))?.focus();
  }
}

/** @param {URLSearchParams} params */
export const cleared = (params) => new URLSearchParams([...params].filter(([name]) => name.startsWith("_") && name !== "_page"));
