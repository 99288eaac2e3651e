/** The figures of a candidate by what they show; where there are none, what would make them. */
import { figureCard } from "../common/figure.js";
import { h, replace } from "../common/dom.js";
import { statusBadge } from "../common/format.js";
import { sectionElement } from "./section_nav.js";

/**
 * @typedef {object} Part
 * @property {string} id
 * @property {string} title
 * @property {string} [short] title in the bar of sections
 * @property {RegExp} figures beginnings of the ids of its figures
 * @property {string[]} kinds of the steps that give its data
 * @property {string} shows what would be here
 * @property {string} option of a sweep that computes it
 * @property {boolean} [glass] of glasses alone
 */

/** @type {Part[]} */
const PARTS = [
  { id: "conductivity", title: "Conductivity", figures: /^(arrhenius|conductivity)/, kinds: ["diffusion", "transport"], shows: "Conductivity over temperature, with its regimes and the extrapolation to 300 K", option: "md: {temperatures_k: [500, 600, 700, 800, 900]}" },
  { id: "motion", title: "Motion", figures: /^(msd|motion|mean-cross|hop|how-far|memory)/, kinds: ["diffusion", "transport", "landscape"], shows: "Mean squared displacements with their fit windows, collective motion, hops", option: "md: {production_steps: 500000}" },
  { id: "pairs", title: "Pairs and order", short: "Pairs", figures: /^(rdf|pairs|x-ray|reduced-pair|powder|cell-lengths)/, kinds: ["structure", "diffusion"], shows: "g(r), coordination numbers, scattering, cell lengths", option: "md: {temperatures_k: [...]}" },
  { id: "speciation", title: "Polyhedra and chains", short: "Polyhedra", figures: /^(polyhedra|bridges|chain|order-of|where-terminal|surroundings|free-volume)/, kinds: ["structure"], shows: "Shares of polyhedra, bridges and sharing, chain lengths", option: "md: {temperatures_k: [...]}" },
  { id: "landscape", title: "Density of the mobile ion", short: "Ion density", figures: /^(free-energy|density-of-the-mobile|distribution)/, kinds: ["landscape"], shows: "Density and free energy of the mobile ion on planes through the cell, and its histogram", option: "md: {production_steps: 500000, trajectory_interval: 50}" },
  { id: "topology", title: "Topology", figures: /^(barcodes|features)/, kinds: ["landscape"], shows: "Persistent homology: barcodes and Betti numbers", option: "md: {temperatures_k: [...]}" },
  { id: "stability", title: "Stability and voltage window", short: "Stability", figures: /^(hull|window)/, kinds: ["hull"], shows: "Place on the convex hull, electrochemical window", option: "stages: {hull: chgnet-r2scan}" },
  { id: "glass", title: "Density of the glass", short: "Glass", figures: /^density(-\d+)?$/, kinds: ["melt_quench"], shows: "Density while the quenched glass equilibrates", option: "systems: [{…, phase: glass}] with melt_quench: {npt_max_blocks: 20}", glass: true },
];
/** @type {Part} */
const REST = { id: "more", title: "More", figures: /^/, kinds: [], shows: "", option: "" };
/** Parts for figures that none of the above names, by the section that the API says. @type {Record<string, string>} */
const ELSE = { transport: "motion", structure: "pairs" };

export class FigureSections {
  /** @param {string} base @param {any} summary @param {any[]} figures @param {import("../common/url_state.js").UrlState} state */
  constructor(base, summary, figures, state) {
    this.base = base;
    this.summary = summary;
    this.state = state;
    this.samples = [...new Set(figures.flatMap((figure) => sampleOf(figure) ?? []))].sort();
    this.sample = this.samples.includes(state.get("sample")) ? state.get("sample") : this.samples[0] ?? "";
    /** @type {Map<string, any>} */
    this.cards = new Map();
    this.figures = figures;
    this.grids = new Map();
    this.elements = [...PARTS, REST].map((part) => this.section(part, figures.filter((figure) => partOf(figure) === part)));
  }

  /** @param {Part} part @param {any[]} own */
  section(part, own) {
    if (!own.length) return part === REST || (part.glass && this.summary.phase !== "glass") ? null : this.missing(part);
    const grid = h("div", { class: "figures" });
    this.grids.set(part.id, { grid, own });
    this.fill(part.id);
    const hasSamples = own.some((figure) => sampleOf(figure)) && this.samples.length > 1;
    return sectionElement(part.id, part.title, grid, hasSamples ? this.sampleButtons(part) : null, part.short);
  }

  /** @param {Part} part */
  sampleButtons(part) {
    return h("div", { class: "segments", role: "group", aria: { label: `Sample shown in ${part.title}` } }, this.samples.map((name) => h("button", {
      class: "button tiny", type: "button", data: { sample: name }, text: name.replace("seed", "Seed "), aria: { pressed: name === this.sample }, onclick: () => this.choose(name),
    })));
  }

  /** @param {string} sample */
  choose(sample) {
    this.sample = sample;
    this.state.set({ sample: sample === this.samples[0] ? null : sample }, { replace: true });
    for (const button of document.querySelectorAll("[data-sample]")) button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset.sample === sample));
    for (const id of this.grids.keys()) this.fill(id);
  }

  /** @param {string} id */
  fill(id) {
    const { grid, own } = this.grids.get(id);
    const shown = own.filter((/** @type {any} */ figure) => [null, this.sample].includes(sampleOf(figure)));
    replace(grid, shown.map((/** @type {any} */ figure) => this.card(figure)));
  }

  /** @param {any} figure */
  card({ id, title, caption, height }) {
    let card = this.cards.get(id);
    if (!card) {
      card = figureCard({ id, title, caption, height, source: { path: `${this.base}/figures/${encodeURIComponent(id)}` } });
      this.cards.set(id, card);
    }
    return card.element;
  }

  /** Show the figure whose id begins with `name`, whatever its sample. @param {string} name @returns {string | undefined} its id */
  reveal(name) {
    const found = this.figures.find(({ id }) => id === name) ?? this.figures.find(({ id }) => id.startsWith(name));
    if (!found) return undefined;
    const sample = sampleOf(found);
    if (sample && sample !== this.sample) this.choose(sample);
    return found.id;
  }

  /** @param {Part} part */
  missing(part) {
    const steps = this.summary.steps.filter((/** @type {any} */ step) => part.kinds.includes(step.kind));
    const isWaiting = steps.some((/** @type {any} */ { state }) => state === "waiting");
    const held = this.summary.steps.filter((/** @type {any} */ step) => isWaiting && step.state === "failed" && !steps.includes(step));
    const element = sectionElement(part.id, part.title, h("div", { class: "card missing-part empty" },
      h("p", null, h("strong", { text: "Not computed. " }), `${part.shows} would be here.`),
      steps.length ? h("ul", { class: "small" }, steps.map(stepLine), held.map(stepLine)) : h("p", { class: "small soft", text: `This candidate has no step of kind ${part.kinds.join(" or ")}.` }),
      h("p", { class: "small" }, h("span", { class: "soft", text: "A sweep computes it with " }), h("code", { class: "mono", text: part.option }))), null, part.short);
    element.dataset.empty = "true";
    return element;
  }
}

/** @param {any} figure @returns {Part} */
function partOf({ id, section }) {
  return PARTS.find((part) => part.figures.test(id)) ?? PARTS.find((part) => part.id === (ELSE[section] ?? section)) ?? REST;
}

/** @type {Record<string, string>} */
const STATES = { waiting: "is waiting", running: "is running", failed: "failed", done: "is done", skipped: "was skipped" };

/** @param {any} step */
function stepLine({ name, state, status, note }) {
  return h("li", null, h("code", { class: "mono", text: name }), ` ${STATES[state] ?? state} `, state === "done" && status && status !== "ok" && statusBadge(status),
    note && h("span", { class: "soft", text: ` ${note}` }), state === "done" && h("span", { class: "soft", text: ": its data do not allow these figures" }));
}

/** @param {any} figure @returns {string | null} */
const sampleOf = ({ id }) => /-(seed\d+)$/.exec(id)?.[1] ?? null;
