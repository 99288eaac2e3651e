/**
 * At which level of theory a number of a candidate stands.
 *
 * LEVELS   their fields      levelOf(shown, row) → "chgnet-r2scan" | null     null: of no level
 */

export const LEVELS = ["level_hull", "level_md", "level_melt_quench", "level_relax"];
const OF_HULL = new Set(["e_hull", "e_crystal", "e_reaction", "reduction_limit_v", "oxidation_limit_v"]);
const OF_MD = new Set(["sigma", "sigma_c", "e_a", "haven", "anisotropy", "bridging", "chain_length", "t1"]);

/** @param {import("../common/fields.js").Shown} field @param {Record<string, any>} row @returns {string | null} */
export function levelOf({ name }, row) {
  if (OF_HULL.has(name)) return row.level_hull ?? null;
  if (OF_MD.has(name) || name.startsWith("d_")) return row.level_md ?? null;
  return name.startsWith("density") ? row.level_melt_quench ?? row.level_md ?? null : null;
}
