/**
 * A range of a number in the unit it is shown in, and whether it must be known.
 *
 * rangeFilter(shown, state, bounds?) → { element, update(params) }     bounds = [least, most] in the store
 * variableFilter(name, state) → the same for a sweep variable
 */
import { h } from "../common/dom.js";
import { labelNode } from "../common/fields.js";
import { number } from "../common/format.js";

/** @typedef {import("../common/fields.js").Shown} Shown */
/** @typedef {import("../common/url_state.js").UrlState} UrlState */
/** @typedef {{element: HTMLElement, update: (params: URLSearchParams) => void}} Part */

/** @param {Shown} field @param {UrlState} state @param {[number, number] | null} [bounds] @returns {Part} */
export function rangeFilter(field, state, bounds = null) {
  const names = [`${field.name}_min`, `${field.name}_max`];
  const inputs = names.map((name, end) => input(`filter-${name}`, `${field.label}, ${end ? "most" : "least"}${field.unit ? `, ${field.unit}` : ""}`, bounds?.[end], field.scale));
  const known = h("input", { type: "checkbox", id: `filter-has-${field.name}`, onchange: () => setKnown(known.checked) });
  inputs.forEach((one, end) => one.addEventListener("change", () => {
    const value = read(one, field.scale);
    if (value !== undefined) state.set({ [names[end]]: value, _page: null });
  }));
  const element = h("fieldset", { class: "range", title: field.description },
    h("legend", null, labelNode(field.label), field.unit && h("span", { class: "unit", text: ` ${field.unit}` })),
    h("div", { class: "range-ends" }, inputs[0], h("span", { text: "–", aria: { hidden: true } }), inputs[1],
      h("label", { class: "known", title: "only candidates where it is known" }, known, h("span", { text: "known" }))));
  return { element, update };

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
const itemsOf = (params) => (params.get("has") ?? "").split(",").filter(Boolean);

/** @param {string} name @param {UrlState} state @param {[number, number] | null} [bounds] @returns {Part} */
export function variableFilter(name, state, bounds = null) {
  const inputs = ["least", "most"].map((word, end) => input(`filter-variable-${name}-${word}`, `Sweep variable ${name}, ${word}`, bounds?.[end], 1));
  for (const one of inputs) {
    one.addEventListener("change", () => {
      const [low, high] = inputs.map((end) => read(end, 1));
      if (low === undefined || high === undefined) return;
      const rest = [...state.params].filter(([key, value]) => key !== "_page" && !(key === "variable" && value.startsWith(`${name}:`)));
      if (low !== "" || high !== "") rest.push(["variable", `${name}:${low}:${high}`]);
      state.go(new URLSearchParams(rest));
    });
  }
  const element = h("fieldset", { class: "range" }, h("legend", { text: name }),
    h("div", { class: "range-ends" }, inputs[0], h("span", { text: "–", aria: { hidden: true } }), inputs[1]));
  return { element, update: (params) => {
    const [, low = "", high = ""] = (params.getAll("variable").find((value) => value.startsWith(`${name}:`)) ?? "").split(":");
    write(inputs[0], low, 1);
    write(inputs[1], high, 1);
  } };
}

/** @param {string} id @param {string} label @param {number | undefined} bound @param {number} scale @returns {HTMLInputElement} */
function input(id, label, bound, scale) {
  const hint = bound === undefined || bound === null ? "any" : number(bound * scale, 2);
  return h("input", { id, class: "field", type: "text", inputmode: "decimal", autocomplete: "off", placeholder: hint, aria: { label } });
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

/** @param {HTMLInputElement} field @param {string | null} value @param {number} scale */
function write(field, value, scale) {
  if (field === document.activeElement && field.getAttribute("aria-invalid") === "true") return;
  field.setAttribute("aria-invalid", "false");
  field.value = value ? String(Number((Number(value) * scale).toPrecision(12))) : "";
}
