/**
 * Choosing columns.
 *
 * columnMenu(state, fields) → { element, update(params) }
 */
import { h, replace } from "../common/dom.js";
import { labelNode } from "../common/fields.js";
import { columnsOf } from "./query.js";
import { dropdown } from "./menu.js";

/** @param {import("../common/url_state.js").UrlState} state @param {import("../common/fields.js").Fields} fields */
export function columnMenu(state, fields) {
  const list = h("ul", { class: "choices", id: "column-list" });
  const problem = h("p", { class: "small", role: "alert" });
  const extra = h("input", { id: "column-extra", class: "field", type: "text", placeholder: "var.x, d_600K or level_md", maxlength: 40, autocomplete: "off", spellcheck: "false", aria: { label: "Another column" } });
  const form = h("form", { class: "row nowrap", onsubmit: add }, extra, h("button", { class: "button", type: "submit", text: "Add" }));
  const reset = h("button", { class: "button bare tiny", type: "button", text: "Back to the default columns", onclick: () => state.set({ _columns: null }) });
  const element = dropdown("columns", "Columns", list, h("p", { class: "soft small", text: "A sweep variable, a diffusivity or a level of theory:" }), form, problem, reset);
  return { element, update };

  /** @param {URLSearchParams} params */
  function update(params) {
    const chosen = columnsOf(params, fields);
    const names = new Set([...chosen, ...fields.columns.map((field) => field.name)]);
    const focused = list.contains(document.activeElement) ? /** @type {HTMLInputElement} */ (document.activeElement).value : null;
    replace(list, [...names].map((name) => item(name, chosen)));
    if (focused !== null) [...list.querySelectorAll("input")].find((box) => box.value === focused)?.focus();
  }

  /** @param {string} name @param {string[]} chosen */
  function item(name, chosen) {
    const field = /** @type {import("../common/fields.js").Shown} */ (fields.get(name));
    const isOn = chosen.includes(name);
    const box = h("input", { type: "checkbox", value: name, checked: isOn, disabled: isOn && chosen.length === 1,
      onchange: () => state.set({ _columns: isOn ? chosen.filter((other) => other !== name) : [...chosen, name] }) });
    return h("li", null, h("label", { title: field.description }, box, h("span", { class: "grow" }, labelNode(field.label)), " ", h("span", { class: "unit", text: field.unit })));
  }

  /** @param {SubmitEvent} event */
  function add(event) {
    event.preventDefault();
    const name = extra.value.trim();
    const isKnown = fields.get(name) !== null;
    problem.textContent = isKnown ? "" : `There is no field “${name}”: var.NAME is a sweep variable, d_600K the diffusivity at 600 K, level_md the level of theory of md.`;
    extra.setAttribute("aria-invalid", String(!isKnown));
    if (!isKnown) return;
    extra.value = "";
    state.set({ _columns: [...columnsOf(state.params, fields), name] });
  }
}
