/** The card with a candidate's structure: which one, how it is drawn, its elements, words, run. */
import { errorPanel, isAbort, latest, loadingPanel } from "../common/api.js";
import { announce, h, replace } from "../common/dom.js";
import { saveUrl } from "../common/download.js";
import { emptyPanel } from "../common/api.js";
import { number } from "../common/format.js";
import { onThemeChange } from "../common/theme.js";
import { inWords } from "./scene_words.js";
import { StructureView } from "./structure_view.js";
import { TrajectoryPlayer } from "./trajectory.js";

/** @typedef {import("./frames.js").Scene} Scene */

const REPEATS = ["1,1,1", "2,1,1", "1,2,1", "1,1,2", "2,2,1", "2,2,2", "3,3,3"];
const STYLES = /** @type {[string, string][]} */ ([["balls", "Ball and stick"], ["polyhedra", "Polyhedra"]]);
const TURN_DEGREES = 12;

export class StructurePanel {
  /**
   * @param {string} base address of the candidate
   * @param {any} summary
   * @param {{structures: any[], trajectories: any[]}} found
   * @param {import("../common/url_state.js").UrlState} state
   */
  constructor(base, summary, { structures, trajectories }, state) {
    this.base = base;
    this.state = state;
    this.structures = structures;
    this.ask = latest();
    this.look = { style: state.get("style") === "polyhedra" ? "polyhedra" : "balls", images: true, cell: true };
    /** @type {Scene | null} */
    this.scene = null;
    /** @type {StructureView | null} */
    this.view = null;
    this.element = structures.length ? this.build(summary, trajectories) : this.nothing(summary);
    if (structures.length) {
      onThemeChange(() => this.draw(true));
      this.load();
    }
  }

  /** @param {any} summary */
  nothing(summary) {
    const step = summary.steps.find((/** @type {any} */ one) => ["relax", "melt_quench"].includes(one.kind));
    const where = step ? `The step ${step.name} is ${step.state}${step.note ? `: ${step.note}` : ""}.` : "";
    return this.section(emptyPanel("No structure yet", `It comes with relaxation or quench, which every sweep runs. ${where}`), true);
  }

  /** @param {any} content @param {boolean} [empty] */
  section(content, empty = false) {
    return h("section", { id: "structure", class: "part card structure", data: { title: "Structure", ...(empty && { empty: true }) }, aria: { labelledby: "structure-heading" } },
      h("h2", { id: "structure-heading", class: "visually-hidden", tabIndex: -1, text: "Structure" }), content);
  }

  /** @param {any} summary @param {any[]} trajectories */
  build(summary, trajectories) {
    this.stage = h("div", { id: "structure-stage", class: "stage", tabIndex: 0, role: "group", aria: { label: `3D view of ${summary.label}`, describedby: "structure-words structure-keys" } });
    this.stage.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
    this.overlay = h("div", { class: "stage-overlay" }, loadingPanel("Loading the structure…"));
    this.legend = h("ul", { class: "elements", aria: { label: "Elements" } });
    this.words = h("p", { id: "structure-words", class: "small soft" });
    this.player = new TrajectoryPlayer(this.base, trajectories, {
      scene: () => this.scene,
      show: (scene, first) => this.drawScene(scene, !first),
      close: () => this.draw(true),
    });
    return this.section([
      h("div", { class: "structure-tools" }, this.stepField(), this.styleField(), this.repeatField()),
      h("div", { class: "stage-frame" }, this.stage, this.overlay, this.touchCover()),
      h("div", { class: "row stage-bar" }, this.check("images", "Image atoms", "Atoms beyond the cell that complete polyhedra and faces"), this.check("cell", "Cell", "The box that repeats"), this.viewButtons()),
      h("div", { class: "row below-stage" }, this.legend, h("p", { id: "structure-keys", class: "small soft keys", text: "Drag or arrow keys turn, + and − or Ctrl + wheel zoom, 0 resets." })),
      this.words, this.player.element]);
  }

  stepField() {
    const chosen = this.structures.find(({ step }) => step === this.state.get("step")) ?? this.structures[0];
    this.step = h("select", { class: "field", id: "structure-step" }, this.structures.map(({ step }) =>
      h("option", { value: step, text: stepTitle(step), selected: step === chosen.step })));
    this.step.addEventListener("change", () => {
      this.state.set({ step: this.step.value === this.structures[0].step ? null : this.step.value }, { replace: true });
      this.load();
    });
    return field("Step", this.step);
  }

  styleField() {
    return h("div", { class: "segments", role: "group", aria: { label: "Style" } }, STYLES.map(([style, text]) => h("button", {
      class: "button", type: "button", text, data: { style }, aria: { pressed: style === this.look.style }, onclick: () => this.setStyle(style),
    })));
  }

  /** @param {string} style */
  setStyle(style) {
    this.look.style = style;
    for (const button of this.element.querySelectorAll("[data-style]")) button.setAttribute("aria-pressed", String(button.dataset.style === style));
    this.state.set({ style: style === "balls" ? null : style }, { replace: true });
    this.redraw();
  }

  repeatField() {
    const chosen = REPEATS.includes(this.state.get("supercell")) ? this.state.get("supercell") : REPEATS[0];
    this.repeats = h("select", { class: "field", id: "structure-repeats" }, REPEATS.map((value) =>
      h("option", { value, text: value.replaceAll(",", " × "), selected: value === chosen })));
    this.repeats.addEventListener("change", () => {
      this.state.set({ supercell: this.repeats.value === REPEATS[0] ? null : this.repeats.value }, { replace: true });
      this.load();
    });
    return field("Supercell", this.repeats);
  }

  /** @param {"images" | "cell"} name @param {string} text @param {string} title */
  check(name, text, title) {
    const box = h("input", { type: "checkbox", checked: this.look[name], onchange: () => { this.look[name] = box.checked; this.redraw(); } });
    return h("label", { class: "check", title }, box, text);
  }

  viewButtons() {
    const act = (/** @type {string} */ text, /** @type {string} */ name, /** @type {(view: StructureView) => void} */ action) =>
      h("button", { class: "button tiny", type: "button", text, title: name, aria: { label: `${text} ${name}` }, onclick: () => this.view && action(this.view) });
    return h("div", { class: "stage-buttons" }, act("+", "Zoom in", (view) => view.zoom(1.25)), act("−", "Zoom out", (view) => view.zoom(0.8)),
      act("↺", "Reset the view", (view) => view.reset()), act("PNG", "Save a picture of the structure", (view) => saveUrl("haloflow-structure.png", view.png())));
  }

  /** On touch screens one finger scrolls the page until the structure is tapped. */
  touchCover() {
    const cover = h("button", { class: "touch-cover", type: "button", text: "Tap to turn the structure", onclick: () => cover.remove() });
    return cover;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { view } = this;
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => view.turn(-TURN_DEGREES, 0), ArrowRight: () => view.turn(TURN_DEGREES, 0),
      ArrowUp: () => view.turn(0, -TURN_DEGREES), ArrowDown: () => view.turn(0, TURN_DEGREES),
      "+": () => view.zoom(1.15), "=": () => view.zoom(1.15), "-": () => view.zoom(1 / 1.15), 0: () => view.reset(),
    });
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  async load() {
    this.player?.stop();
    replace(this.overlay, loadingPanel("Loading the structure…"));
    this.overlay.hidden = false;
    try {
      const answer = await this.ask(`${this.base}/scene`, { step: this.step.value, supercell: this.repeats.value });
      this.scene = answer.data;
      this.view ??= await StructureView.on(this.stage);
      this.draw(false);
      this.overlay.hidden = true;
    } catch (error) {
      if (isAbort(error)) return;
      this.overlay.hidden = false;
      replace(this.overlay, errorPanel(error, () => this.load()));
    }
  }

  redraw() {
    if (this.player?.scene) this.drawScene(this.player.scene, true);
    else this.draw(true);
  }

  /** @param {boolean} keepView */
  draw(keepView) {
    if (!this.scene) return;
    this.drawScene(this.scene, keepView);
    const known = this.structures.find(({ step }) => step === this.step.value);
    this.words.textContent = inWords(this.scene, known);
    this.showLegend(this.scene);
    announce(`${stepTitle(this.step.value)}: ${this.words.textContent}`);
  }

  /** @param {Scene} scene @param {boolean} keepView */
  drawScene(scene, keepView) {
    this.view?.show(scene, this.look, keepView);
  }

  /** @param {Scene} scene */
  showLegend({ elements, colours, atoms, n_cell: n, roles }) {
    replace(this.legend, elements.map((symbol, kind) => {
      const many = atoms.slice(0, n).filter(([one]) => one === kind).length;
      return h("li", null, h("i", { style: { background: colours[kind] }, aria: { hidden: true } }), h("b", { text: symbol }),
        h("span", { class: "soft", text: ` ${many} · ${ROLES[roles[kind]] ?? roles[kind]}` }));
    }));
  }
}

/** @type {Record<string, string>} */
const ROLES = { anion: "anion", mobile: "mobile ion", former: "network former" };

/** "relax-seed1" reads "Relaxed, seed 1". @param {string} step */
export function stepTitle(step) {
  const words = /** @type {[RegExp, string][]} */ ([[/^relax-hull/, "Relaxed for the hull"], [/^relax/, "Relaxed"], [/^melt_quench/, "Quenched"], [/^md/, "After dynamics"], [/^static/, "As evaluated"]]);
  const known = words.find(([pattern]) => pattern.test(step));
  const rest = known ? step.replace(known[0], "").split("-").filter(Boolean) : [];
  const parts = rest.map((part) => part.replace(/^seed(\d+)$/, "seed $1").replace(/^([\d.]+)K$/, (_, t) => `${number(Number(t))} K`));
  return known ? [known[1], ...parts].join(", ") : step;
}

/** @param {string} name @param {HTMLElement} control */
function field(name, control) {
  return h("label", { class: "control" }, h("span", { class: "small soft", text: name }), control);
}
