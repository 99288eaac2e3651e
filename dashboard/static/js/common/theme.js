/**
 * Light, dark or as the system has it; colours for what CSS cannot reach (plots, canvases).
 *
 * themeChoice()  setTheme("light" | "dark" | "system")
 * colour("--ink")        the colour in force, as rgb(...)
 * onThemeChange(redraw)  called after every change, by choice, system or print
 */

const KEY = "haloflow-theme";
const changes = new EventTarget();
const dark = matchMedia("(prefers-color-scheme: dark)");
const print = matchMedia("print");

/** @typedef {"light" | "dark" | "system"} Theme */

/** @returns {Theme} */
export function themeChoice() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

/** @returns {boolean} */
export const isDark = () => (themeChoice() === "system" ? dark.matches : themeChoice() === "dark");

/** @param {Theme} theme */
export function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } finally {
    changes.dispatchEvent(new Event("change"));
  }
}

/** @param {() => void} redraw */
export function onThemeChange(redraw) {
  changes.addEventListener("change", redraw);
}

for (const query of [dark, print]) {
  query.addEventListener("change", () => changes.dispatchEvent(new Event("change")));
}

/** @type {HTMLElement | null} */
let probe = null;

/** @param {string} name of a custom property @returns {string} */
export function colour(name) {
  if (!probe) {
    probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}
