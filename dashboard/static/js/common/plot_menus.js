/**
 * Plotly's drawn menus as real ones, which keyboards and screen readers reach.
 *
 * const menus = plotMenus(host); menus.take(layout) → layout without its menus; await menus.apply(Plotly, canvas)
 */
import { h, replace } from "./dom.js";

/** @param {HTMLElement} host where the menus go */
export function plotMenus(host) {
  /** @type {any[]} */
  let menus = [];
  /** @type {number[]} index of the choice in each menu */
  let chosen = [];
  /** @type {(index: number) => void} */
  let act = () => {};
  return { take, apply };

  /** @param {Record<string, any>} layout */
  function take(layout) {
    const found = (layout.updatemenus ?? []).filter((/** @type {any} */ menu) => menu.buttons?.length);
    if (labels(found) !== labels(menus)) {
      chosen = found.map((/** @type {any} */ menu) => menu.active ?? 0);
      replace(host, found.map(selectOf));
    }
    menus = found;
    const { updatemenus: _, ...rest } = layout;
    return rest;
  }

  /** @param {any} Plotly @param {any} canvas */
  async function apply(Plotly, canvas) {
    const run = (/** @type {number} */ index) => {
      const { method = "update", args = [] } = menus[index].buttons[chosen[index]];
      return Plotly[method](canvas, ...structuredClone(args));
    };
    act = run;
    for (const [index, menu] of menus.entries()) if (chosen[index] !== (menu.active ?? 0)) await run(index);
  }

  /** @param {any} menu @param {number} index */
  function selectOf(menu, index) {
    const select = h("select", { class: "field", aria: { label: "What is drawn" }, onchange: () => {
      chosen[index] = select.selectedIndex;
      act(index);
    } }, menu.buttons.map((/** @type {any} */ button, /** @type {number} */ i) => h("option", { text: button.label, selected: i === chosen[index] })));
    return select;
  }
}

/** @param {any[]} menus */
const labels = (menus) => JSON.stringify(menus.map((menu) => menu.buttons.map((/** @type {any} */ button) => button.label)));
