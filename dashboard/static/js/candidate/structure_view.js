/**
 * A scene in WebGL: ball-and-stick or polyhedra, image atoms, the cell.
 *
 * const view = await StructureView.on(stage);
 * view.show(scene, { style: "balls" | "polyhedra", images: true, cell: true }, keepView)
 * view.turn(30, 0)  view.zoom(1.2)  view.reset()  view.png()
 */
import { colour } from "../common/theme.js";
import { vendor } from "../common/vendor.js";
import { cross, dot, minus } from "./frames.js";

/** @typedef {import("./frames.js").Scene} Scene */
/** @typedef {import("./frames.js").Vector} Vector */
/** @typedef {{style: string, images: boolean, cell: boolean}} Look */

const STICK_A = 0.13;
const EDGE_A = 0.05;
const MARGIN_A = 1.6;
const LEAST_RADIUS_A = 5;
/** What 3Dmol's orthographic camera sees across after zoomTo, over the radius of the atoms' sphere. */
const WIDTH_SEEN = Math.tan(Math.PI / 9) / Math.tan(Math.PI / 18);
const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7];

export class StructureView {
  /** @param {HTMLElement} stage */
  static async on(stage) {
    return new StructureView(stage, await vendor("3dmol"));
  }

  /** @param {HTMLElement} stage @param {any} library */
  constructor(stage, library) {
    this.stage = stage;
    this.reset = () => {};
    this.viewer = library.createViewer(stage, {
      backgroundColor: colour("--paper"), antialias: true, upscale: false, orthographic: true, lowerZoomLimit: 4, upperZoomLimit: 400,
    });
    if (!this.viewer) throw new Error("this browser offers no WebGL, which the 3D view needs");
    stage.addEventListener("wheel", (event) => this.wheel(event), { capture: true, passive: false });
    new ResizeObserver(() => this.viewer.resize()).observe(stage);
  }

  /** The page scrolls unless Ctrl is held. @param {WheelEvent} event */
  wheel(event) {
    event.stopPropagation();
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.12 : 1 / 1.12);
  }

  /** @param {Scene} scene @param {Look} look @param {boolean} [keepView] */
  show(scene, look, keepView = false) {
    const { viewer } = this;
    viewer.removeAllModels();
    viewer.removeAllShapes();
    viewer.removeAllLabels();
    viewer.setBackgroundColor(colour("--paper"), 1);
    const isPolyhedral = look.style === "polyhedra" && scene.polyhedra.length > 0;
    const shown = look.images ? scene.atoms.length : scene.n_cell;
    this.reset = () => this.show(scene, look);
    this.addAtoms(scene, shown, isPolyhedral);
    if (!keepView) this.orient();
    if (isPolyhedral) this.addPolyhedra(scene, shown);
    if (look.cell) this.addCell(scene);
    if (!keepView) viewer.zoom(this.room(scene, shown));
    viewer.render();
    this.stage.dataset.atoms = String(shown);
  }

  /** @param {Scene} scene @param {number} shown @param {boolean} isPolyhedral */
  addAtoms({ elements, colours, radii_a: radii, roles, atoms, bonds }, shown, isPolyhedral) {
    const rows = atoms.slice(0, shown).map(([kind, x, y, z]) => ({
      elem: elements[kind], x, y, z, bonds: /** @type {number[]} */ ([]), bondOrder: /** @type {number[]} */ ([]),
    }));
    for (const [i, j] of bonds) {
      if (i >= shown || j >= shown) continue;
      for (const [one, other] of [[i, j], [j, i]]) {
        rows[one].bonds.push(other);
        rows[one].bondOrder.push(1);
      }
    }
    const model = this.viewer.addModel();
    model.addAtoms(rows);
    elements.forEach((elem, kind) => {
      const isSmall = isPolyhedral && roles[kind] !== "mobile";
      const radius = isSmall ? 0.2 : 0.22 + 0.22 * radii[kind];
      const stick = { radius: isPolyhedral ? 0.04 : STICK_A, color: colours[kind] };
      model.setStyle({ elem }, { sphere: { radius, color: colours[kind] }, stick });
    });
    model.setHoverable({}, true, (/** @type {any} */ atom) => this.label(atom), () => this.unlabel());
  }

  /** @param {any} atom */
  label(atom) {
    this.unlabel();
    this.name = this.viewer.addLabel(`${atom.elem} ${atom.index + 1}`, {
      position: atom, inFront: true, fontSize: 13, fontColor: colour("--ink"), backgroundColor: colour("--paper"), backgroundOpacity: 0.9,
    });
  }

  unlabel() {
    if (this.name) this.viewer.removeLabel(this.name);
    this.name = null;
  }

  /** One mesh per element, flat faces, thin edges. @param {Scene} scene @param {number} shown */
  addPolyhedra({ colours, atoms, polyhedra }, shown) {
    const at = (/** @type {number} */ atom) => /** @type {Vector} */ (atoms[atom].slice(1));
    /** @type {Map<number, {vertexArr: any[], normalArr: any[], faceArr: number[]}>} */
    const meshes = new Map();
    const edges = new Map();
    for (const { centre, faces } of polyhedra) {
      if (faces.flat().some((atom) => atom >= shown) || centre >= shown) continue;
      const kind = atoms[centre][0];
      const mesh = meshes.get(kind) ?? { vertexArr: [], normalArr: [], faceArr: [] };
      meshes.set(kind, mesh);
      for (const face of faces) {
        const corners = face.map(at);
        const normal = point(unit(cross(minus(corners[1], corners[0]), minus(corners[2], corners[0]))));
        for (const corner of corners) {
          mesh.faceArr.push(mesh.vertexArr.length);
          mesh.vertexArr.push(point(corner));
          mesh.normalArr.push(normal);
        }
      }
      if (!edges.has(kind)) edges.set(kind, this.viewer.addShape({ color: colours[kind] }));
      addEdges(edges.get(kind), faces, at);
    }
    for (const [kind, mesh] of meshes) this.viewer.addCustom({ ...mesh, color: colours[kind], opacity: 0.8 });
  }

  /** @param {Scene} scene */
  addCell({ cell }) {
    const corner = (/** @type {number} */ bits) => point(cornerOf(cell, bits));
    const color = colour("--soft");
    const box = this.viewer.addShape({ color });
    for (const from of CORNERS) for (const bit of [1, 2, 4]) {
      if (!(from & bit)) box.addCylinder({ start: corner(from), end: corner(from | bit), radius: EDGE_A, color, fromCap: 1, toCap: 1 });
    }
    ["a", "b", "c"].forEach((name, axis) => {
      const length = Math.hypot(...cell[axis]);
      const end = cell[axis].map((x) => x * (1 + 0.9 / length));
      this.viewer.addLabel(name, {
        position: point(/** @type {Vector} */ (end)), fontSize: 14, fontColor: colour("--ink"), showBackground: false, alignment: "center", inFront: true,
      });
    });
  }

  /** @param {number} right degrees @param {number} down degrees */
  turn(right, down) {
    this.viewer.rotate(right, "vy");
    this.viewer.rotate(down, "vx");
  }

  /** @param {number} factor */
  zoom(factor) {
    this.viewer.zoom(factor);
  }

  /** A slight tilt, so that no two faces of the cell hide each other; all atoms in view. */
  orient() {
    this.viewer.setView([0, 0, 0, 0, 0, 0, 0, 1]);
    this.viewer.rotate(-78, "x");
    this.viewer.rotate(18, "vy");
    this.viewer.zoomTo();
  }

  /** How much larger the scene may be than after orient(). @param {Scene} scene @param {number} shown */
  room({ atoms, cell }, shown) {
    const [x, y, z, , ...turn] = this.viewer.getView();
    const seen = (/** @type {number[]} */ [px, py, pz]) => turned([px + x, py + y, pz + z], turn);
    const places = atoms.slice(0, shown).map((atom) => seen(atom.slice(1)));
    const all = [...places, ...CORNERS.map((bits) => seen(cornerOf(cell, bits)))];
    const { clientWidth: width, clientHeight: height } = this.stage;
    const needed = all.reduce((most, v) => Math.max(most, Math.abs(v[0]), (Math.abs(v[1]) * width) / height), 1) + MARGIN_A;
    return (WIDTH_SEEN * places.reduce((most, v) => Math.max(most, Math.hypot(...v)), LEAST_RADIUS_A)) / needed;
  }

  /** @returns {string} address of a picture */
  png() {
    return this.viewer.pngURI();
  }
}

/** Each edge once: faces are wound alike, so two faces run along it in opposite ways. @param {any} shape @param {[number, number, number][]} faces @param {(atom: number) => Vector} at */
function addEdges(shape, faces, at) {
  for (const [i, j, k] of faces) for (const [from, to] of [[i, j], [j, k], [k, i]]) {
    if (from < to) shape.addLine({ start: point(at(from)), end: point(at(to)) });
  }
}

/** @param {Vector} v */
const point = ([x, y, z]) => ({ x, y, z });

/** Corner of the cell, a bit per cell vector. @param {Vector[]} cell @param {number} bits @returns {Vector} */
function cornerOf(cell, bits) {
  return /** @type {Vector} */ ([0, 1, 2].map((d) => cell.reduce((sum, vector, axis) => sum + (bits & (1 << axis) ? vector[d] : 0), 0)));
}

/** A vector turned by a quaternion (x, y, z, w). @param {Vector} v @param {number[]} turn @returns {Vector} */
function turned(v, [x, y, z, w]) {
  const axis = /** @type {Vector} */ ([x, y, z]);
  const once = cross(axis, v).map((c, d) => c + w * v[d]);
  const twice = cross(axis, /** @type {Vector} */ (once));
  return [v[0] + 2 * twice[0], v[1] + 2 * twice[1], v[2] + 2 * twice[2]];
}

/** @param {Vector} v @returns {Vector} */
function unit(v) {
  const length = Math.sqrt(dot(v, v)) || 1;
  return [v[0] / length, v[1] / length, v[2] / length];
}
