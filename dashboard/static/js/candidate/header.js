/** What a candidate is and how good it is: name, key numbers, warnings, all results. */
import { badge, dateTime, formulaNode, isKnown, missing, number, quantityText, STATUS_MEANINGS, statusBadge } from "../common/format.js";
import { h } from "../common/dom.js";
import { copyable } from "./copy_button.js";

/** @typedef {import("../common/format.js").Quantity} Quantity */

/** Results that the tiles and the head show already. */
const SHOWN = new Set(["Composition", "E_hull", "σ(300 K)", "Activation energy", "Density"]);
const LONGEST_NOTE = 42;
const NOT_YET = "not computed yet";

/** @param {any} summary */
export function headerOf(summary) {
  const variables = Object.entries(summary.variables ?? {}).map(([name, value]) => `${name} = ${number(/** @type {number} */ (value))}`);
  return h("div", { class: "identity" },
    h("p", { class: "crumbs" }, h("a", { href: document.referrer.startsWith(`${location.origin}/?`) ? document.referrer : "/", text: "Explorer" }),
      h("span", { text: " / ", aria: { hidden: true } }), h("span", { class: "soft", text: summary.chemsys })),
    h("div", { class: "row tags" }, h("h1", { class: "clip" }, formulaNode(summary.label)),
      badge(summary.phase, "plain"), summary.family !== summary.phase && badge(summary.family, "plain"),
      summary.phase_note && badge(summary.phase_note.length > LONGEST_NOTE ? "see the first warning †" : `† ${summary.phase_note}`, "not", summary.phase_note),
      summary.rank && badge(`rank ${summary.rank}`, "plain"), screenBadge(summary), !summary.complete && badge("incomplete", "not", "some steps have not been run to their end")),
    h("p", { class: "small soft row facts-line" },
      h("span", null, formulaNode(summary.formula)), h("span", { text: `${summary.n_atoms} atoms, ${summary.n_mobile} mobile ions` }),
      summary.phase === "glass" && h("span", { text: summary.n_seeds === 1 ? "1 sample" : `${summary.n_seeds} samples` }),
      variables.length > 0 && h("span", { text: variables.join(", ") }),
      h("span", { text: `updated ${dateTime(summary.last_updated)}` }), copyable(summary.candidate_id, "the candidate's id")));
}

/** @param {any} summary */
function screenBadge({ passes_screen: passes, screen }) {
  if (!screen.text) return null;
  if (passes === true) return badge(`passes: ${screen.text}`, "ok", "the screen of its sweep asks no more than this");
  return passes === false ? badge(`fails: ${screen.text}`, "not", "the screen of its sweep") : badge(`open: ${screen.text}`, "plain", "the numbers do not decide yet whether it passes this screen");
}

/** @param {any} summary */
export function warningsOf(summary) {
  const texts = [...new Set(summary.cautions)].map((text) => (text === summary.phase_note ? `† ${text}` : text));
  if (!texts.length) return null;
  return h("aside", { class: "warnings", aria: { label: "Warnings" } },
    h("strong", { text: texts.length === 1 ? "Before you use these numbers" : `Before you use these numbers: ${texts.length} warnings` }),
    h("ul", null, texts.map((text) => h("li", { text }))));
}

/** @param {any} summary */
export function resultsOf(summary) {
  return h("section", { id: "results", class: "part results", data: { title: "Results" }, aria: { labelledby: "results-heading" } },
    h("h2", { id: "results-heading", class: "visually-hidden", text: "Results" }),
    h("dl", { class: "tiles" }, keyNumbers(summary).map(tile)),
    h("div", { class: "card" }, factList(summary),
      summary.footnotes.length > 0 && h("details", { class: "footnotes" }, h("summary", { text: "How far to trust these numbers" }),
        h("ul", { class: "small soft" }, summary.footnotes.map((/** @type {string} */ note) => h("li", { text: note }))))));
}

/** @param {any} s */
function keyNumbers(s) {
  return [
    { name: "σ(300 K)", quantity: s.sigma_300k_ms_cm, unit: "mS/cm", level: s.levels.md },
    { name: "Activation energy", quantity: s.activation_energy_ev, unit: "eV", level: s.levels.md },
    { name: "Energy above hull", quantity: s.energy_above_hull_ev_per_atom, unit: "meV/atom", scale: 1000, decimals: 0, level: s.levels.hull },
    s.phase === "glass" || isKnown(s.density_g_cm3)
      ? { name: "Density", quantity: s.density_g_cm3, unit: "g/cm³", level: s.levels.melt_quench ?? s.levels.md }
      : { name: "Oxidation limit", quantity: s.oxidation_limit_v, unit: "V", level: s.levels.hull },
  ];
}

/** @param {{name: string, quantity: Quantity | null, unit: string, scale?: number, decimals?: number, level?: string}} key */
function tile({ name, quantity, unit, scale = 1, decimals, level }) {
  const status = isKnown(quantity) || quantity?.note !== NOT_YET ? quantity?.status : null;
  const why = status && status !== "ok" ? quantity?.note || STATUS_MEANINGS[status] : "";
  return h("div", { class: "tile card" },
    h("dt", null, name, " ", status && statusBadge(status)),
    h("dd", null,
      h("span", { class: "value" }, isKnown(quantity) ? valueParts(quantityText(quantity, { scale, decimals }), unit) : missing()),
      why && h("span", { class: "small soft why", text: sentence(why) }),
      level && h("span", { class: "small soft level", text: level })));
}

/** The value large, its interval or bound after it. @param {string} text @param {string} unit */
function valueParts(text, unit) {
  const at = text.search(/ [[(]/);
  const [value, rest] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at)];
  return [h("span", { class: "number", text: value }), h("span", { class: "unit", text: ` ${unit}` }), " ", rest && h("span", { class: "interval", text: rest.trim() })];
}

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {any} summary */
function factList({ facts }) {
  return h("dl", { class: "facts" }, facts.filter((/** @type {any} */ fact) => !SHOWN.has(fact.name)).flatMap((/** @type {any} */ fact) => {
    const unit = fact.unit && fact.text !== "–" ? ` ${fact.unit}` : "";
    return [h("dt", { text: fact.name.replace(/^D\((\d+)K\)$/, "D($1 K)").replace(/, melt_quench(?:-seed(\d+))?$/, (/** @type {string} */ _, /** @type {string | undefined} */ seed) => (seed ? `, seed ${seed}` : "")) }), h("dd", null,
      fact.has_formulas ? formulas(fact.text) : h("span", { text: fact.text }), unit && h("span", { class: "unit", text: unit }),
      fact.status && [" ", statusBadge(fact.status)], fact.reason && h("span", { class: "small soft why", text: fact.reason }))];
  }));
}

/** Words among which formulas stand. @param {string} text */
function formulas(text) {
  return text.split(/(\s+)/).map((word) => (/^(?:[A-Z][a-z]?\d*(?:\.\d+)?)+†?,?$/.test(word) ? formulaNode(word) : word));
}
