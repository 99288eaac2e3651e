"use strict";
// A ball-and-stick view on a plain 2D canvas: needs no WebGL, prints, and any number fit a page.
// Drag or arrow keys turn it, the wheel (with Ctrl) or + and - zoom, a double click resets.
class StructureView {
  constructor(canvas, scene) {
    this.canvas = canvas;
    this.scene = scene;
    const corners = [];
    for (const i of [0, 1]) for (const j of [0, 1]) for (const k of [0, 1]) {
      corners.push([0, 1, 2].map((d) => i * scene.cell[0][d] + j * scene.cell[1][d] + k * scene.cell[2][d]));
    }
    this.corners = corners;
    this.centre = [0, 1, 2].map((d) => corners[7][d] / 2);
    const distance = (p) => Math.hypot(...p.map((v, d) => v - this.centre[d]));
    this.extent = Math.max(...corners.map(distance), ...scene.atoms.map((a) => distance(a.slice(1))));
    this.reset();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.draw();
  }

  reset() {
    this.zoom = 1;
    this.rotation = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    this.turn(0.42, 0);
    this.turn(0, -1.22);
  }

  // Turn by angles about the screen's vertical and horizontal axes.
  turn(yaw, pitch) {
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const step = [[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]];
    this.rotation = step.map((row) => [0, 1, 2].map((c) => row.reduce((sum, v, k) => sum + v * this.rotation[k][c], 0)));
  }

  listen() {
    const canvas = this.canvas;
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      last = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.turn((event.clientX - last[0]) * 0.008, (event.clientY - last[1]) * 0.008);
      last = [event.clientX, event.clientY];
      this.draw();
    });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.rescale(Math.exp(-event.deltaY * 0.002));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.reset(); this.draw(); });
    const keys = {
      ArrowLeft: () => this.turn(-0.1, 0), ArrowRight: () => this.turn(0.1, 0),
      ArrowUp: () => this.turn(0, -0.1), ArrowDown: () => this.turn(0, 0.1),
      "+": () => this.rescale(1.15), "-": () => this.rescale(1 / 1.15),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
      this.draw();
    });
  }

  rescale(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.4), 8);
    this.draw();
  }

  project(point) {
    const centred = point.map((v, d) => v - this.centre[d]);
    const [x, y, z] = this.rotation.map((row) => row.reduce((sum, v, d) => sum + v * centred[d], 0));
    return { x: this.width / 2 + x * this.scale, y: this.height / 2 - y * this.scale, z };
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    if (!box.width) return;
    [this.width, this.height] = [box.width, box.height];
    this.canvas.width = Math.round(box.width * ratio);
    this.canvas.height = Math.round(box.height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.canvas);
    this.paper = style.getPropertyValue("--paper").trim();
    this.ink = style.getPropertyValue("--axis").trim();
    this.scale = 0.47 * Math.min(this.width, this.height) / this.extent * this.zoom;
    const parts = [...this.edges(), ...this.sticks(), ...this.balls()];
    parts.sort((a, b) => a.z - b.z);
    parts.forEach((part) => part.draw(pen));
    this.canvas.dataset.atoms = this.scene.atoms.length;
  }

  // What lies far behind fades into the paper.
  fog(colour, z) {
    const near = Math.min(Math.max(0.5 + 0.65 * z / this.extent, 0), 1);
    return mix(colour, this.paper, 0.55 * (1 - near));
  }

  edges() {
    const points = this.corners.map((corner) => this.project(corner));
    const pairs = [];
    for (let i = 0; i < 8; i++) for (const bit of [1, 2, 4]) if (!(i & bit)) pairs.push([points[i], points[i | bit]]);
    return pairs.map(([a, b]) => ({
      z: Math.min(a.z, b.z),
      draw: (pen) => stroke(pen, a, b, mix(this.ink, this.paper, 0.55), 1),
    }));
  }

  sticks() {
    const { atoms, bonds, colours } = this.scene;
    const points = this.points = atoms.map((atom) => this.project(atom.slice(1)));
    const width = Math.max(0.2 * this.scale, 1.2);
    return bonds.flatMap(([first, second]) => [[first, second], [second, first]].map(([i, j]) => {
      const [a, b] = [points[i], points[j]];
      const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
      return {
        z: (3 * a.z + b.z) / 4,
        draw: (pen) => {
          const colour = colours[atoms[i][0]];
          stroke(pen, a, middle, this.fog(mix(colour, BLACK, 0.45), a.z), width);
          stroke(pen, a, middle, this.fog(colour, a.z), width * 0.55);
        },
      };
    }));
  }

  balls() {
    const { atoms, colours, radii_a: radii } = this.scene;
    return this.points.map((point, index) => ({
      z: point.z,
      draw: (pen) => {
        const kind = atoms[index][0];
        const colour = this.fog(colours[kind], point.z);
        const radius = Math.max((0.22 + 0.22 * radii[kind]) * this.scale, 1.5);
        const glow = pen.createRadialGradient(
          point.x - radius * 0.35, point.y - radius * 0.4, radius * 0.08, point.x, point.y, radius);
        glow.addColorStop(0, mix(colour, WHITE, 0.75));
        glow.addColorStop(0.45, colour);
        glow.addColorStop(1, mix(colour, BLACK, 0.4));
        pen.fillStyle = glow;
        pen.beginPath();
        pen.arc(point.x, point.y, radius, 0, 2 * Math.PI);
        pen.fill();
      },
    }));
  }
}

function stroke(pen, a, b, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(a.x, a.y);
  pen.lineTo(b.x, b.y);
  pen.stroke();
}

const [WHITE, BLACK] = ["#ffffff", "#000000"];

// Return the colour #rrggbb moved by a fraction towards another.
function mix(colour, target, fraction) {
  const channel = (text, i) => parseInt(text.slice(i, i + 2), 16);
  return "#" + [1, 3, 5].map((i) => {
    const value = channel(colour, i) * (1 - fraction) + channel(target, i) * fraction;
    return Math.round(value).toString(16).padStart(2, "0");
  }).join("");
}
