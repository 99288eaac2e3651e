/**
 * Sections of a long page, and a bar that says where one is and leads elsewhere.
 *
 * sectionElement("provenance", "Provenance", content, aside?)
 * new SectionNav(nav, body, reveal).start()   reveal(name): make the figure of a deep link visible; its id
 */
import { h, replace } from "../common/dom.js";

/** @param {string} id @param {string} title @param {any} content @param {any} [aside] @param {string} [short] for the bar */
export function sectionElement(id, title, content, aside, short = title) {
  return h("section", { id, class: "part", data: { title: short }, aria: { labelledby: `${id}-heading` } },
    h("div", { class: "part-head" }, h("h2", { id: `${id}-heading`, tabIndex: -1, text: title }), aside), content);
}

const HOLD_MS = 5000;

export class SectionNav {
  /** @param {HTMLElement} nav @param {HTMLElement} body @param {(name: string) => string | undefined} reveal */
  constructor(nav, body, reveal) {
    this.nav = nav;
    this.body = body;
    /** @type {(() => void) | undefined} */
    this.release = undefined;
    this.sections = /** @type {HTMLElement[]} */ ([...body.querySelectorAll("section[data-title]")]);
    this.reveal = reveal;
  }

  start() {
    replace(this.nav, h("ul", null, this.sections.map(({ id, dataset }) =>
      h("li", null, h("a", { href: `#${id}`, text: dataset.title, class: dataset.empty ? "is-empty" : "" })))));
    this.nav.hidden = false;
    this.follow();
    addEventListener("hashchange", () => this.go());
    this.go();
  }

  /** Mark the section that the reader is in. */
  follow() {
    const watcher = new IntersectionObserver(() => this.mark(), { rootMargin: "-20% 0px -70% 0px", threshold: [0, 1] });
    this.sections.forEach((section) => watcher.observe(section));
    this.mark();
  }

  mark() {
    const line = innerHeight * 0.3;
    const current = this.sections.findLast((section) => section.getBoundingClientRect().top <= line) ?? this.sections[0];
    for (const link of this.nav.querySelectorAll("a")) {
      const isCurrent = link.hash === `#${current?.id}`;
      if (isCurrent === link.hasAttribute("aria-current")) continue;
      if (!isCurrent) link.removeAttribute("aria-current");
      else {
        link.setAttribute("aria-current", "true");
        const list = /** @type {HTMLElement} */ (link.closest("ul"));
        list.scrollLeft = link.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
      }
    }
  }

  /** Keep the target in place while what is above it still loads, until the reader acts. @param {Element} target */
  hold(target) {
    this.release?.();
    const stay = new ResizeObserver(() => target.scrollIntoView({ block: "start" }));
    const act = new AbortController();
    this.release = () => {
      stay.disconnect();
      act.abort();
    };
    for (const sign of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(sign, this.release, { passive: true, signal: act.signal });
    setTimeout(this.release, HOLD_MS);
    stay.observe(this.body);
  }

  /** Show what the address points to: a section, a figure, or the beginning of its name. */
  go() {
    const name = decodeURIComponent(location.hash.slice(1));
    if (!name) return;
    const target = document.getElementById(name) ?? document.getElementById(this.reveal(name) ?? "");
    if (!target) return;
    this.hold(target);
    const heading = target.querySelector("h2[tabindex]");
    if (heading instanceof HTMLElement) heading.focus({ preventScroll: true });
  }
}
