/** Published numbers, the phases they belong to, and what was computed here. */
import { h } from "../common/dom.js";
import { isKnown, number, quantityNode } from "../common/format.js";

const NAMES = /** @type {Record<string, [string, string]>} */ ({
  sigma_300k_ms_cm: ["σ(300 K)", "mS/cm"], activation_energy_ev: ["Activation energy", "eV"],
  energy_above_hull_ev_per_atom: ["Energy above hull", "eV/atom"], density_g_cm3: ["Density", "g/cm³"],
  oxidation_limit_v: ["Oxidation limit", "V"], reduction_limit_v: ["Reduction limit", "V"],
});
const UNITS = /** @type {[string, string][]} */ ([
  ["_cm2_s", "cm²/s"], ["_ms_cm", "mS/cm"], ["_s_cm", "S/cm"], ["_g_cm3", "g/cm³"], ["_ev_per_atom", "eV/atom"],
  ["_percent", "%"], ["_ev", "eV"], ["_ms", "ms"], ["_a", "Å"], ["_k", "K"], ["_v", "V"], ["_c", "°C"],
]);

/** @param {any} summary */
export function literatureOf(summary) {
  const rows = summary.literature ?? [];
  if (!rows.length) return h("div", { class: "card missing-part empty" }, h("p", { text: "The library holds no published number of this composition." }));
  return h("div", { class: "card" },
    h("p", { class: "small soft", text: "Compare the phases that were present before comparing the numbers." }),
    h("div", { class: "scroll", tabIndex: 0, role: "region", aria: { label: "Table of published values" } }, h("table", { class: "table literature" },
      h("thead", null, h("tr", null, ["Quantity", "Published", "This work", "Kind", "Phases present", "Source"].map((name) => h("th", { scope: "col", text: name })))),
      h("tbody", null, rows.map((/** @type {any} */ row) => line(row, summary))))));
}

/** @param {any} row @param {any} summary */
function line(row, summary) {
  const [name, unit] = nameOf(row.quantity);
  const own = summary[row.quantity];
  return h("tr", null, h("th", { scope: "row", text: name }),
    h("td", { class: "number" }, valueText(row), unit && h("span", { class: "unit", text: ` ${unit}` })),
    h("td", null, isKnown(own) ? quantityNode(own, { unit }) : h("span", { class: "missing", text: "–" })),
    h("td", { text: row.kind }), h("td", { text: row.phases_present }),
    h("td", null, row.source, row.conditions && h("span", { class: "small soft why", text: row.conditions })));
}

/** @param {any} row */
function valueText({ value, lower, upper }) {
  if (value !== null && value !== undefined) return number(value);
  if (lower !== null && upper !== null) return `${number(lower)} … ${number(upper)}`;
  return lower === null ? `≤ ${number(upper)}` : `≥ ${number(lower)}`;
}

/** @param {string} quantity @returns {[string, string]} */
function nameOf(quantity) {
  const key = quantity.replace(/\.value$/, "");
  const [suffix, unit] = UNITS.find(([end]) => key.endsWith(end)) ?? ["", ""];
  return NAMES[key] ?? [key.slice(0, key.length - suffix.length).replaceAll("_", " "), unit];
}
