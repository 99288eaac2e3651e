/** The REST API, described from its own openapi.json by a copy of Swagger UI on this server. */
import { ApiError, errorPanel } from "./common/api.js";
import { byId, replace } from "./common/dom.js";
import { mountShell } from "./common/shell.js";
import { isDark, onThemeChange } from "./common/theme.js";
import { vendor } from "./common/vendor.js";

const NOTHING = { components: { InfoContainer: () => null } }; // the page has its own title

mountShell("docs");
followTheme();
new MutationObserver(nameMenus).observe(byId("api"), { childList: true, subtree: true });
show(byId("api"));

/** @param {HTMLElement} place */
async function show(place) {
  try {
    const SwaggerUI = await vendor("swagger-ui");
    SwaggerUI({
      domNode: place,
      url: "/api/v1/openapi.json",
      plugins: [NOTHING],
      presets: [SwaggerUI.presets.apis],
      validatorUrl: null,
      supportedSubmitMethods: ["get", "head"],
      defaultModelsExpandDepth: -1,
      docExpansion: "list",
      onComplete: settled,
    });
  } catch (error) {
    replace(place, errorPanel(new ApiError(0, { problem: String(/** @type {any} */ (error).message) })));
    settled();
  }
}

/** Swagger UI's style sheet knows a dark mode by a class. */
function followTheme() {
  const follow = () => document.documentElement.classList.toggle("dark-mode", isDark());
  onThemeChange(follow);
  follow();
}

/** Menus of parameters have no name for screen readers: give them that of the parameter. */
function nameMenus() {
  for (const menu of byId("api").querySelectorAll("select:not([aria-label])")) {
    const row = menu.closest("[data-param-name]");
    menu.setAttribute("aria-label", row instanceof HTMLElement ? row.dataset.paramName ?? "value" : "media type");
  }
}

function settled() {
  document.body.dataset.ready = "true";
}
