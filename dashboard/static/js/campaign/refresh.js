/** Asks again every few seconds while the page is seen, and says when it last did. */
import { h, replace } from "../common/dom.js";

export class Refresher {
  /**
   * @param {HTMLElement} place
   * @param {number} every_s
   * @param {() => Promise<boolean>} load returns whether it went well
   */
  constructor(place, every_s, load) {
    this.every_s = every_s;
    this.load = load;
    this.timer = 0;
    this.isPaused = false;
    this.last = /** @type {Date | null} */ (null);
    this.text = h("span", { id: "refreshed", class: "small soft number", text: "loading…" });
    this.pause = h("button", { type: "button", class: "button tiny", text: "Pause", onclick: () => this.toggle() });
    this.again = h("button", { type: "button", class: "button tiny", text: "Refresh now", onclick: () => this.now() });
    replace(place, this.text, this.again, this.pause);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.stop();
      else if (!this.isPaused) this.now();
    });
  }

  stop() {
    clearTimeout(this.timer);
    this.say();
  }

  toggle() {
    this.isPaused = !this.isPaused;
    this.pause.textContent = this.isPaused ? "Resume" : "Pause";
    if (this.isPaused) this.stop();
    else this.now();
  }

  async now() {
    clearTimeout(this.timer);
    if (await this.load()) this.last = new Date();
    this.say();
    clearTimeout(this.timer);
    if (!this.isPaused && !document.hidden) this.timer = setTimeout(() => this.now(), 1000 * this.every_s);
  }

  say() {
    const when = this.last ? `refreshed at ${this.last.toLocaleTimeString("en-GB")}` : "not loaded yet";
    const next = this.isPaused || document.hidden ? "paused" : `every ${this.every_s} s`;
    this.text.textContent = `${when}, ${next}`;
  }
}
