/**
 * What the page remembers: the selection for this browser tab, the options for good. A browser may refuse all
 * storage, in frames of other sites for one; the page then works without memory.
 */

/**
 * @param {"session" | "local"} where
 * @param {string} key
 * @returns {any} what was kept, or null
 */
export function recall(where, key) {
  try {
    return JSON.parse(storage(where).getItem(fullKey(key)) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {"session" | "local"} where
 * @param {string} key
 * @param {any} value null forgets it
 */
export function remember(where, key, value) {
  try {
    if (value === null) storage(where).removeItem(fullKey(key));
    else storage(where).setItem(fullKey(key), JSON.stringify(value));
  } catch {
    // Full or forbidden: nothing that the user asked for is lost.
  }
}

/**
 * @param {"session" | "local"} where
 * @returns {Storage}
 */
function storage(where) {
  return where === "session" ? sessionStorage : localStorage;
}

/**
 * Experiments of one server have pages of their own.
 *
 * @param {string} key
 * @returns {string}
 */
function fullKey(key) {
  return `tb2csv:${new URL(document.baseURI).pathname}:${key}`;
}
