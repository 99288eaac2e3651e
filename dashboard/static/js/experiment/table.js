/** All published values with the phases that were present, and the computed candidates beside them. */
import { count, badge, missing, number, quantityNode, quantityText } from "../common/format.js";
import { h, replace } from "../common/dom.js";

/** @typedef {import("./plots.js").Published} Published */
/** @typedef {import("./plots.js").Pair} Pair */

const SHOWN = 4;
const COLUMNS = ["published", "", "sample and source", "computed candidate", "computed", "residual"];

/** @param {Published[]} rows */
export function valuesTable(rows) {
  const quantities = [...new Set(rows.map((row) => row.quantity_label))];
  return h("div", { class: "stack" }, quantities.map((name) => {
    const own = rows.filter((row) => row.quantity_label === name).sort((a, b) => b.computed.length - a.computed.length);
    const pairs = own.reduce((sum, row) => sum + row.computed.length, 0);
    return h("details", { class: "card values", open: pairs > 0 },
      h("summary", null, h("h3", { text: name }), h("span", { class: "soft small", text: `${count(own.length, "published value")}, ${pairs ? count(pairs, "pair") : "nothing computed beside"}` })),
      h("div", { class: "scroll", tabIndex: 0, role: "region", aria: { label: `Values of ${name}` } },
        h("table", { class: "table" },
          h("thead", null, h("tr", null, COLUMNS.filter(Boolean).map((text) => h("th", { scope: "col", text })))),
          own.map(valueBody))));
  }));
}

/** @param {Published} row */
function valueBody(row) {
  const body = h("tbody");
  const fill = (/** @type {number} */ most) => {
    const pairs = row.computed.slice(0, most);
    const rest = row.computed.length - pairs.length;
    const span = Math.max(pairs.length, 1) + (rest > 0 ? 1 : 0);
    const cells = [publishedCell(row, span), sampleCell(row, span)];
    replace(body,
      pairs.length ? pairs.map((pair, i) => h("tr", null, i === 0 && cells, pairCells(pair, row)))
        : h("tr", null, cells, h("td", { colspan: 3 }, missing("no computed candidate"))),
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
    h("td", null, quantityNode(pair.computed), pair.reason && h("div", { class: "small soft reason", text: pair.reason })),
    h("td", { class: "residual" }, residual(pair, row), !pair.like_with_like && h("div", { class: "small caution", dir: "auto", text: pair.caution })),
  ];
}

/** @param {Pair} pair @param {Published} row */
function residual(pair, row) {
  if (!pair.residual) return missing(row.electrode ? "not comparable" : "not known");
  const unit = row.quantity.endsWith("_ms_cm") ? "decades" : row.quantity_label.match(/\(([^)]*)\)$/)?.[1] ?? "";
  return h("span", { class: "number" }, quantityText(pair.residual), h("span", { class: "unit", text: ` ${unit}` }));
}
