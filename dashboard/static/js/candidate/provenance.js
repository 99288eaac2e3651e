/**
 * Where every number comes from: results at the top, below each the steps it was made from,
 * down to the weights of the potential and the job.
 */
import { errorPanel, get, loadingPanel } from "../common/api.js";
import { h, replace } from "../common/dom.js";
import { badge, dateTime, duration, fileSize, statusBadge } from "../common/format.js";
import { copyable } from "./copy_button.js";

/** Asked for when it comes into view. @param {string} base */
export function provenanceOf(base) {
  const element = h("div", { class: "card provenance" }, loadingPanel());
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    fill(base, element);
  }, { rootMargin: "600px" });
  watcher.observe(element);
  return element;
}

/** @param {string} base @param {HTMLElement} element */
async function fill(base, element) {
  try {
    const { data: steps } = await get(`${base}/provenance`);
    const used = new Set(steps.flatMap(parentsOf));
    const byName = new Map(steps.map((/** @type {any} */ step) => [step.name, step]));
    const roots = steps.filter((/** @type {any} */ step) => !used.has(step.name));
    const seen = new Set();
    replace(element,
      h("p", { class: "small soft", text: "Results first; indented below each, what it was made from." }),
      h("ul", { class: "tree" }, roots.map((/** @type {any} */ step) => node(step, byName, seen))));
  } catch (error) {
    replace(element, errorPanel(error, () => fill(base, element)));
  }
}

/** @param {any} step @returns {string[]} */
const parentsOf = (step) => (step.provenance?.parents ?? []).map((/** @type {any} */ parent) => parent.step).filter(Boolean);

/** @param {any} step @param {Map<string, any>} byName @param {Set<string>} seen @returns {any} */
function node(step, byName, seen) {
  seen.add(step.name);
  const [known, fresh] = [true, false].map((isKnown) => parentsOf(step).filter((name) => seen.has(name) === isKnown));
  return h("li", { id: `step-${step.name}` },
    h("details", { class: "step" }, h("summary", null, headline(step)), details(step)),
    h("ul", null, fresh.map((name) => (seen.has(name) ? null : node(byName.get(name), byName, seen))), known.length > 0 && h("li", { class: "small soft" }, "from ",
      known.map((name, index) => [index ? ", " : "", h("a", { href: `#step-${name}`, text: name })]), ", shown above")));
}

/** @param {any} step */
function headline({ name, state, status, note, wall_s: wall, provenance }) {
  return [h("code", { class: "step-name", text: name }), state === "done" ? status && statusBadge(status) : badge(state, state === "failed" ? "bad" : "plain"),
    provenance?.potential && h("span", { class: "small soft", text: provenance.potential.name }),
    state === "done" && h("span", { class: "small soft", text: duration(wall) }), note && h("span", { class: "small soft note", text: note })];
}

/** @param {any} step */
function details(step) {
  const made = step.provenance;
  const rows = /** @type {[string, any][]} */ ([["Identity", copyable(step.identity, `identity of ${step.name}`)], ["Job", copyable(step.job_uuid, `job of ${step.name}`)]]);
  if (made) rows.push(...madeBy(made, step.name));
  for (const { role, path, n_bytes: bytes, sha256 } of step.files) {
    rows.push([role, [h("span", { class: "mono", text: `${path}, ${fileSize(bytes)} ` }), copyable(sha256, `sha256 of ${path}`, `sha256 ${sha256.slice(0, 16)}…`)]]);
  }
  return h("dl", { class: "facts small" }, rows.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", null, value)]));
}

/** @param {any} made @param {string} name @returns {[string, any][]} */
function madeBy(made, name) {
  const { potential, packages, parameters, parents } = made;
  const known = /** @type {[string, any][]} */ (potential ? [
    ["Potential", `${potential.name}, level ${potential.level}, ${potential.package} ${potential.package_version}`],
    ["Weights sha256", copyable(potential.weights_sha256, `sha256 of the weights of ${name}`)],
  ] : []);
  const elsewhere = parents.filter((/** @type {any} */ parent) => !parent.step);
  return [...known,
    ["Made by", `haloflow ${made.haloflow_version} (step code ${made.code_version}), Python ${made.python_version}, ${pairs(packages)}`],
    ["Ran", `${dateTime(made.started_at)}, ${made.device}, ${made.threads} thread${made.threads === 1 ? "" : "s"}${made.n_resumes ? `, resumed ${made.n_resumes} ×` : ""}`],
    ...(Object.keys(parameters ?? {}).length ? [/** @type {[string, any]} */ (["Settings", h("span", { class: "mono", text: pairs(parameters) })])] : []),
    ...elsewhere.map((/** @type {any} */ parent) => /** @type {[string, any]} */ (["From", copyable(parent.identity, `input of ${name}`)]))];
}

/** @param {Record<string, any>} mapping */
function pairs(mapping) {
  return Object.entries(mapping ?? {}).map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}
