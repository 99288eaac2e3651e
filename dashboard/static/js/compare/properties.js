/**
 * Properties side by side: the first candidate is the reference, differences stand under numbers.
 *
 * propertyTable(rows, fields, { onlyDifferent, onRemove, onReference }) → element
 */
import { h } from "../common/dom.js";
import { cellOf, labelNode } from "../common/fields.js";
import { formulaNode, isKnown, quantityOf } from "../common/format.js";
import { difference } from "./difference.js";
import { levelOf, LEVELS } from "./levels.js";
import { scaleOf, stripNode } from "./strip.js";

/** @typedef {import("../common/fields.js").Shown} Shown */
/** @typedef {Record<string, any>} Row */
/** @typedef {{onlyDifferent: boolean, onRemove: (id: string) => void, onReference: (id: string) => void}} Options */

const GROUPS = /** @type {[string, string[]][]} */ ([
  ["Level of theory", LEVELS],
  ["Stability", ["e_hull", "e_crystal", "e_reaction", "reduction_limit_v", "oxidation_limit_v"]],
  ["Transport", ["sigma", "sigma_c", "e_a", "haven", "anisotropy"]],
  ["Structure", ["bridging", "chain_length", "t1"]],
  ["What it is", ["family", "formula", "chemsys", "elements", "phase", "phase_id", "sweep", "passes", "complete"]],
  ["Glass and cell", ["density", "density_ratio", "quench_rate", "melted", "amorphous", "peroxide", "n_atoms", "n_mobile", "n_seeds"]],
]);
const LEFT_OUT = new Set(["id", "label", "updated"]);

/** @param {number} index */
export const seriesColour = (index) => `var(--series-${(index % 6) + 1})`;

/** @param {Row[]} rows @param {import("../common/fields.js").Fields} fields @param {Options} options */
export function propertyTable(rows, fields, options) {
  const head = h("thead", null, h("tr", null, h("th", { scope: "col" }, h("span", { class: "visually-hidden", text: "Property" })),
    rows.map((row, index) => headCell(row, index, options))));
  const bodies = grouped(fields).map(([title, shown]) => {
    const lines = shown.map((field) => line(field, rows, options.onlyDifferent)).filter(Boolean);
    return lines.length > 0 && h("tbody", null, h("tr", null, h("th", { scope: "rowgroup", colspan: rows.length + 1, text: title })), lines);
  });
  return h("div", { class: "scroll", tabIndex: 0, role: "region", aria: { label: "Properties side by side" } },
    h("table", { id: "properties-table", class: "properties-table" }, head, bodies));
}

/** Known groups first, all other fields after them. @param {import("../common/fields.js").Fields} fields @returns {[string, Shown[]][]} */
function grouped(fields) {
  const named = new Set(GROUPS.flatMap(([, names]) => names));
  const rest = fields.columns.filter((field) => !named.has(field.name) && !LEFT_OUT.has(field.name));
  const known = GROUPS.map(([title, names]) => /** @type {[string, Shown[]]} */ ([title, names.flatMap((name) => fields.get(name) ?? [])]));
  return [...known, ["More", rest]];
}

/** @param {Row} row @param {number} index @param {Options} options */
function headCell(row, index, { onRemove, onReference }) {
  const name = row.label ?? row.id;
  return h("th", { scope: "col", data: { id: row.id } },
    h("div", { class: "who" }, h("span", { class: "swatch", style: { background: seriesColour(index) }, aria: { hidden: true } }),
      h("a", { href: `/candidate?id=${encodeURIComponent(row.id)}` }, formulaNode(name)),
      h("button", { class: "button bare tiny", type: "button", text: "×", title: "remove", aria: { label: `Remove ${name}` }, onclick: () => onRemove(row.id) })),
    index === 0 ? h("span", { class: "reference", text: "reference" })
      : h("button", { class: "button bare tiny", type: "button", text: "Make reference", aria: { label: `Make reference: ${name}` }, onclick: () => onReference(row.id) }));
}

/** @param {Shown} field @param {Row[]} rows @param {boolean} onlyDifferent */
function line(field, rows, onlyDifferent) {
  const isSame = new Set(rows.map((row) => JSON.stringify(field.parts.map((part) => row[part] ?? null)))).size === 1;
  const quantities = rows.map((row) => (field.isQuantity ? quantityOf(row, field.name) : asQuantity(field, row)));
  const isUnknown = rows.every((row, i) => (quantities[i] ? !isKnown(quantities[i]) && !row[`${field.name}_status`] : row[field.name] === null || row[field.name] === undefined || row[field.name].length === 0));
  if (isUnknown || (isSame && onlyDifferent && rows.length > 1)) return null;
  const scale = field.type === "number" ? scaleOf(field, quantities.filter((q) => q !== null)) : null;
  return h("tr", { class: isSame && rows.length > 1 ? "same" : "", data: { field: field.name } },
    h("th", { scope: "row", title: field.description }, labelNode(field.label), field.unit && h("div", { class: "unit small", text: field.unit })),
    rows.map((row, index) => h("td", null, cellOf(field, row), marks(field, index, rows, quantities, scale))));
}

/** @param {Shown} field @param {Row} row @returns {import("../common/format.js").Quantity | null} */
const asQuantity = (field, row) => (field.type === "number" ? { value: row[field.name] } : null);

/** @param {Shown} field @param {number} index @param {Row[]} rows @param {(import("../common/format.js").Quantity | null)[]} quantities @param {import("./strip.js").Scale | null} scale */
function marks(field, index, rows, quantities, scale) {
  const [mine, reference] = [quantities[index], quantities[0]];
  if (!mine || !reference) return null;
  const isOneLevel = levelOf(field, rows[index]) === levelOf(field, rows[0]);
  const change = index > 0 && field.isQuantity ? difference(field, mine, reference, isOneLevel) : null;
  return [scale && stripNode(mine, scale, seriesColour(index)),
    change && h("span", { class: `delta ${change.isClear ? "clear" : ""}`, text: change.text })];
}
