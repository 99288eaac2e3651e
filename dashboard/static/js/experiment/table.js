/** All published values with the phases that were present, and the computed candidates beside them. */
import { count, badge, missing, number, quantityNode, quantityText } from "../common/format.js";
import { h, replace } from "../common/dom.js";

/** @typedef {import("./verdict.js").Published} Published */
/** @typedef {import("./verdict.js").Pair} Pair */

const SHOWN = 4;
const ALONE = ["published", "sample and source"];
const COLUMNS = [...ALONE, "computed candidate", "computed", "residual"];

/** @param {Published[]} rows */
export function valuesTable(rows) {
  const quantities = [...new Set(rows.map((row) => row.quantity_label))];
  const groups = quantities.map((name) => ({ name, own: rows.filter((row) => row.quantity_label === name) }));
  const [compared, alone] = [groups.filter(hasPairs), groups.filter((group) => !hasPairs(group))];
  return h("div", { class: "stack" }, [...compared, ...alone].map(quantityCard));
}

/** @typedef {{name: string, own: Published[]}} Group */
/** @param {Group} group */
const hasPairs = ({ own }) => own.some((row) => row.computed.length);

/** @param {Group} group */
function quantityCard({ name, own }) {
  const [beside, alone] = [own.filter((row) => row.computed.length), own.filter((row) => !row.computed.length)];
  const pairs = beside.reduce((sum, row) => sum + row.computed.length, 0);
  const rest = alone.length > 0 && table(`Values of ${name} without a candidate`, ALONE, alone.map((row) => h("tbody", null, h("tr", null, publishedCell(row, 1), sampleCell(row, 1)))));
  return h("details", { class: "card values", open: pairs > 0 },
    h("summary", null, h("h3", { text: name }), h("span", { class: "soft small", text: `${count(own.length, "published value")}, ${pairs ? count(pairs, "pair") : "nothing computed beside"}` })),
    pairs > 0 && table(`Values of ${name} with candidates`, COLUMNS, beside.map(valueBody)),
    pairs && rest ? h("details", { class: "alone" }, h("summary", { class: "soft small", text: `${count(alone.length, "more value")} without a computed candidate` }), rest) : rest);
}

/** @param {string} label @param {string[]} columns @param {HTMLElement[]} bodies */
function table(label, columns, bodies) {
  return h("div", { class: "scroll", tabIndex: 0, role: "region", aria: { label } },
    h("table", { class: "table" }, h("thead", null, h("tr", null, columns.map((text) => h("th", { scope: "col", text })))), bodies));
}

/** @param {Published} row */
function valueBody(row) {
  const body = h("tbody");
  const fill = (/** @type {number} */ most) => {
    const pairs = row.computed.slice(0, most);
    const rest = row.computed.length - pairs.length;
    const span = pairs.length + (rest > 0 ? 1 : 0);
    const cells = [publishedCell(row, span), sampleCell(row, span)];
    replace(body,
      pairs.map((pair, i) => h("tr", null, i === 0 && cells, pairCells(pair, row))),
      rest > 0 && h("tr", null, h("td", { colspan: 3 }, h("button", { type: "button", class: "button tiny bare", text: `Show ${count(rest, "more candidate")}`, onclick: () => fill(Infinity) }))));
  };
  fill(SHOWN);
  return body;
}

/** @param {Published} row @param {number} span */
function publishedCell(row, span) {
  return h("th", { scope: "rowgroup", rowspan: span, class: "published" },
    h("span", { class: "number", text: row.published_text }), " ", badge(row.kind === "experiment" ? "measured" : "computed"));
}

/** @param {Published} row @param {number} span */
function sampleCell(row, span) {
  const at = Object.entries(row.at).map(([name, value]) => `${name} = ${number(value)}`).join(", ");
  const where = [row.family, row.former, at, row.conditions, row.electrode && `against ${row.electrode}`].filter(Boolean).join(", ");
  return h("td", { rowspan: span, class: "sample" }, h("div", { dir: "auto", text: row.phases_present }),
    h("div", { class: "small soft", dir: "auto", text: where }), h("div", { class: "small soft", dir: "auto", text: row.source }));
}

/** @param {Pair} pair @param {Published} row */
function pairCells(pair, row) {
  return [
    h("td", { class: "who" }, h("a", { href: `/candidate?id=${encodeURIComponent(pair.candidate_id)}` }, h("bdi", { text: pair.label })),
      h("div", { class: "small soft", text: [pair.level, pair.phase_note].filter(Boolean).join(", ") })),
    h("td", null, quantityNode(pair.computed), pair.reason && !pair.reason.startsWith("not computed") && h("div", { class: "small soft reason", text: pair.reason })),
    h("td", { class: "residual" }, residual(pair, row), !pair.like_with_like && h("div", { class: "small caution", title: pair.caution, text: pair.caution.split(": ")[0] })),
  ];
}

/** @param {Pair} pair @param {Published} row */
function residual(pair, row) {
  if (!pair.residual) return missing(row.electrode ? "not comparable" : "not known");
  const unit = row.quantity.endsWith("_ms_cm") ? "decades" : row.quantity_label.match(/\(([^)]*)\)$/)?.[1] ?? "";
  return h("span", { class: "number" }, quantityText(pair.residual), h("span", { class: "unit", text: ` ${unit}` }));
}
