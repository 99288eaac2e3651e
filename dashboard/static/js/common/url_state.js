/**
 * The state of a page lives in its address: links, reload and the back button just work.
 *
 * const state = new UrlState();
 * state.get("sort")  state.list("ids")  state.params (a copy)
 * state.set({ phase: "glass", _page: null })           null or "" removes; a new history entry
 * state.set({ text: "NaTa" }, { replace: true })       no new entry (typing)
 * state.onChange((params) => …)                        after set() and after back / forward
 */
import { joinWords, splitWords } from "./words.js";

/** @typedef {Record<string, string | number | string[] | null | undefined>} Changes */

export class UrlState {
  constructor() {
    /** @type {((params: URLSearchParams) => void)[]} */
    this.listeners = [];
    addEventListener("popstate", () => this.tell());
  }

  /** @returns {URLSearchParams} */
  get params() {
    return new URLSearchParams(location.search);
  }

  /** @param {string} name */
  get(name) {
    return this.params.get(name) ?? "";
  }

  /** @param {string} name @returns {string[]} */
  list(name) {
    return splitWords(this.get(name));
  }

  /** @param {Changes} changes @param {{replace?: boolean}} [options] */
  set(changes, { replace = false } = {}) {
    const params = this.params;
    for (const [name, value] of Object.entries(changes)) {
      const text = Array.isArray(value) ? joinWords(value) : value ?? "";
      if (text === "") params.delete(name);
      else params.set(name, String(text));
    }
    this.go(params, { replace });
  }

  /** Replace the whole state. @param {URLSearchParams} params @param {{replace?: boolean}} [options] */
  go(params, { replace = false } = {}) {
    const query = readable(params);
    if (query === readable(this.params)) return;
    const url = location.pathname + (query ? `?${query}` : "");
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    this.tell();
  }

  /** @param {(params: URLSearchParams) => void} listener */
  onChange(listener) {
    this.listeners.push(listener);
  }

  tell() {
    const params = this.params;
    for (const listener of this.listeners) listener(params);
  }
}

/** Keep commas and colons legible. @param {URLSearchParams} params */
export function readable(params) {
  return params.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
}
