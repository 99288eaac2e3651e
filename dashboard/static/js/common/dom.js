/**
 * Building pages from data: text only ever becomes text.
 *
 * h("p", { class: "soft", onclick: f, aria: { label: "…" }, data: { id: 3 } }, "text", child, [more])
 * svg("path", { d: "…" })      replace(element, ...children)      byId("id")
 * announce("123 candidates")   say it to screen readers
 */

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set([
  "value", "checked", "disabled", "hidden", "open", "selected", "indeterminate", "htmlFor",
  "tabIndex", "download", "min", "max", "step", "type", "name", "placeholder", "id", "title",
]);
const LINK = /^(?:https?:|blob:|data:image\/|\/|\?|#|\.)/i;

/**
 * Make an element. Keys: class, text, data, aria, style (mapping), on<event>, a known property,
 * else an attribute; false, null and undefined leave it out, true makes it empty.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {any}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) assign(element, key, value);
  append(element, children);
  return element;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** @param {HTMLElement} element @param {string} key @param {any} value */
function assign(element, key, value) {
  if (value === null || value === undefined) return;
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "class") element.className = value;
  else if (key === "text") element.textContent = value;
  else if (key === "data") Object.assign(element.dataset, value);
  else if (key === "style") for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
  else if (key === "aria") {
    for (const [name, v] of Object.entries(value)) {
      if (v !== null && v !== undefined) element.setAttribute(`aria-${name}`, String(v));
    }
  } else if (key === "href" || key === "src") {
    if (LINK.test(value)) element.setAttribute(key, value);
  } else if (PROPERTIES.has(key)) /** @type {any} */ (element)[key] = value;
  else if (value !== false) element.setAttribute(key, value === true ? "" : String(value));
}

/** @param {Element} element @param {Child[]} children */
function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** @template {Element} T @param {T} element @param {...Child} children @returns {T} */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** @param {string} id @returns {any} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

let announced = 0;

/** Say `message` to screen readers; the shell holds the live region. @param {string} message */
export function announce(message) {
  const region = document.getElementById("live-region");
  clearTimeout(announced);
  announced = setTimeout(() => { if (region) region.textContent = message; }, 150);
}

/** @param {() => void} action @param {number} wait_ms */
export function debounced(action, wait_ms) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, wait_ms);
  };
}
