/**
 * The candidates picked for comparison, at the foot of the window.
 *
 * makeTray(host, state) → { update(params), toggle(row), labels }
 */
import { get } from "../common/api.js";
import { announce, h, replace } from "../common/dom.js";
import { formulaNode } from "../common/format.js";
import { MOST_COMPARED, selectionOf } from "./query.js";

/** @param {HTMLElement} host @param {import("../common/url_state.js").UrlState} state */
export function makeTray(host, state) {
  /** @type {Map<string, string>} */
  const labels = new Map();
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
    if (!picked.length) return;
    const unknown = picked.filter((id) => !labels.has(id));
    if (unknown.length) await learn(unknown);
    replace(host, h("ul", { class: "chips" }, picked.map((id) => h("li", null,
      h("button", { class: "chip", type: "button", aria: { label: `Do not compare ${labels.get(id)}` }, onclick: () => toggle({ id, label: labels.get(id) }) },
        formulaNode(labels.get(id)), h("span", { class: "chip-cross", text: "×", aria: { hidden: true } }))))),
      h("button", { class: "button bare tiny", type: "button", text: "Clear", onclick: () => state.set({ _select: null }, { replace: true }) }),
      h("a", { id: "compare-link", class: "button primary", href: `/compare?ids=${picked.join(",")}`, text: picked.length > 1 ? `Compare ${picked.length}` : "Compare" }));
  }

  /** @param {string[]} ids */
  async function learn(ids) {
    for (const id of ids) labels.set(id, id);
    const body = await get("/candidates", { id: ids, _fields: ["id", "label"] }).catch(() => ({ data: [] }));
    for (const row of body.data) labels.set(row.id, row.label ?? row.id);
  }
}
