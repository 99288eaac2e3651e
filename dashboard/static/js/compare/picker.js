/**
 * Adding and removing candidates: chips, and a field that searches by name or formula.
 *
 * makePicker(host, state) → { update(rows) }      rows: [{ id, label }] in the order compared
 */
import { isAbort, latest } from "../common/api.js";
import { announce, debounced, h, replace } from "../common/dom.js";
import { formulaNode } from "../common/format.js";

export const MOST_COMPARED = 6;
const MOST_OPTIONS = 12;

/** @param {HTMLElement} host @param {import("../common/url_state.js").UrlState} state */
export function makePicker(host, state) {
  const ask = latest();
  /** @type {{id: string, label: string, phase: string}[]} */
  let found = [];
  let active = -1;
  const input = h("input", {
    id: "add-candidate", class: "field", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", maxlength: 100,
    aria: { label: "Add a candidate by name or formula", expanded: false, controls: "add-options", autocomplete: "list" },
    oninput: debounced(search, 200), onkeydown: onKey, onblur: () => setTimeout(close, 150), onfocus: () => search(),
  });
  const options = h("ul", { id: "add-options", class: "options", role: "listbox", hidden: true, aria: { label: "Candidates found" } });
  replace(host, h("div", { class: "combo" }, input, options));
  return { update };

  function update() {
    const isFull = state.list("ids").length >= MOST_COMPARED;
    input.disabled = isFull;
    input.placeholder = isFull ? `At most ${MOST_COMPARED}: remove one to add another` : "Add a candidate: name or formula";
  }

  async function search() {
    const chosen = state.list("ids");
    const text = input.value.trim();
    try {
      const body = await ask("/candidates", { text, id_not: chosen, _fields: ["id", "label", "phase"], _limit: MOST_OPTIONS, _sort_fields: "-sigma_lower" });
      found = body.data;
    } catch (error) {
      if (isAbort(error)) return;
      found = [];
      announce("The search failed");
    }
    options.dataset.text = text;
    if (document.activeElement === input) show();
  }

  function show() {
    active = -1;
    const none = h("li", { class: "option soft", role: "option", text: "Nothing found", aria: { disabled: true } });
    replace(options, found.length ? found.map(option) : none);
    options.hidden = false;
    input.setAttribute("aria-expanded", "true");
    announce(`${found.length} found`);
  }

  /** @param {{id: string, label: string, phase: string}} row @param {number} index */
  function option(row, index) {
    return h("li", { id: `option-${index}`, class: "option", role: "option", aria: { selected: false }, onpointerdown: (/** @type {Event} */ event) => { event.preventDefault(); choose(row); } },
      formulaNode(row.label), h("span", { class: "soft", text: row.phase }));
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && found[Math.max(active, 0)] && !options.hidden) choose(found[Math.max(active, 0)]);
    else if (step && found.length) mark((active + step + found.length) % found.length);
    else return;
    event.preventDefault();
  }

  /** @param {number} index */
  function mark(index) {
    active = index;
    [...options.children].forEach((one, i) => one.setAttribute("aria-selected", String(i === index)));
    input.setAttribute("aria-activedescendant", `option-${index}`);
    options.children[index]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {{id: string, label: string}} row */
  function choose(row) {
    input.value = "";
    close();
    state.set({ ids: [...state.list("ids"), row.id].slice(0, MOST_COMPARED) });
    announce(`${row.label} added`);
  }

  function close() {
    options.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
}
