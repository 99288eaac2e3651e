/**
 * Colours of a plot that can be seen on a dark page: those too dark for it are lightened.
 *
 * legible(data)   traces of plotly, lines and markers at a contrast of at least 3 to the page; as they are on a light one
 * seen("#00204c", [23, 27, 32]) → "rgb(…)"      contrast([r, g, b], [r, g, b]) → 1 … 21
 */
import { colour, isDark } from "./theme.js";

/** @typedef {number[]} Rgb */

const LEAST = 3;
const STEP = 0.05;
const PLACES = [["line", "color"], ["marker", "color"], ["marker", "line", "color"], ["error_x", "color"], ["error_y", "color"]];

/** @param {any[]} data @returns {any[]} */
export function legible(data) {
  const paper = isDark() ? parts(colour("--paper")) : null;
  return paper ? data.map((trace) => PLACES.reduce((made, path) => changed(made, path, (text) => seen(text, paper)), trace)) : data;
}

/** A copy where the text at `path`, if there is one, is another. @param {any} whole @param {string[]} path @param {(text: string) => string} change @returns {any} */
function changed(whole, [name, ...rest], change) {
  const part = whole?.[name];
  if (!part || Array.isArray(part)) return whole;
  if (rest.length) return typeof part === "object" ? { ...whole, [name]: changed(part, rest, change) } : whole;
  return typeof part === "string" ? { ...whole, [name]: change(part) } : whole;
}

/** @param {string} text @param {Rgb} paper @returns {string} lightened as little as is needed */
export function seen(text, paper) {
  const own = parts(text);
  if (!own) return text;
  const [rgb, alpha] = [own.slice(0, 3), own[3] ?? 1];
  let share = 0;
  const mixed = () => rgb.map((part) => Math.round(part + (255 - part) * share));
  while (share < 1 && contrast(mixed(), paper) < LEAST) share += STEP;
  return share ? `rgba(${mixed().join(",")},${alpha})` : text;
}

/** @param {string} text @returns {Rgb | null} */
function parts(text) {
  const hex = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(text);
  if (hex) return hex.slice(1).map((part) => Number.parseInt(part, 16));
  return text.startsWith("rgb") ? (text.match(/[\d.]+/g) ?? []).map(Number) : null;
}

/** As WCAG defines it. @param {Rgb} one @param {Rgb} other */
export function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

/** @param {Rgb} rgb */
function luminance(rgb) {
  const [red, green, blue] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
