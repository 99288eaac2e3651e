/**
 * Values to tick, with counts; flags; free text.
 *
 * choiceFilter(name, label, state, facets, words?) → { element, update(params) }   any of the ticked values
 * flagFilter(shown, state)   yes, no, or either      textFilter(state)   part of a name or formula
 */
import { debounced, h, replace } from "../common/dom.js";
import { count } from "../common/format.js";
import { splitWords } from "../common/words.js";

/** @typedef {import("../common/url_state.js").UrlState} UrlState */
/** @typedef {import("./ranges.js").Part} Part */

const SHOWN_VALUES = 8;

/** @param {string} name @param {string} label @param {UrlState} state @param {import("./facets.js").Facets} facets @param {Record<string, string>} [words] @returns {Part} */
export function choiceFilter(name, label, state, facets, words = {}) {
  let isLong = false;
  const list = h("ul", { class: "choices" });
  const more = h("button", { class: "button bare tiny", type: "button", hidden: true, onclick: () => { isLong = !isLong; update(state.params); } });
  const element = h("fieldset", { class: "choice", id: `filter-${name}` }, h("legend", { text: label }), list, more);
  return { element, update };

  /** @param {URLSearchParams} params */
  function update(params) {
    const chosen = splitWords(params.get(name));
    const values = [...facets.values(name)];
    for (const value of chosen) if (!values.some((one) => one.value === value)) values.push({ value, count: 0 });
    const shown = isLong ? values : values.filter((one, i) => i < SHOWN_VALUES || chosen.includes(one.value));
    const focused = list.contains(document.activeElement) ? /** @type {HTMLInputElement} */ (document.activeElement).value : null;
    replace(list, shown.map((one) => item(one, chosen)));
    if (focused !== null) [...list.querySelectorAll("input")].find((box) => box.value === focused)?.focus();
    more.hidden = values.length <= SHOWN_VALUES;
    more.textContent = isLong ? "Show fewer" : `Show all ${values.length}`;
    element.hidden = values.length === 0;
  }

  /** @param {{value: string, count: number}} one @param {string[]} chosen */
  function item({ value, count: n }, chosen) {
    const box = h("input", { type: "checkbox", value, checked: chosen.includes(value), onchange: () => {
      const rest = chosen.filter((other) => other !== value);
      state.set({ [name]: box.checked ? [...rest, value] : rest, _page: null });
    } });
    return h("li", null, h("label", { class: n ? "" : "none" }, box,
      h("span", { class: "grow clip", text: words[value] ?? value, title: words[value] ?? value }), " ",
      h("span", { class: "tally", text: count(n), aria: { label: count(n, "candidate") } })));
  }
}

/** @param {import("../common/fields.js").Shown} field @param {UrlState} state @returns {Part} */
export function flagFilter(field, state) {
  const select = h("select", { id: `filter-${field.name}`, class: "field", onchange: () => state.set({ [field.name]: select.value, _page: null }) },
    [["", "either"], ["true", "yes"], ["false", "no"]].map(([value, text]) => h("option", { value, text })));
  const element = h("label", { class: "flag", title: field.description }, h("span", { text: field.label }), select);
  return { element, update: (params) => { select.value = params.get(field.name) ?? ""; } };
}

/** @param {UrlState} state @returns {Part} */
export function textFilter(state) {
  let isTyping = false;
  const ask = debounced(() => {
    isTyping = false;
    state.set({ text: input.value.trim(), _page: null }, { replace: true });
  }, 300);
  const input = h("input", { id: "filter-text", class: "field", type: "search", placeholder: "Name or formula, e.g. TaOCl", maxlength: 100, autocomplete: "off", spellcheck: "false", aria: { label: "Name or formula" }, oninput: () => { isTyping = true; ask(); } });
  return { element: input, update: (params) => { if (!isTyping && input.value.trim() !== (params.get("text") ?? "")) input.value = params.get("text") ?? ""; } };
}
