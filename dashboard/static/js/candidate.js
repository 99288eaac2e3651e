/** The page of one candidate: /candidate?id=…&step=…&sample=…#section-or-figure */
import { emptyPanel, errorPanel, get, loadingPanel } from "./common/api.js";
import { byId, h, replace } from "./common/dom.js";
import { mountShell } from "./common/shell.js";
import { UrlState } from "./common/url_state.js";
import { headerOf, resultsOf, warningsOf } from "./candidate/header.js";
import { literatureOf } from "./candidate/literature.js";
import { downloadsOf } from "./candidate/downloads.js";
import { provenanceOf } from "./candidate/provenance.js";
import { FigureSections } from "./candidate/sections.js";
import { SectionNav, sectionElement } from "./candidate/section_nav.js";
import { StructurePanel } from "./candidate/structure_panel.js";

const state = new UrlState();
mountShell("candidate");
let shown = "";
state.onChange(() => { if (state.get("id") !== shown) open(); });
open();

async function open() {
  shown = state.get("id");
  document.body.dataset.ready = "false";
  const [head, body] = [byId("candidate-head"), byId("candidate-body")];
  replace(body, loadingPanel("Loading the candidate…"));
  const base = `/candidates/${encodeURIComponent(shown)}`;
  try {
    if (!shown) {
      replace(body, emptyPanel("No candidate chosen", "The address lacks ?id=…", h("a", { class: "button", href: "/", text: "Choose one in the explorer" })));
      return;
    }
    const ask = async (/** @type {string} */ part) => (await get(base + part)).data;
    const summary = await ask("");
    const [structures, figures, trajectories] = await Promise.all(["/structures", "/figures", "/trajectory"].map(ask));
    build(base, { summary, structures, figures, trajectories }, head, body);
  } catch (error) {
    replace(head, h("h1", { text: "Candidate" }));
    replace(body, errorPanel(error, open), h("p", { class: "soft" }, h("a", { href: "/", text: "Back to the explorer" })));
  } finally {
    document.body.dataset.ready = "true";
  }
}

/** @param {string} base @param {{summary: any, structures: any[], figures: any[], trajectories: any[]}} found @param {HTMLElement} head @param {HTMLElement} body */
function build(base, { summary, structures, figures, trajectories }, head, body) {
  document.title = `${summary.label} · haloflow`;
  const structure = new StructurePanel(base, summary, { structures, trajectories }, state);
  const sections = new FigureSections(base, summary, figures, state);
  const literature = sectionElement("literature", "Published values", literatureOf(summary), null, "Published");
  const provenance = sectionElement("provenance", "Provenance", provenanceOf(base));
  const downloads = sectionElement("downloads", "Downloads", downloadsOf(base, summary, structures, figures));
  replace(head, headerOf(summary), warningsOf(summary));
  replace(body,
    h("div", { class: "hero" }, structure.element, resultsOf(summary)),
    sections.elements, literature, provenance, downloads);
  new SectionNav(byId("candidate-sections"), body, (name) => sections.reveal(name)).start();
}
