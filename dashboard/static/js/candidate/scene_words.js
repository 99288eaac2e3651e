/** inWords(scene, {density_g_cm3})   what the picture of a structure shows, for those who do not see it */
import { number } from "../common/format.js";
import { dot } from "./frames.js";

/** @typedef {import("./frames.js").Scene} Scene */

/** @param {Scene} scene @param {{density_g_cm3?: number} | undefined} known */
export function inWords(scene, known) {
  const { atoms, n_cell: n, cell, supercell } = scene;
  const lengths = cell.map((vector) => Math.hypot(...vector));
  const angles = [[1, 2], [0, 2], [0, 1]].map(([i, j]) => Math.acos(dot(cell[i], cell[j]) / (lengths[i] * lengths[j])) * (180 / Math.PI));
  const what = supercell.some((repeat) => repeat > 1) ? `a ${supercell.join(" × ")} supercell` : "the cell";
  const size = `a = ${lengths[0].toFixed(2)}, b = ${lengths[1].toFixed(2)}, c = ${lengths[2].toFixed(2)} Å, angles ${angles.map((angle) => angle.toFixed(1)).join(", ")}°`;
  const density = known?.density_g_cm3 ? `, ${number(known.density_g_cm3)} g/cm³` : "";
  return `${n} atoms in ${what} (${size}${density}) and ${atoms.length - n} image atoms. ${shellWords(scene)}`.trim();
}

/** @param {Scene} scene */
function shellWords({ atoms, bonds, elements, roles, n_cell: n }) {
  /** @type {Map<number, string[]>} */
  const shells = new Map();
  for (const [centre, other] of bonds) {
    if (centre < n && roles[atoms[centre][0]] === "former") shells.set(centre, [...(shells.get(centre) ?? []), elements[atoms[other][0]]]);
  }
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const [centre, shell] of shells) {
    const name = `${elements[atoms[centre][0]]} with ${[...new Set(shell)].sort().map((symbol) => `${shell.filter((one) => one === symbol).length} ${symbol}`).join(" + ")}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]);
  if (!most.length) return "";
  const named = most.slice(0, 4).map(([name, many]) => `${many} ${name}`).join("; ");
  return `Bonds of the network: ${named}${most.length > 4 ? `; ${most.length - 4} further kinds` : ""}.`;
}
