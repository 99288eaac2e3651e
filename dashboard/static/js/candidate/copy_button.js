/** copyable("9f2c…", "sha256 of the weights")   a value in full, with a button that copies it */
import { announce, h } from "../common/dom.js";

/** @param {string} value @param {string} name @param {string} [shown] */
export function copyable(value, name, shown = value) {
  const text = h("code", { class: "mono", text: shown, title: shown === value ? "" : value });
  const button = h("button", { class: "button bare tiny copy", type: "button", text: "Copy", aria: { label: `Copy ${name}` } });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value);
      say(button, "Copied");
      announce(`${name} copied`);
    } catch {
      getSelection()?.selectAllChildren(text);
      say(button, "Press Ctrl+C");
    }
  });
  return h("span", { class: "copyable" }, text, button);
}

/** @param {HTMLElement} button @param {string} word */
function say(button, word) {
  button.textContent = word;
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}
