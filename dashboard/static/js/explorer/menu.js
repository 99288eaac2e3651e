/**
 * A button with a panel below it: Escape and a click elsewhere close it.
 *
 * dropdown("columns", "Columns", ...children) → <details id="columns-menu">
 */
import { h } from "../common/dom.js";

/** @param {string} id @param {string} label @param {...import("../common/dom.js").Child} children @returns {HTMLDetailsElement} */
export function dropdown(id, label, ...children) {
  const summary = h("summary", { class: "button", text: label });
  const menu = h("details", { id: `${id}-menu`, class: "menu" }, summary, h("div", { class: "menu-list" }, ...children));
  menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    summary.focus();
  });
  document.addEventListener("pointerdown", (event) => {
    if (menu.open && event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  });
  return menu;
}
