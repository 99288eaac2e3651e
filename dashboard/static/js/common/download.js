/**
 * Files made in the browser.
 *
 * saveText("candidates.csv", text, "text/csv")     saveUrl("figure.svg", "data:…")
 */

/** @param {string} name @param {string | string[]} text @param {string} type */
export function saveText(name, text, type) {
  const url = URL.createObjectURL(new Blob([text].flat(), { type: `${type};charset=utf-8` }));
  saveUrl(name, url);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {string} name @param {string} url */
export function saveUrl(name, url) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}
