/**
 * The table of candidates: drawn by Tabulator, which draws only the rows in sight; filled, sorted
 * and paged by the API. One tab stop: arrows walk the rows, Enter opens, Space selects.
 *
 * const grid = await makeGrid(host, { onSort(name), onToggle(row), onMove(names) });
 * grid.show(rows, { columns: Shown[], sort, selection, total, first })
 */
import { h } from "../common/dom.js";
import { cellOf, labelNode } from "../common/fields.js";
import { formulaNode } from "../common/format.js";
import { vendor } from "../common/vendor.js";
import { MOST_COMPARED, SMALL_SCREEN } from "./query.js";
import { walkRows } from "./rows.js";

/** @typedef {import("../common/fields.js").Shown} Shown */
/** @typedef {{name: string, down: boolean} | null} Sort */
/** @typedef {{onSort: (name: string) => void, onToggle: (row: any) => void, onMove: (names: string[]) => void}} Actions */
/** @typedef {{columns: Shown[], sort: Sort, selection: string[], total: number, first: number}} View */

const WIDTHS = /** @type {Record<string, number>} */ ({ phase: 70, family: 120, formula: 130, chemsys: 120, id: 170, sweep: 130 });

/** @param {HTMLElement} host @param {Actions} actions */
export async function makeGrid(host, actions) {
  const Tabulator = await vendor("tabulator");
  /** @type {View} */
  let view = { columns: [], sort: null, selection: [], total: 0, first: 0 };
  let shape = "";
  /** @type {Record<string, any>[]} */
  let data = [];
  const table = new Tabulator(host, {
    index: "id", height: "100%", layout: "fitDataFill", movableColumns: true,
    columnDefaults: { headerSort: false, minWidth: 70 },
    rowFormatter: dress, columns: [], data: [], placeholder: "",
  });
  await new Promise((resolve) => { table.on("tableBuilt", resolve); });
  host.setAttribute("aria-label", "Candidates");
  const holder = host.querySelector(".tabulator-tableholder");
  holder?.setAttribute("role", "presentation");
  holder?.removeAttribute("tabindex");
  walkRows(host, table, actions.onToggle);
  table.on("columnMoved", (/** @type {any} */ _, /** @type {any[]} */ columns) =>
    actions.onMove(columns.map((column) => column.getField()).filter((name) => name && name !== "_pick")));
  return { show, isEmpty: () => table.getDataCount() === 0 };

  /** @param {Record<string, any>[]} rows @param {View} next */
  async function show(rows, next) {
    view = next;
    if (rows === data) return table.getRows().forEach(remark);
    data = rows;
    const wanted = next.columns.map((column) => column.name).join(",") + isSmall();
    if (wanted !== shape) table.setColumns([pickColumn(), ...next.columns.map(columnOf)]);
    shape = wanted;
    await table.setData(rows);
    markSort();
    host.setAttribute("aria-rowcount", String(next.total + 1));
    const first = host.querySelector(".tabulator-row");
    if (first instanceof HTMLElement) first.tabIndex = 0;
  }

  /** Selection, order and keyboard place of a row that comes into sight. @param {any} row */
  function dress(row) {
    const element = row.getElement();
    const isPicked = view.selection.includes(row.getData().id);
    element.classList.toggle("picked", isPicked);
    element.setAttribute("aria-selected", String(isPicked));
    element.setAttribute("aria-rowindex", String(view.first + row.getPosition() + 1));
    if (!element.hasAttribute("tabindex")) element.tabIndex = -1;
  }

  /** The boxes and marks of a row after the selection changed. @param {any} row */
  function remark(row) {
    dress(row);
    const box = row.getElement().querySelector("input[type=checkbox]");
    if (box) setBox(box, row.getData().id);
  }

  /** @param {HTMLInputElement} box @param {string} id */
  function setBox(box, id) {
    box.checked = view.selection.includes(id);
    box.disabled = view.selection.length >= MOST_COMPARED && !box.checked;
    box.title = box.disabled ? `at most ${MOST_COMPARED} can be compared` : "compare";
  }

  function pickColumn() {
    return {
      field: "_pick", width: 34, minWidth: 34, resizable: false, frozen: !isSmall(), hozAlign: "center", cssClass: "pick",
      titleFormatter: () => h("span", { class: "visually-hidden", text: "Compare" }),
      formatter: (/** @type {any} */ cell) => {
        const row = cell.getData();
        const box = h("input", { type: "checkbox", tabIndex: -1, aria: { label: `Compare ${row.label ?? row.id}` }, onchange: () => actions.onToggle(row) });
        setBox(box, row.id);
        return box;
      },
    };
  }

  /** @param {Shown} field */
  function columnOf(field) {
    const isLabel = field.name === "label";
    return {
      title: field.label, field: field.name, width: isLabel ? labelWidth(host) : WIDTHS[field.name], frozen: isLabel && !isSmall(),
      cssClass: field.type === "number" ? "numeric" : "", minWidth: field.isQuantity ? 120 : 70,
      titleFormatter: () => heading(field),
      formatter: (/** @type {any} */ cell) => (isLabel ? link(cell.getData()) : cellOf(field, cell.getData())),
    };
  }

  /** @param {Shown} field */
  function heading(field) {
    return h("button", { type: "button", class: "heading", title: field.description, data: { sort: field.name }, onclick: () => actions.onSort(field.name) },
      h("span", { class: "heading-name" }, labelNode(field.label), h("span", { class: "arrow", aria: { hidden: true } })),
      field.unit && h("span", { class: "unit", text: field.unit }));
  }

  function markSort() {
    for (const button of host.querySelectorAll("button.heading")) {
      const name = /** @type {HTMLElement} */ (button).dataset.sort;
      const order = view.sort?.name !== name ? "none" : view.sort?.down ? "descending" : "ascending";
      button.closest(".tabulator-col")?.setAttribute("aria-sort", order);
    }
  }
}

/** @param {HTMLElement} host */
const labelWidth = (host) => Math.round(Math.min(300, Math.max(142, 0.28 * host.clientWidth)));

const isSmall = () => matchMedia(SMALL_SCREEN).matches;

/** @param {Record<string, any>} row */
function link(row) {
  return h("a", { href: `/candidate?id=${encodeURIComponent(row.id)}`, tabIndex: -1, title: row.label ?? row.id, dir: "auto" }, formulaNode(row.label ?? row.id));
}
