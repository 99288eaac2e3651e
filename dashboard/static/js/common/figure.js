/**
 * A card with a plotly figure of the API: drawn when it comes into view, redrawn with the theme,
 * with an accessible name, a table of its numbers, and SVG, PNG and CSV downloads.
 *
 * const card = figureCard({ id: "hull", title: "Hull", caption: "…", height: 400,
 *   source: { path: "/figures/hull", params }, onPoint: (customdata) => … , empty: "No energies known" });
 * parent.append(card.element);   card.load({ path, params })   ask again    card.show({ data, layout })   draw given data
 * card.follow(promise of what show takes)
 * The API may send { data: { data, layout, title?, caption? } } or { data: null } for "nothing to draw".
 * The element carries data-state: waiting | loading | drawn | empty | error.
 */
import { emptyPanel, errorPanel, isAbort, latest, loadingPanel } from "./api.js";
import { h, replace } from "./dom.js";
import { saveText, saveUrl } from "./download.js";
import { legible } from "./plot_contrast.js";
import { fitted } from "./plot_fit.js";
import { plotMenus } from "./plot_menus.js";
import { csv, plainText, plotRows } from "./plot_table.js";
import { PLOT_CONFIG, themed } from "./plot_theme.js";
import { onThemeChange } from "./theme.js";
import { vendor } from "./vendor.js";

/** @typedef {{path: string, params?: import("./api.js").Params}} Source */
/**
 * @typedef {object} Options
 * @property {string} id
 * @property {string} title
 * @property {string} [caption]
 * @property {number} [height] px, kept free from the start
 * @property {Source} [source]
 * @property {(customdata: any) => void} [onPoint]
 * @property {string} [empty] said where there is nothing to draw
 * @property {(meta: any) => void} [onMeta] what else the API says of the figure
 */

const SHOWN_ROWS = 500;

/** @param {Options} options */
export function figureCard(options) {
  return new FigureCard(options);
}

class FigureCard {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.ask = latest();
    /** @type {{data: any[], layout: any} | null} */
    this.plot = null;
    /** @type {Source | null} */
    this.source = null;
    this.isSeen = false;
    this.element = this.build(options);
    this.looked = this.watch();
    if (options.source) this.load(options.source);
    onThemeChange(() => { if (this.plot && this.isSeen) this.draw(); });
  }

  /** @param {Options} options */
  build({ id, title, caption = "", height = 400 }) {
    this.heading = h("h3", { id: `${id}-title`, text: title });
    this.canvas = h("div", { class: "plot", role: "group", aria: { labelledby: `${id}-title` }, style: { "min-height": `${height}px` } });
    this.overlay = h("div", { class: "state" });
    this.note = h("p", { class: "small soft", hidden: true });
    this.caption = h("figcaption", { text: caption });
    this.data = h("div", { class: "figure-data scroll", hidden: true, tabIndex: 0, role: "region", aria: { label: `Numbers of ${title}` } });
    this.tools = h("div", { class: "figure-tools", hidden: true }, this.toggle = this.tool("Table", () => this.toggleTable()),
      this.tool("CSV", () => this.saveCsv()), this.tool("SVG", () => this.saveImage("svg")), this.tool("PNG", () => this.saveImage("png")));
    this.toggle.setAttribute("aria-expanded", "false");
    const menus = h("div", { class: "figure-menus row" });
    this.menus = plotMenus(menus);
    return h("figure", { id, class: "figure", data: { state: "waiting" }, aria: { labelledby: `${id}-title` } },
      h("div", { class: "figure-head" }, this.heading, this.tools), menus,
      h("div", { class: "figure-plot", style: { "min-height": `${height}px` } }, this.canvas, this.overlay), this.note, this.caption, this.data);
  }

  /** @param {string} label @param {() => void} onclick */
  tool(label, onclick) {
    const name = label === "Table" ? `Numbers of ${this.options.title} as a table` : `Save ${this.options.title} as ${label}`;
    return h("button", { class: "button bare tiny", type: "button", text: label, onclick, aria: { label: `${label}: ${name}` } });
  }

  /** Draw when the card comes into view. @returns {Promise<void>} when it is known whether it is in view at first */
  watch() {
    return new Promise((resolve) => {
      let isFirst = true;
      const watcher = new IntersectionObserver((entries) => {
        this.isSeen = entries.some((entry) => entry.isIntersecting);
        if (this.isSeen) {
          watcher.disconnect();
          if (this.plot) this.draw();
          else if (this.source && !isFirst) this.load(this.source);
        }
        isFirst = false;
        resolve();
      }, { rootMargin: "300px" });
      watcher.observe(this.element);
    });
  }

  /** Ask the API, at once if the card was seen, else when it is. @param {Source} source */
  async load(source) {
    this.source = source;
    await this.looked;
    if (!this.isSeen || this.source !== source) return;
    const asked = this.ask(source.path, source.params).then(({ data, meta }) => {
      this.options.onMeta?.(meta ?? {});
      return data;
    });
    await this.follow(asked, () => this.load(source));
  }

  /** Show what is still to come. @param {Promise<any>} coming @param {() => void} [retry] */
  async follow(coming, retry) {
    this.set("loading", this.plot ? null : loadingPanel());
    try {
      await this.show(await coming);
    } catch (error) {
      if (!isAbort(error)) this.set("error", errorPanel(error, retry));
    }
  }

  /** @param {any} answer plot, or a mapping that holds it as `figure`, or null */
  async show(answer) {
    const plot = answer?.figure ?? answer;
    if (answer?.title) this.heading.textContent = plainText(answer.title);
    if (answer?.caption) this.caption.textContent = plainText(answer.caption);
    if (!plot?.data?.length) {
      this.plot = null;
      this.set("empty", emptyPanel(this.options.empty ?? "Nothing to draw", "No candidate here has these data."));
      return;
    }
    this.plot = { data: plot.data, layout: plot.layout ?? {} };
    if (this.isSeen) await this.draw();
  }

  async draw() {
    const plot = this.plot;
    try {
      const Plotly = await vendor("plotly");
      if (!plot || plot !== this.plot) return;
      const { height = plot.layout.height ?? 400 } = this.options;
      const { data, layout, note = "", more = 0 } = fitted(plot, this.canvas.clientWidth);
      this.note.textContent = note;
      this.note.hidden = !note;
      await Plotly.react(this.canvas, legible(data), { ...themed(this.menus.take(layout)), height: height + more }, PLOT_CONFIG);
      await this.menus.apply(Plotly, this.canvas);
      this.canvas.querySelectorAll("svg").forEach((/** @type {Element} */ one) => one.setAttribute("aria-hidden", "true"));
      this.listen();
      this.set("drawn", null);
      if (!this.data.hidden) this.fillTable();
    } catch (error) {
      this.set("error", errorPanel(error, () => this.draw()));
    }
  }

  listen() {
    const { onPoint } = this.options;
    this.canvas.removeAllListeners?.("plotly_click");
    if (!onPoint) return;
    this.canvas.on("plotly_click", (/** @type {any} */ event) => {
      const known = event.points.map((/** @type {any} */ point) => point.customdata).find((/** @type {any} */ data) => data !== undefined && data !== null);
      if (known !== undefined) onPoint(Array.isArray(known) ? known[0] : known);
    });
  }

  /** @param {string} state @param {HTMLElement | null} panel */
  set(state, panel) {
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(state === "loading"));
    this.overlay.hidden = !panel;
    replace(this.overlay, panel);
    const drawn = this.plot !== null && state !== "error" && state !== "empty";
    this.canvas.style.visibility = drawn ? "visible" : "hidden";
    this.tools.hidden = !drawn;
    if (!drawn) this.data.hidden = true;
  }

  toggleTable() {
    this.data.hidden = !this.data.hidden;
    this.toggle.setAttribute("aria-expanded", String(!this.data.hidden));
    this.toggle.setAttribute("aria-pressed", String(!this.data.hidden));
    if (!this.data.hidden) this.fillTable();
  }

  fillTable() {
    if (!this.plot) return;
    const { columns, rows } = plotRows(this.plot);
    const rest = rows.length - SHOWN_ROWS;
    replace(this.data, h("table", { class: "table" },
      rest > 0 && h("caption", { text: `The first ${SHOWN_ROWS} of ${rows.length} rows; CSV has them all.` }),
      h("thead", null, h("tr", null, columns.map((name) => h("th", { scope: "col", text: name })))),
      h("tbody", null, rows.slice(0, SHOWN_ROWS).map((row) => h("tr", null, row.map((cell) =>
        h("td", { text: typeof cell === "number" ? String(Number(cell.toPrecision(6))) : cell ?? "" })))))));
  }

  saveCsv() {
    if (!this.plot) return;
    const { columns, rows } = plotRows(this.plot);
    saveText(`haloflow-${this.options.id}.csv`, csv(columns, rows), "text/csv");
  }

  /** @param {"svg" | "png"} format */
  async saveImage(format) {
    if (!this.plot) return;
    const Plotly = await vendor("plotly");
    const { width, height } = this.canvas.getBoundingClientRect();
    saveUrl(`haloflow-${this.options.id}.${format}`, await Plotly.toImage(this.canvas, { format, width, height, scale: format === "png" ? 3 : 1 }));
  }
}
