/**
 * The fields of a candidate as a page shows them: a quantity is one column, not five.
 *
 * const fields = await loadFields();   fields.get("sigma") → Shown;  fields.columns → Shown[];  fields.default → names
 * A Shown: { name, label, unit (as shown), scale (to it), type, description, allowed, isQuantity, parts (API names) }
 * cellOf(shown, row)   the element that shows row's value: number ± error, unit-free, badge; "not computed" where missing
 */
import { get } from "./api.js";
import { h } from "./dom.js";
import { badge, dateTime, duration, formulaNode, isKnown, missing, number, quantityOf, quantityText, statusBadge } from "./format.js";

/** @typedef {{name: string, label: string, unit: string, type: string, description: string, allowed: string[]}} ApiField */
/** @typedef {ApiField & {scale: number, isQuantity: boolean, parts: string[]}} Shown */

const PART = /_(?:sd|lower|upper|status)$/;
const PARTS = ["", "_sd", "_lower", "_upper", "_status"];
const FORMULAS = new Set(["label", "formula"]);
const WITH_INDEX = /^(E|σ|D)_(\w+)$/;

export class Fields {
  /** @param {ApiField[]} fields @param {string[]} names of default columns */
  constructor(fields, names) {
    const known = new Set(fields.map((field) => field.name));
    /** @type {Map<string, Shown>} */
    this.shown = new Map();
    for (const field of fields) {
      const isPart = PART.test(field.name) && known.has(field.name.replace(PART, ""));
      if (!isPart) this.shown.set(field.name, shown(field, known.has(`${field.name}_status`)));
    }
    this.default = names.filter((name) => this.shown.has(name) && name !== "id");
  }

  /** All that can be a column. @returns {Shown[]} */
  get columns() {
    return [...this.shown.values()];
  }

  /** Also sweep variables (var.x), diffusivities (d_600K) and levels of theory (level_md). @param {string} name @returns {Shown | null} */
  get(name) {
    const found = this.shown.get(name);
    if (found) return found;
    const variable = /^var\.(\w+)$/.exec(name)?.[1];
    if (variable) return shown({ ...NUMBER, name, label: variable, description: `sweep variable ${variable}` }, false);
    const stage = /^level_(relax|hull|melt_quench|md)$/.exec(name)?.[1];
    if (stage) return shown({ ...NUMBER, name, type: "text", label: `level of ${stage.replace("_", "-")}`, description: "level of theory" }, false);
    const kelvin = /^d_(\d+)K$/.exec(name)?.[1];
    if (kelvin) return shown({ ...NUMBER, name, label: `D(${kelvin} K)`, unit: "cm2/s", description: `Na tracer diffusivity at ${kelvin} K` }, true);
    return null;
  }
}

const NUMBER = { unit: "", type: "number", allowed: [] };

/** Energies per atom read in meV, as in reports. @param {ApiField} field @param {boolean} isQuantity @returns {Shown} */
function shown(field, isQuantity) {
  const isEnergy = field.unit === "eV/atom";
  const parts = isQuantity ? PARTS.map((part) => field.name + part) : [field.name];
  const unit = field.name === "wall" ? "" : isEnergy ? "meV/atom" : field.unit.replace("cm2", "cm²").replace("cm3", "cm³");
  return { ...field, unit, scale: isEnergy ? 1000 : 1, isQuantity, parts };
}

/** @returns {Promise<Fields>} */
export async function loadFields() {
  const body = await get("/fields");
  return new Fields(body.data, body.meta?.default ?? body.default ?? []);
}

/** Label with an index set low: E_hull. @param {string} label */
export function labelNode(label) {
  const match = WITH_INDEX.exec(label);
  return match ? h("span", null, match[1], h("sub", { text: match[2] })) : h("span", { text: label });
}

/** @param {Shown} field @param {Record<string, any>} row @returns {HTMLElement} */
export function cellOf(field, row) {
  const value = row[field.name];
  if (field.isQuantity) {
    const quantity = quantityOf(row, field.name);
    const { status } = quantity;
    const text = isKnown(quantity) ? h("span", { class: "number", text: quantityText(quantity, { scale: field.scale, decimals: field.scale === 1 ? undefined : 0 }) }) : missing();
    return h("span", { class: "cell" }, text, status && status !== "ok" && statusBadge(status));
  }
  if (value === null || value === undefined || value === "") return missing("–");
  if (FORMULAS.has(field.name)) return formulaNode(value);
  if (field.type === "flag") return badge(value ? "yes" : "no", value ? "ok" : "plain");
  if (field.name === "wall") return h("span", { text: duration(value) });
  if (field.name === "updated") return h("span", { text: dateTime(value) });
  if (field.type === "number") return h("span", { class: "number", text: Number.isInteger(value) && Math.abs(value) < 1e5 ? String(value) : number(value * field.scale) });
  return h("span", { text: Array.isArray(value) ? value.join(", ") : value });
}
