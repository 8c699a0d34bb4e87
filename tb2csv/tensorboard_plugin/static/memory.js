/**
 * The browser's storage: the selection is kept for this browser tab, the options for good. A browser may refuse
 * storage, for example in frames of other sites; the page then works without it.
 */

/**
 * @param {"session" | "local"} area
 * @param {string} key
 * @returns {any} the stored value, or null
 */
export function recall(area, key) {
  try {
    return JSON.parse(storage(area).getItem(fullKey(key)) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {"session" | "local"} area
 * @param {string} key
 * @param {any} value null removes the entry
 */
export function remember(area, key, value) {
  try {
    if (value === null) storage(area).removeItem(fullKey(key));
    else storage(area).setItem(fullKey(key), JSON.stringify(value));
  } catch {
    // The storage is full or forbidden; only the memory for the next visit is lost.
  }
}

/**
 * @param {"session" | "local"} area
 * @returns {Storage}
 */
function storage(area) {
  return area === "session" ? sessionStorage : localStorage;
}

/**
 * Return a key that is unique to the page's address: the experiments of one server have different addresses.
 *
 * @param {string} key
 * @returns {string}
 */
function fullKey(key) {
  return `tb2csv:${new URL(document.baseURI).pathname}:${key}`;
}
