/**
 * Elements as a small row in the order of the periodic table: with all, with any of, without.
 *
 * elementPicker(state, facets) → { element, update(params) }
 */
import { h, replace } from "../common/dom.js";
import { splitWords } from "../common/words.js";

const MODES = /** @type {Record<string, {label: string, word: string}>} */ ({
  elements_all: { label: "all of", word: "required" },
  elements_any: { label: "any of", word: "one of several" },
  elements_none: { label: "none of", word: "excluded" },
});
const BY_GROUP = ("H Li Na K Rb Cs Be Mg Ca Sr Ba Sc Y La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Ti Zr Hf V Nb Ta Cr Mo W "
  + "Mn Re Fe Ru Os Co Rh Ir Ni Pd Pt Cu Ag Au Zn Cd Hg B Al Ga In Tl C Si Ge Sn Pb N P As Sb Bi O S Se Te F Cl Br I").split(" ");

/** @param {string} symbol */
function place(symbol) {
  const index = BY_GROUP.indexOf(symbol);
  return index < 0 ? BY_GROUP.length : index;
}

/** @param {import("../common/url_state.js").UrlState} state @param {import("./facets.js").Facets} facets */
export function elementPicker(state, facets) {
  let mode = "elements_all";
  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map();
  const modes = h("div", { class: "segments", role: "radiogroup", aria: { label: "A click on an element asks for" } },
    Object.entries(MODES).map(([name, { label }]) => h("label", { class: `segment ${name}` },
      h("input", { type: "radio", name: "element-mode", value: name, checked: name === mode, onchange: () => { mode = name; } }),
      h("span", { text: label }))));
  const row = h("div", { id: "filter-elements", class: "elements", role: "group", aria: { label: "Elements" } });
  return { element: h("div", { class: "stack tight" }, modes, row), update };

  /** @param {URLSearchParams} params */
  function update(params) {
    const known = facets.values("element").sort((a, b) => place(a.value) - place(b.value));
    if (buttons.size !== known.length) {
      buttons.clear();
      for (const { value } of known) buttons.set(value, button(value));
      replace(row, ...buttons.values());
    }
    for (const { value, count } of known) mark(value, count, modeOf(params, value));
  }

  /** @param {string} symbol @returns {HTMLButtonElement} */
  function button(symbol) {
    return h("button", { type: "button", class: "element", onclick: () => choose(symbol), translate: "no" },
      h("span", { text: symbol }), " ", h("small"), h("span", { class: "visually-hidden" }));
  }

  /** @param {string} symbol @param {number} count @param {string} chosen */
  function mark(symbol, count, chosen) {
    const one = /** @type {HTMLButtonElement} */ (buttons.get(symbol));
    one.className = `element ${chosen}`;
    one.setAttribute("aria-pressed", String(Boolean(chosen)));
    one.dataset.empty = String(count === 0);
    const [, tally, rest] = one.children;
    tally.textContent = short(count);
    rest.textContent = ` candidates${chosen ? `, ${MODES[chosen].word}` : ""}`;
  }

  /** @param {string} symbol */
  function choose(symbol) {
    const { params } = state;
    const now = modeOf(params, symbol);
    /** @type {Record<string, string[] | null>} */
    const changes = { _page: null };
    for (const name of Object.keys(MODES)) {
      const rest = itemsOf(params, name).filter((one) => one !== symbol);
      changes[name] = name === mode && now !== mode ? [...rest, symbol] : rest;
    }
    state.set(changes);
  }
}

/** @param {URLSearchParams} params @param {string} name */
const itemsOf = (params, name) => splitWords(params.get(name));

/** @param {URLSearchParams} params @param {string} symbol */
const modeOf = (params, symbol) => Object.keys(MODES).find((name) => itemsOf(params, name).includes(symbol)) ?? "";

/** @param {number} count */
function short(count) {
  if (count < 1000) return String(count);
  return count < 10_000 ? `${(count / 1000).toFixed(1)}k` : `${Math.round(count / 1000)}k`;
}
