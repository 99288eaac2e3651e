/**
 * Libraries kept in /static/vendor, loaded once and only when a page needs them.
 *
 * const Plotly = await vendor("plotly");     names: plotly, tabulator, 3dmol, swagger-ui
 * Addresses with their digests come from vendor_urls.js, so browsers keep the files for ever.
 */
import { VENDOR } from "./vendor_urls.js";

/** @type {Record<string, {global: string, files: string[]}>} */
const LIBRARIES = {
  plotly: { global: "Plotly", files: ["plotly/plotly-cartesian.min.js"] },
  tabulator: { global: "Tabulator", files: ["tabulator/tabulator.min.css", "tabulator/tabulator.min.js"] },
  "3dmol": { global: "$3Dmol", files: ["3dmol/3Dmol-min.js"] },
  "swagger-ui": { global: "SwaggerUIBundle", files: ["swagger-ui/swagger-ui.css", "swagger-ui/swagger-ui-bundle.js"] },
};
/** @type {Map<string, Promise<any>>} */
const loaded = new Map();

/** @param {string} name @returns {Promise<any>} the library's global object */
export function vendor(name) {
  let library = loaded.get(name);
  if (!library) {
    const { files, global } = LIBRARIES[name];
    library = Promise.all(files.map(insert)).then(() => /** @type {any} */ (window)[global]);
    library.catch(() => loaded.delete(name));
    loaded.set(name, library);
  }
  return library;
}

/** Styles go before the page's own, which may so refine them. @param {string} file @returns {Promise<void>} */
function insert(file) {
  const isStyle = file.endsWith(".css");
  const element = document.createElement(isStyle ? "link" : "script");
  return new Promise((resolve, reject) => {
    element.addEventListener("load", () => resolve());
    element.addEventListener("error", () => {
      element.remove();
      reject(new Error(`the library file ${file} cannot be loaded`));
    });
    if (element instanceof HTMLLinkElement) Object.assign(element, { rel: "stylesheet", href: VENDOR[file] });
    else element.src = VENDOR[file];
    document.head.prepend(element);
  });
}
