/** Everything of a candidate as files: structures, data, the data of each figure. */
import { apiUrl } from "../common/api.js";
import { h } from "../common/dom.js";
import { stepTitle } from "./structure_panel.js";

const FORMATS = [["cif", "CIF"], ["poscar", "POSCAR"], ["xyz", "XYZ"], ["json", "pymatgen JSON"]];
const DATA = [["", "Summary"], ["/transport", "Transport"], ["/rdf", "g(r)"], ["/speciation", "Speciation"], ["/structure-analysis", "Structure"],
  ["/density", "Landscape and hops"], ["/topology", "Topology"], ["/hull", "Stability"], ["/provenance", "Provenance"]];

/** @param {string} base @param {any} summary @param {any[]} structures @param {any[]} figures */
export function downloadsOf(base, summary, structures, figures) {
  const id = summary.candidate_id;
  const file = (/** @type {string} */ path, /** @type {any} */ params, /** @type {string} */ text, /** @type {string} */ name) =>
    h("a", { class: "button tiny", href: apiUrl(base + path, params), download: name, text });
  return h("div", { class: "card downloads" },
    h("h3", { text: "Structures" }),
    structures.length ? h("dl", { class: "facts" }, structures.flatMap(({ step }) => [
      h("dt", { text: stepTitle(step) }),
      h("dd", { class: "row" }, FORMATS.map(([fmt, text]) => h("a", { class: "button tiny", href: apiUrl(`${base}/structure`, { fmt, step }), download: "", text, aria: { label: `${text} of ${stepTitle(step)}` } })))]))
      : h("p", { class: "small soft", text: "None yet." }),
    h("h3", { text: "Data (JSON, units in the names)" }),
    h("div", { class: "row" }, DATA.map(([path, text]) => file(path, {}, text, `${id}${path.replace("/", "-") || "-summary"}.json`))),
    figures.length > 0 && [h("h3", { text: "Figures (plotly JSON; CSV, SVG and PNG stand at each figure)" }),
      h("div", { class: "row" }, figures.map((figure) => file(`/figures/${encodeURIComponent(figure.id)}`, {}, figure.title, `${id}-${figure.id}.json`)))]);
}
