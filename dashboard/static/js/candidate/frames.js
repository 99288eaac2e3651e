/**
 * Frames of a trajectory as scenes: bonds and polyhedra are found anew in every frame, by the rule
 * that the server uses (covalent radii times bond_stretch). Simulation cells are wider than twice
 * a bond, so the nearest image is enough.
 *
 * frameScene(scene, species, frame)   scene: of the same candidate, for radii, colours and roles
 */

/** @typedef {[number, number, number]} Vector */
/**
 * @typedef {object} Scene
 * @property {string[]} elements
 * @property {string[]} colours
 * @property {number[]} radii_a
 * @property {string[]} roles anion, mobile or former
 * @property {number[][]} atoms element index, x, y, z
 * @property {[number, number][]} bonds
 * @property {{centre: number, faces: [number, number, number][]}[]} polyhedra
 * @property {Vector[]} cell
 * @property {Vector[]} unit_cell
 * @property {number[]} supercell
 * @property {number} n_cell
 * @property {number} bond_stretch
 */
/** @typedef {{cell: Vector[], positions: Vector[]}} Frame */

/** @param {Scene} scene @param {string[]} species @param {Frame} frame @returns {Scene} */
export function frameScene(scene, species, { cell, positions }) {
  const kinds = species.map((symbol) => scene.elements.indexOf(symbol));
  const inverse = inverted(cell);
  const places = positions.map((at) => wrapped(times(at, inverse)));
  const atoms = places.map((at, i) => [kinds[i], ...times(at, cell)]);
  const images = new Map();
  /** @type {[number, number][]} */
  const bonds = [];
  /** @type {Map<number, number[]>} */
  const shells = new Map();
  for (const [first, second, shift] of closePairs(scene, kinds, places, cell)) {
    const key = `${second} ${shift}`;
    let end = second;
    if (shift.some(Boolean)) {
      if (!images.has(key)) {
        images.set(key, atoms.length);
        const at = /** @type {Vector} */ (places[second].map((x, d) => x + shift[d]));
        atoms.push([kinds[second], ...times(at, cell)]);
      }
      end = images.get(key);
    }
    bonds.push([first, end]);
    if (scene.roles[kinds[first]] === "former") shells.set(first, [...(shells.get(first) ?? []), end]);
  }
  const polyhedra = [...shells].map(([centre, shell]) => ({ centre, faces: hullFaces(shell, atoms) })).filter(({ faces }) => faces.length);
  return { ...scene, atoms, bonds, polyhedra, cell, unit_cell: cell, supercell: [1, 1, 1], n_cell: positions.length };
}

/** @param {Scene} scene @param {number[]} kinds @param {Vector[]} places @param {Vector[]} cell */
function* closePairs({ roles, radii_a: radii, bond_stretch: stretch }, kinds, places, cell) {
  const anions = kinds.flatMap((kind, i) => (roles[kind] === "anion" ? [i] : []));
  for (let first = 0; first < kinds.length; first += 1) {
    const role = roles[kinds[first]];
    if (role === "mobile") continue;
    for (const second of anions) {
      if (role === "anion" && second <= first) continue;
      const limit = stretch * (radii[kinds[first]] + radii[kinds[second]]);
      const shift = places[first].map((x, d) => Math.round(x - places[second][d]));
      const apart = /** @type {Vector} */ (places[second].map((x, d) => x + shift[d] - places[first][d]));
      if (Math.hypot(...times(apart, cell)) < limit) yield /** @type {[number, number, number[]]} */ ([first, second, shift]);
    }
  }
}

/** Triangles of the convex hull of a shell, counter-clockwise from outside. @param {number[]} shell @param {number[][]} atoms */
export function hullFaces(shell, atoms) {
  const points = shell.map((atom) => /** @type {Vector} */ (atoms[atom].slice(1)));
  /** @type {[number, number, number][]} */
  const faces = [];
  for (let i = 0; i < points.length; i += 1) for (let j = i + 1; j < points.length; j += 1) for (let k = j + 1; k < points.length; k += 1) {
    const normal = cross(minus(points[j], points[i]), minus(points[k], points[i]));
    const sides = points.map((point) => dot(normal, minus(point, points[i]))).filter((side, at) => at !== i && at !== j && at !== k);
    if (!sides.length) continue;
    if (sides.every((side) => side < 1e-6)) faces.push([shell[i], shell[j], shell[k]]);
    else if (sides.every((side) => side > -1e-6)) faces.push([shell[i], shell[k], shell[j]]);
  }
  return points.length > 3 ? faces : [];
}

/** @param {Vector} a @param {Vector} b @returns {Vector} */
export const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
/** @param {Vector} a @param {Vector} b @returns {Vector} */
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
/** @param {Vector} a @param {Vector} b */
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** @param {Vector} v @returns {Vector} */
const wrapped = (v) => /** @type {Vector} */ (v.map((x) => x - Math.floor(x)));

/** Row vector times the matrix of rows. @param {Vector} v @param {Vector[]} m @returns {Vector} */
function times(v, m) {
  return /** @type {Vector} */ ([0, 1, 2].map((d) => v[0] * m[0][d] + v[1] * m[1][d] + v[2] * m[2][d]));
}

/** @param {Vector[]} m @returns {Vector[]} */
function inverted([a, b, c]) {
  const [bc, ca, ab] = [cross(b, c), cross(c, a), cross(a, b)];
  const volume = dot(a, bc);
  return /** @type {Vector[]} */ ([0, 1, 2].map((d) => [bc[d] / volume, ca[d] / volume, ab[d] / volume]));
}
