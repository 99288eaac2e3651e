/**
 * Asking the REST API.
 *
 * await get("/candidates", { _limit: 50, elements_all: ["Na", "Ta"] })   parsed JSON, or throws ApiError
 * const ask = latest(); await ask("/facets", params)   aborts its own earlier request (isAbort(error))
 * apiUrl("/candidates", params)      address, for links and downloads
 * errorPanel(error, retry?)          role=alert, says what was given, allowed, and what to do
 * loadingPanel("Loading…")  emptyPanel("No candidates", "Remove a filter", ...actions)
 */
import { h } from "./dom.js";
import { joinWords } from "./words.js";

/** @typedef {URLSearchParams | Record<string, string | number | boolean | (string | number)[] | null | undefined>} Params */

const ROOT = "/api/v1";
const BUSY = new Set([429, 502, 503, 504]);

export class ApiError extends Error {
  /** @param {number} status @param {{problem?: string, given?: any, allowed?: any, remedy?: string}} detail */
  constructor(status, detail) {
    super(detail.problem || `the server answered ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.given = detail.given;
    this.allowed = detail.allowed;
    this.remedy = detail.remedy;
  }
}

/** @param {string} path @param {Params} [params] @returns {string} */
export function apiUrl(path, params) {
  const query = toQuery(params).toString();
  return ROOT + path + (query ? `?${query}` : "");
}

/** Lists are joined by commas; null, undefined and "" are left out. @param {Params} [params] */
export function toQuery(params) {
  if (params instanceof URLSearchParams) return params;
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params ?? {})) {
    const text = Array.isArray(value) ? joinWords(value) : value;
    if (text !== null && text !== undefined && text !== "") query.set(key, String(text));
  }
  return query;
}

/**
 * @param {string} path below /api/v1
 * @param {Params} [params]
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function get(path, params, { signal } = {}) {
  let answer;
  try {
    answer = await fetch(apiUrl(path, params), { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, {
      problem: "the server cannot be reached",
      remedy: "see whether haloflow serve still runs, then try again",
    });
  }
  const body = await answer.json().catch((error) => { if (isAbort(error)) throw error; return null; });
  if (!answer.ok) throw new ApiError(answer.status, detailOf(answer.status, body));
  if (body === null) throw new ApiError(answer.status, { problem: "the server did not answer in JSON" });
  return body;
}

/** @param {number} status @param {any} body */
function detailOf(status, body) {
  if (body?.error) return body.error;
  if (status === 401) return { problem: "this server wants its token", remedy: "open the address that haloflow serve printed" };
  if (BUSY.has(status)) return { problem: "the server is busy", remedy: "try again in a moment" };
  const detail = body?.detail;
  return { problem: typeof detail === "string" ? detail : undefined };
}

/** Return a get() that aborts its own earlier request. */
export function latest() {
  let controller = new AbortController();
  return (/** @type {string} */ path, /** @type {Params} */ params) => {
    controller.abort();
    controller = new AbortController();
    return get(path, params, { signal: controller.signal });
  };
}

/** @param {unknown} error */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/** @param {any} error @param {() => void} [retry] */
export function errorPanel(error, retry) {
  const problem = String(error?.message ?? error);
  return h("div", { class: "problem", role: "alert" },
    h("strong", { text: problem.charAt(0).toUpperCase() + problem.slice(1) }),
    line("Given", error?.given), line("Allowed", error?.allowed),
    error?.remedy && h("span", { text: `What to do: ${error.remedy}.` }),
    retry && h("button", { class: "button tiny", type: "button", text: "Try again", onclick: retry }));
}

/** @param {string} name @param {any} value */
function line(name, value) {
  if (value === null || value === undefined || value === "") return null;
  const text = Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value);
  return h("span", { class: "small", text: `${name}: ${text}` });
}

/** @param {string} [text] */
export function loadingPanel(text = "Loading…") {
  return h("div", { class: "state", role: "status" }, h("div", { class: "spinner", aria: { hidden: true } }), h("span", { text }));
}

/** @param {string} title @param {string} [hint] @param {...HTMLElement} actions */
export function emptyPanel(title, hint = "", ...actions) {
  return h("div", { class: "state" }, h("strong", { text: title }), hint && h("span", { text: hint }), ...actions);
}
