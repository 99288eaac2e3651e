/**
 * Lists as the API reads them: words between commas; one that holds a comma stands in double quotes.
 *
 * joinWords(["Na", "a, b"]) → 'Na,"a, b"'      splitWords('Na,"a, b"') → ["Na", "a, b"]
 */

const NEEDS_QUOTES = /[",]|^\s|\s$/;
const WORD = /\s*(?:"((?:[^"]|"")*)"|([^,]*))(?:,|$)/y;

/** @param {readonly (string | number)[]} words */
export function joinWords(words) {
  return words.map((word) => {
    const text = String(word);
    return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }).join(",");
}

/** Empty ones are left out. @param {string | null | undefined} text @returns {string[]} */
export function splitWords(text) {
  const words = [];
  const whole = text ?? "";
  for (WORD.lastIndex = 0; WORD.lastIndex < whole.length;) {
    const found = WORD.exec(whole);
    if (!found) return [...words, whole];
    words.push(found[1]?.replaceAll('""', '"') ?? found[2].trim());
  }
  return words.filter(Boolean);
}
