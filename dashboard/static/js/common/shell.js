/**
 * Header, navigation, theme switch, footer, skip link and live region of every page.
 *
 * mountShell("explorer")   page: explorer | compare | experiment | campaign | docs | candidate
 *
 * The html holds: <header id="shell-header" class="shell-header"></header>
 * <main id="main" class="shell-main" tabindex="-1">…</main>
 * <footer id="shell-footer" class="shell-footer"></footer>
 */
import { byId, h, replace, svg } from "./dom.js";
import { onThemeChange, setTheme, themeChoice } from "./theme.js";

const PAGES = /** @type {[string, string, string][]} */ ([
  ["explorer", "/", "Explorer"],
  ["compare", "/compare", "Compare"],
  ["experiment", "/experiment", "Experiment"],
  ["campaign", "/campaign", "Campaign"],
  ["docs", "/docs", "API"],
]);
/** @type {Record<string, {next: "light" | "dark" | "system", icon: string, label: string}>} */
const THEMES = {
  system: { next: "light", label: "Theme: as the system", icon: "M3 4h14v9H3zM7 17h6M10 13v4" },
  light: { next: "dark", label: "Theme: light", icon: "M10 6.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 1 1 0-7M10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6L16 16M4 16l1.4-1.4M14.6 5.4L16 4" },
  dark: { next: "system", label: "Theme: dark", icon: "M16.5 12A7 7 0 0 1 8 3.5a7 7 0 1 0 8.500 8.500z" },
};

/** @param {string} page */
export function mountShell(page) {
  const header = byId("shell-header");
  replace(header,
    h("a", { class: "skip-link", href: "#main", text: "Skip to content" }),
    h("div", { class: "shell-bar" }, brand(), navigation(page), themeButton()));
  replace(byId("shell-footer"), footer());
  document.body.append(h("div", { id: "live-region", class: "visually-hidden", role: "status", aria: { live: "polite" } }));
  header.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

function brand() {
  const mark = svg("svg", { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": 1.8, "aria-hidden": "true" },
    svg("circle", { cx: 12, cy: 12, r: 9 }), svg("path", { d: "M3.500 14c3-4 5.500-4 8.500 0s5.500 4 8.500 0" }),
    svg("circle", { cx: 12, cy: 7.2, r: 1.9, fill: "currentColor", stroke: "none" }));
  return h("a", { class: "shell-brand", href: "/", aria: { label: "haloflow, explorer" } }, mark, h("span", { text: "haloflow" }));
}

/** @param {string} page */
function navigation(page) {
  const links = PAGES.map(([name, href, label]) =>
    h("li", null, h("a", { href, text: label, aria: { current: name === page ? "page" : null } })));
  return h("nav", { class: "shell-nav", aria: { label: "Pages" } }, h("ul", null, links));
}

function themeButton() {
  const button = h("button", { id: "theme-switch", class: "button bare", type: "button" });
  const show = () => {
    const { icon, label } = THEMES[themeChoice()];
    button.title = label;
    button.setAttribute("aria-label", label);
    replace(button, svg("svg", { viewBox: "0 0 20 20", fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-linecap": "round", "aria-hidden": "true" }, svg("path", { d: icon })));
  };
  button.addEventListener("click", () => setTheme(THEMES[themeChoice()].next));
  onThemeChange(show);
  show();
  return button;
}

function footer() {
  return h("div", null,
    h("span", { text: "Every number comes from /api/v1 of this server; nothing leaves this machine." }),
    h("a", { href: "/docs", text: "API documentation" }));
}
