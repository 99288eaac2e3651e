/**
 * Walking the rows of a table by keyboard: one of them is in the tab order, arrows move on.
 *
 * walkRows(host, table, onToggle)
 */

const JUMP = 10;
/** @type {Record<string, (i: number, last: number) => number>} */
const MOVES = {
  ArrowDown: (i) => i + 1, ArrowUp: (i) => i - 1, PageDown: (i) => i + JUMP, PageUp: (i) => i - JUMP,
  Home: () => 0, End: (_, last) => last,
};

/** @param {HTMLElement} host @param {any} table Tabulator @param {(row: any) => void} onToggle */
export function walkRows(host, table, onToggle) {
  host.addEventListener("keydown", (event) => {
    const element = event.target instanceof HTMLElement ? event.target : null;
    if (!element?.classList.contains("tabulator-row")) return;
    const row = table.getRows().find((/** @type {any} */ one) => one.getElement() === element);
    if (!row) return;
    if (event.key === "Enter") element.querySelector("a")?.click();
    else if (event.key === " ") onToggle(row.getData());
    else if (MOVES[event.key]) move(row, MOVES[event.key]);
    else return;
    event.preventDefault();
  });
  host.addEventListener("focusin", (event) => {
    const row = event.target instanceof HTMLElement ? event.target.closest(".tabulator-row") : null;
    if (!(row instanceof HTMLElement)) return;
    for (const other of host.querySelectorAll('.tabulator-row[tabindex="0"]')) /** @type {HTMLElement} */ (other).tabIndex = -1;
    row.tabIndex = 0;
  });

  /** @param {any} row @param {(i: number, last: number) => number} step */
  async function move(row, step) {
    const rows = table.getRows();
    const last = rows.length - 1;
    const target = rows[Math.min(last, Math.max(0, step(rows.indexOf(row), last)))];
    if (!target.getElement().isConnected) await table.scrollToRow(target, "nearest", false);
    target.getElement().focus();
  }
}
