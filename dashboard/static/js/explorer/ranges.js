/**
 * A range of a number in the unit it is shown in, and whether it must be known.
 *
 * rangeFilter(shown, state) → { element, update(params), hint([least, most]) }     hint: of the store, API's unit
 * variableFilter(state)   adds a range of any sweep variable
 */
import { h } from "../common/dom.js";
import { labelNode } from "../common/fields.js";
import { isNumber, number } from "../common/format.js";
import { splitWords } from "../common/words.js";

/** @typedef {import("../common/fields.js").Shown} Shown */
/** @typedef {import("../common/url_state.js").UrlState} UrlState */
/** @typedef {{element: HTMLElement, update: (params: URLSearchParams) => void}} Part */

/** @param {Shown} field @param {UrlState} state @returns {Part & {hint: (bounds: (number | null)[]) => void}} */
export function rangeFilter(field, state) {
  const names = [`${field.name}_min`, `${field.name}_max`];
  const inputs = names.map((name, end) => input(`filter-${name}`, `${field.label}, ${end ? "most" : "least"}${field.unit ? `, ${field.unit}` : ""}`));
  const known = h("input", { type: "checkbox", id: `filter-has-${field.name}`, onchange: () => setKnown(known.checked) });
  inputs.forEach((one, end) => one.addEventListener("change", () => {
    const value = read(one, field.scale);
    one.dataset.written = one.value;
    if (value !== undefined) state.set({ [names[end]]: value, _page: null });
  }));
  const element = h("fieldset", { class: "range", title: field.description },
    h("legend", null, labelNode(field.label), field.unit && h("span", { class: "unit", text: ` ${field.unit}` })),
    h("div", { class: "range-ends" }, inputs[0], h("span", { text: "–", aria: { hidden: true } }), inputs[1],
      h("label", { class: "known", title: "only candidates where it is known" }, known, h("span", { text: "known" }))));
  return { element, update, hint };

  /** @param {(number | null)[]} bounds */
  function hint(bounds) {
    inputs.forEach((one, end) => { one.placeholder = isNumber(bounds[end]) ? number(bounds[end] * field.scale, 2) : "any"; });
  }

  /** @param {URLSearchParams} params */
  function update(params) {
    inputs.forEach((one, end) => write(one, params.get(names[end]), field.scale));
    known.checked = itemsOf(params).includes(field.name);
  }

  /** @param {boolean} wanted */
  function setKnown(wanted) {
    const rest = itemsOf(state.params).filter((name) => name !== field.name);
    state.set({ has: wanted ? [...rest, field.name] : rest, _page: null });
  }
}

/** @param {URLSearchParams} params */
const itemsOf = (params) => splitWords(params.get("has"));

/** @param {UrlState} state @returns {Part} */
export function variableFilter(state) {
  const name = h("input", { id: "variable-name", class: "field", type: "text", placeholder: "x", maxlength: 40, autocomplete: "off", spellcheck: "false", aria: { label: "Name of the sweep variable" } });
  const inputs = ["least", "most"].map((word) => input(`variable-${word}`, `Sweep variable, ${word}`));
  const add = () => {
    const [low, high] = inputs.map((one) => read(one, 1));
    const isNamed = /^[A-Za-z]\w*$/.test(name.value.trim());
    name.setAttribute("aria-invalid", String(!isNamed));
    if (!isNamed || low === undefined || high === undefined || (low === "" && high === "")) return;
    const prefix = `${name.value.trim()}:`;
    const rest = [...state.params].filter(([key, value]) => key !== "_page" && !(key === "variable" && value.startsWith(prefix)));
    state.go(new URLSearchParams([...rest, ["variable", `${prefix}${low}:${high}`]]));
    for (const one of [name, ...inputs]) one.value = "";
  };
  const form = h("form", { class: "range-ends variable", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); add(); } },
    name, inputs[0], h("span", { text: "–", aria: { hidden: true } }), inputs[1], h("button", { class: "button tiny", type: "submit", text: "Add" }));
  return { element: form, update: () => {} };
}

/** @param {string} id @param {string} label @returns {HTMLInputElement} */
function input(id, label) {
  return h("input", { id, class: "field", type: "text", inputmode: "decimal", autocomplete: "off", placeholder: "any", aria: { label } });
}

/** The API's value, "" for none, undefined for what is no number. @param {HTMLInputElement} field @param {number} scale */
function read(field, scale) {
  const text = field.value.trim().replace("−", "-").replace(",", ".");
  const value = Number(text);
  const isWrong = text !== "" && !Number.isFinite(value);
  field.setAttribute("aria-invalid", String(isWrong));
  field.setCustomValidity(isWrong ? "A number, such as 0.3 or 1e-3" : "");
  if (isWrong) field.reportValidity();
  if (isWrong) return undefined;
  return text === "" ? "" : String(Number((value / scale).toPrecision(12)));
}

/** What is being typed stays. @param {HTMLInputElement} field @param {string | null} value @param {number} scale */
function write(field, value, scale) {
  const isTyped = field.value !== (field.dataset.written ?? "") || field.getAttribute("aria-invalid") === "true";
  if (field === document.activeElement && isTyped) return;
  field.setAttribute("aria-invalid", "false");
  field.value = value ? String(Number((Number(value) * scale).toPrecision(12))) : "";
  field.dataset.written = field.value;
}
