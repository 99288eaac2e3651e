/**
 * Pages of the table.
 *
 * showPager(host, state, { page, size, total })
 */
import { h, replace } from "../common/dom.js";
import { count } from "../common/format.js";
import { PAGE_SIZES } from "./query.js";

/** @param {HTMLElement} host @param {import("../common/url_state.js").UrlState} state @param {{page: number, size: number, total: number}} at */
export function showPager(host, state, { page, size, total }) {
  const last = Math.max(1, Math.ceil(total / size));
  const focused = document.activeElement instanceof HTMLElement && host.contains(document.activeElement) ? document.activeElement.id : "";
  const go = (/** @type {string} */ id, /** @type {string} */ text, /** @type {string} */ label, /** @type {number} */ to) =>
    h("button", { id, class: "button tiny", type: "button", text, disabled: to < 1 || to > last || to === page, aria: { label }, onclick: () => state.set({ _page: to > 1 ? to : null }) });
  const sizes = h("select", { id: "page-size", class: "field tiny", onchange: () => state.set({ _per_page: sizes.value, _page: null }) },
    PAGE_SIZES.map((n) => h("option", { value: String(n), text: String(n), selected: n === size })));
  const from = total ? (page - 1) * size + 1 : 0;
  replace(host,
    go("page-first", "«", "First page", page > 1 ? 1 : 0), go("page-previous", "‹", "Previous page", page - 1),
    h("span", { id: "page-range", text: `${count(from)}–${count(Math.min(page * size, total))} of ${count(total)}` }),
    go("page-next", "›", "Next page", page + 1), go("page-last", "»", "Last page", page < last ? last : 0),
    h("label", { class: "row soft small" }, "rows", sizes));
  if (focused) (document.getElementById(focused) ?? host.querySelector("button"))?.focus();
}
