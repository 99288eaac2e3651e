/**
 * The candidates picked for comparison.
 *
 * makeTray(host, state) → { update(params), toggle(row) }
 */
import { get } from "../common/api.js";
import { announce, h, replace } from "../common/dom.js";
import { formulaNode } from "../common/format.js";
import { dropdown } from "./menu.js";
import { MOST_COMPARED, selectionOf } from "./query.js";

/** @param {HTMLElement} host @param {import("../common/url_state.js").UrlState} state */
export function makeTray(host, state) {
  /** @type {Map<string, string>} */
  const labels = new Map();
  const list = h("ul", { class: "picked-list" });
  const clear = h("button", { class: "button bare tiny", type: "button", text: "Pick none", onclick: () => state.set({ _select: null }, { replace: true }) });
  const menu = dropdown("picked", "", list, clear);
  const compare = h("a", { id: "compare-link", class: "button primary", href: "/compare" });
  replace(host, menu, compare);
  return { update, toggle };

  /** @param {{id: string, label?: string}} row */
  function toggle(row) {
    const picked = selectionOf(state.params);
    const isPicked = picked.includes(row.id);
    if (!isPicked && picked.length >= MOST_COMPARED) {
      announce(`At most ${MOST_COMPARED} candidates can be compared`);
      return;
    }
    labels.set(row.id, row.label ?? row.id);
    const next = isPicked ? picked.filter((id) => id !== row.id) : [...picked, row.id];
    state.set({ _select: next }, { replace: true });
    announce(`${next.length} of ${MOST_COMPARED} picked for comparison`);
  }

  /** @param {URLSearchParams} params */
  async function update(params) {
    const picked = selectionOf(params);
    host.hidden = picked.length === 0;
    if (!picked.length) menu.open = false;
    menu.firstElementChild?.replaceChildren(`${picked.length} picked`);
    compare.textContent = picked.length > 1 ? `Compare ${picked.length}` : "Compare";
    compare.setAttribute("href", `/compare?ids=${picked.map(encodeURIComponent).join(",")}`);
    await learn(picked.filter((id) => !labels.has(id)));
    replace(list, picked.map((id) => h("li", null, h("a", { href: `/candidate?id=${encodeURIComponent(id)}` }, formulaNode(labels.get(id))),
      h("button", { class: "button bare tiny", type: "button", text: "×", aria: { label: `Do not compare ${labels.get(id)}` }, onclick: () => toggle({ id, label: labels.get(id) }) }))));
  }

  /** @param {string[]} ids */
  async function learn(ids) {
    if (!ids.length) return;
    for (const id of ids) labels.set(id, id);
    const body = await get("/candidates", { id: ids, _fields: ["id", "label"] }).catch(() => ({ data: [] }));
    for (const row of body.data) labels.set(row.id, row.label ?? row.id);
  }
}
