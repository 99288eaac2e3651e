/** Plays a run: frames from the API, drawn as scenes; slider, speed, keyboard. */
import { errorPanel, get } from "../common/api.js";
import { h, replace } from "../common/dom.js";
import { fileSize, number } from "../common/format.js";
import { frameScene } from "./frames.js";

/** @typedef {import("./frames.js").Scene} Scene */
/** @typedef {{scene: () => Scene | null, show: (scene: Scene, first: boolean) => void, close: () => void}} Stage */

const SPEEDS = [2, 5, 10, 20];

export class TrajectoryPlayer {
  /** @param {string} base @param {any[]} trajectories @param {Stage} stage */
  constructor(base, trajectories, stage) {
    this.base = base;
    this.stage = stage;
    this.runs = trajectories.filter(({ n_frames: n }) => n > 1);
    /** @type {any} */
    this.frames = null;
    /** @type {Scene | null} */
    this.scene = null;
    this.timer = 0;
    this.index = 0;
    this.element = h("div", { class: "player" }, this.runs.length ? this.chooser() : this.nothing(trajectories));
  }

  /** @param {any[]} trajectories */
  nothing(trajectories) {
    const [why] = trajectories.map(({ problem }) => problem).filter(Boolean);
    return h("p", { class: "small soft", text: why ? `No trajectory can be played: ${why}.` : "No trajectory is kept of this candidate; runs of dynamics leave them (md.temperatures_k of a sweep)." });
  }

  chooser() {
    this.choice = h("select", { class: "field", id: "trajectory-run" }, this.runs.map((run, index) =>
      h("option", { value: String(index), text: runTitle(run) })));
    this.choice.addEventListener("change", () => { if (this.frames) this.open(); });
    this.starter = h("button", { class: "button", type: "button", text: "Open trajectory", onclick: () => this.open() });
    this.controls = h("div", { class: "player-controls", hidden: true }, this.playerControls());
    this.message = h("div");
    return [h("div", { class: "row" }, h("label", { class: "control grow" }, h("span", { class: "small soft", text: "Trajectory" }), this.choice), this.starter), this.controls, this.message];
  }

  playerControls() {
    this.button = h("button", { class: "button primary", type: "button", text: "Play", onclick: () => (this.timer ? this.stop() : this.play()) });
    this.slider = h("input", { type: "range", min: "0", value: "0", step: "1", aria: { label: "Frame" }, oninput: () => { this.stop(); this.to(Number(this.slider.value)); } });
    this.clock = h("output", { class: "small number" });
    this.speed = h("select", { class: "field", aria: { label: "Speed" } }, SPEEDS.map((fps) => h("option", { value: String(fps), text: `${fps} frames/s`, selected: fps === 10 })));
    const close = h("button", { class: "button bare", type: "button", text: "Close", onclick: () => this.close() });
    return [this.button, this.slider, this.clock, this.speed, close];
  }

  async open() {
    this.stop();
    const run = this.runs[Number(this.choice.value)];
    this.starter.disabled = true;
    replace(this.message, h("p", { class: "small soft", role: "status", text: "Loading frames…" }));
    try {
      const { data, meta } = await get(`${this.base}/trajectory/frames`, { step: run.step, part: run.part });
      this.frames = data;
      this.slider.max = String(data.frames.length - 1);
      this.controls.hidden = false;
      this.starter.hidden = true;
      replace(this.message, meta.stride > 1 && h("p", { class: "small soft", text: `Every ${ordinal(meta.stride)} of ${meta.n_frames} frames is loaded.` }));
      this.to(0, true);
      this.play();
      this.button.focus();
    } catch (error) {
      replace(this.message, errorPanel(error, () => this.open()));
    } finally {
      this.starter.disabled = false;
    }
  }

  /** @param {number} index @param {boolean} [first] */
  to(index, first = false) {
    const base = this.stage.scene();
    if (!base || !this.frames) return;
    const { species, cells_a: cells, positions_a: positions, times_ps: times, frames } = this.frames;
    this.index = index;
    this.scene = frameScene(base, species, { cell: cells[index], positions: positions[index] });
    this.stage.show(this.scene, first);
    this.slider.value = String(index);
    const words = `${number(times[index], 4)} ps, frame ${frames[index] + 1}`;
    this.slider.setAttribute("aria-valuetext", words);
    this.clock.textContent = words;
  }

  play() {
    this.stop();
    this.button.textContent = "Pause";
    this.wait();
  }

  /** The next frame comes after the last is painted, so that slow machines stay usable. */
  wait() {
    this.timer = setTimeout(() => requestAnimationFrame(() => {
      if (!this.timer) return;
      this.to(this.index >= Number(this.slider.max) ? 0 : this.index + 1);
      this.wait();
    }), 1000 / Number(this.speed.value));
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.button) this.button.textContent = "Play";
  }

  close() {
    this.stop();
    this.frames = null;
    this.scene = null;
    this.controls.hidden = true;
    this.starter.hidden = false;
    replace(this.message);
    this.starter.focus();
    this.stage.close();
  }
}

/** @param {any} run */
function runTitle({ step, part, n_frames: n, frame_ps: frame, temperature_k: t, n_bytes: bytes }) {
  return [step, part, t && `${number(t)} K`, `${n} frames`, frame && `${number(frame * (n - 1))} ps`, fileSize(bytes)].filter(Boolean).join(" · ");
}

/** @param {number} n */
const ordinal = (n) => `${n}${n === 2 ? "nd" : n === 3 ? "rd" : "th"}`;
