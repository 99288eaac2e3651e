/**
 * The parts of the campaign page. Each takes the answer of /campaign and returns { from, build }:
 * what it depends on, and a function that makes its elements.
 */
import { badge, count, dateTime, duration, missing, number, statusBadge } from "../common/format.js";
import { h } from "../common/dom.js";

const STATES = /** @type {const} */ (["done", "running", "waiting", "failed", "skipped"]);
/** @type {Record<string, string>} */
const STAGES = {
  relax: "relaxation", static: "single energies", registries: "chain registries", melt_quench: "melt and quench",
  hull: "stability", md: "molecular dynamics", diffusion: "diffusion", transport: "transport analysis",
  structure: "structure analysis", landscape: "landscape analysis", neb: "barriers of hops", ensemble: "ensembles of frames", topology: "topology",
};
const MOST_RUNNING = 50;

/** @param {string} name */
const stageName = (name) => STAGES[name] ?? name.replaceAll("_", " ");

/** @param {any} data */
export function summarySection(data) {
  const { states, n_candidates, n_complete, core_hours, eta_s, eta_note, n_failures, note } = data;
  return {
    from: [states, n_candidates, n_complete, core_hours, eta_s, eta_note, n_failures, note],
    build: () => [
      h("h2", { id: "summary-title", class: "visually-hidden", text: "Overview" }),
      h("div", { class: "tiles" },
        tile("Candidates complete", `${count(n_complete)} of ${count(n_candidates)}`, share(n_complete, n_candidates)),
        tile("Steps ended", `${count(states.done + states.skipped)} of ${count(states.total)}`, `${count(states.running)} running, ${count(states.waiting)} waiting`),
        tile("Time left", eta_s === null ? "not known" : eta_s ? `about ${duration(eta_s)}` : "none", eta_note),
        tile("Cost so far", `${coreHours(core_hours)} core-h`, "wall time of ended steps times their threads"),
        tile("Failed steps", count(states.failed), n_failures ? "by cause below" : "no causes recorded", states.failed ? "bad" : "")),
      h("div", { class: "card overall" }, bar(states), legend(), note && h("p", { class: "small soft", text: grouped(note) })),
    ],
  };
}

/** @param {number} value @param {number} [digits] */
const coreHours = (value, digits = 3) => (value < 1000 ? number(value, digits) : count(Math.round(value)));

/** Words with their thousands as in all other numbers. @param {string} words */
const grouped = (words) => words.replace(/(?<=\d),(?=\d{3})/g, "\u202f");

/** @param {string} name @param {string} value @param {string} note @param {string} [kind] */
function tile(name, value, note, kind = "") {
  return h("div", { class: `card tile ${kind}` }, h("div", { class: "small soft", text: name }), h("div", { class: "tile-value", text: value }), h("div", { class: "small soft", text: note }));
}

/** @param {number} part @param {number} whole */
const share = (part, whole) => (whole ? `${Math.floor((100 * part) / whole)} %` : "no candidates");

/** A bar of the states of steps; its numbers are its name. @param {Record<string, number>} states */
function bar(states) {
  const name = STATES.filter((state) => states[state]).map((state) => `${states[state]} ${state}`).join(", ") || "no steps";
  return h("div", { class: "bar", role: "img", aria: { label: name }, title: name },
    STATES.filter((state) => states[state]).map((state) => h("span", { class: `part ${state}`, style: { "flex-grow": states[state] } })));
}

function legend() {
  return h("ul", { class: "legend small soft" }, STATES.map((state) => h("li", null, h("span", { class: `part ${state}`, aria: { hidden: true } }), state)));
}

/** @param {any} data */
export function stagesSection({ stages, threads }) {
  return {
    from: [stages, threads],
    build: () => [
      h("h2", { id: "stages-title", text: "Stages" }),
      h("div", { class: "card scroll", tabIndex: 0, role: "region", aria: { label: "Table of stages" } },
        h("table", { class: "table stages" },
          h("thead", null, h("tr", null, headers("stage", "progress"), STATES.map((state) => h("th", { scope: "col", class: "right", text: state })),
            headers("not ok"), h("th", { scope: "col", class: "right", text: "mean time" }), h("th", { scope: "col", class: "right", text: "core-h" }))),
          h("tbody", null, stages.map((/** @type {any} */ stage) => stageRow(stage, threads?.[stage.stage] ?? 1))))),
    ],
  };
}

/** @param {...string} names */
const headers = (...names) => names.map((text) => h("th", { scope: "col", text }));

/** @param {any} stage @param {number} threads */
function stageRow(stage, threads) {
  const notOk = Object.entries(stage.not_ok ?? {});
  return h("tr", null,
    h("th", { scope: "row", class: "number", text: stageName(stage.stage) }),
    h("td", { class: "bar-cell" }, bar(stage)),
    STATES.map((state) => h("td", { class: `right number${stage[state] ? "" : " soft"}`, text: count(stage[state]) })),
    h("td", { class: "not-ok" }, notOk.length
      ? h("div", { class: "row" }, notOk.map(([status, n]) => h("span", { class: "number" }, statusBadge(status), ` ${n}`)))
      : h("span", { class: "soft", text: "none" })),
    h("td", { class: "right number" }, stage.mean_s === null ? missing("not known") : duration(stage.mean_s)),
    h("td", { class: "right number", text: coreHours((stage.wall_s * threads) / 3600, 2) }));
}

/** @param {any} data */
export function runningSection({ running, states }) {
  const orphans = states.running - running.length;
  return {
    from: [running, orphans],
    build: () => [
      h("h2", { id: "running-title", text: running.length ? `Running (${count(running.length)})` : "Running" }),
      running.length
        ? h("div", { class: "running" }, running.slice(0, MOST_RUNNING).map(runningCard))
        : h("p", { class: "card soft", text: "Nothing runs at the moment. Workers start with haloflow run." }),
      orphans > 0 && h("p", { class: "small soft", text: `${count(orphans, "step")} marked as running in the store, held by no worker: haloflow run takes them up again.` }),
      running.length > MOST_RUNNING && h("p", { class: "small soft", text: `The first ${MOST_RUNNING} are shown.` }),
    ],
  };
}

/** @param {any} one */
function runningCard(one) {
  const known = typeof one.share === "number";
  const percent = known ? `${Math.floor(100 * one.share)} %` : "no report yet";
  return h("article", { class: "card run" },
    h("div", { class: "run-head" }, h("h3", null, candidateLink(one)), h("span", { class: "number", text: percent })),
    h("progress", { class: "progress", max: 1, ...(known ? { value: one.share } : {}), aria: { label: `${one.label}, ${one.step}` } }),
    h("div", { class: "small soft run-notes" },
      h("span", { text: `${one.step}: ${one.stage}` }),
      h("span", { class: "number", text: one.seconds_left === null ? "time left not known" : `about ${duration(one.seconds_left)} left` }),
      h("span", { class: "number", text: `since ${dateTime(one.since)}` })));
}

/** @param {{candidate_id: string, label: string}} one */
function candidateLink({ candidate_id, label }) {
  return h("a", { href: `/candidate?id=${encodeURIComponent(candidate_id)}` }, h("bdi", { text: label }));
}

/** @param {any} data */
export function failuresSection({ failures, n_failures }) {
  return {
    from: [failures, n_failures],
    build: () => [
      h("h2", { id: "failures-title", text: failures.length ? `Failures by cause (${count(n_failures, "step")})` : "Failures" }),
      failures.length
        ? h("div", { class: "stack failures" }, failures.map(failureCard))
        : h("p", { class: "card soft", text: "No step has failed." }),
    ],
  };
}

/** @param {any} group */
function failureCard(group) {
  const stages = Object.entries(group.stages).map(([name, n]) => badge(`${stageName(name)} ${n}`));
  return h("details", { class: "card failure", data: { key: group.cause } },
    h("summary", null, h("span", { class: "badge bad", text: count(group.count) }), h("span", { class: "cause", dir: "auto", text: group.cause }),
      h("span", { class: "row small soft" }, stages, group.last ? `last ${dateTime(group.last)}` : "")),
    h("div", { class: "stack examples" }, group.examples.map((/** @type {any} */ example) =>
      h("div", null, h("div", { class: "small" }, candidateLink(example), h("span", { class: "soft", text: `, ${example.step}` })),
        h("pre", { class: "mono tail", tabIndex: 0, text: example.tail || "no message" })))));
}
