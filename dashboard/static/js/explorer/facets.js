/**
 * Counts beside the values that can be chosen.
 *
 * const facets = new Facets();  await facets.load(filters)  facets.values("family") → [{ value, count }]
 * A group counts under all filters but its own, so a second value can be added to a choice.
 */
import { get, isAbort } from "../common/api.js";

/** @typedef {{value: string, count: number}} Counted */

export class Facets {
  constructor() {
    /** @type {Map<string, Map<string, number>>} */
    this.all = new Map();
    /** @type {Map<string, Map<string, number>>} */
    this.counts = new Map();
    this.controller = new AbortController();
  }

  /** Counts at least without filters where those given are refused. @param {URLSearchParams} filters */
  async start(filters) {
    await this.load(filters).catch(() => this.load(new URLSearchParams()));
  }

  /** @param {URLSearchParams} filters @returns {Promise<boolean>} whether counts are new */
  async load(filters) {
    this.controller.abort();
    const { signal } = this.controller = new AbortController();
    const ask = async (/** @type {URLSearchParams} */ query) => byGroup((await get("/facets", query, { signal })).data);
    try {
      if (!this.all.size) this.all = await ask(new URLSearchParams());
      const counts = filters.size ? new Map(await ask(filters)) : this.all;
      const own = [...this.all.keys()].filter((group) => filters.has(group));
      const others = await Promise.all(own.map((group) => ask(without(filters, group))));
      own.forEach((group, i) => counts.set(group, others[i].get(group) ?? new Map()));
      this.counts = counts;
      return true;
    } catch (error) {
      if (isAbort(error)) return false;
      throw error;
    }
  }

  /** Known values of a group, those that occur most first. @param {string} group @returns {Counted[]} */
  values(group) {
    const known = this.all.get(group) ?? new Map();
    const now = this.counts.get(group) ?? new Map();
    return [...known.keys()].map((value) => ({ value, count: now.get(value) ?? 0 }));
  }
}

/** @param {URLSearchParams} filters @param {string} name */
function without(filters, name) {
  return new URLSearchParams([...filters].filter(([key]) => key !== name));
}

/** @param {any} data @returns {Map<string, Map<string, number>>} */
function byGroup(data) {
  return new Map(Object.entries(data).map(([group, counted]) => [group, countsOf(counted)]));
}

/** @param {any} counted list of {value, count} or mapping value to count @returns {Map<string, number>} */
function countsOf(counted) {
  const pairs = Array.isArray(counted) ? counted.map((one) => [one.value, one.count]) : Object.entries(counted);
  return new Map(/** @type {[string, number][]} */ (pairs));
}
