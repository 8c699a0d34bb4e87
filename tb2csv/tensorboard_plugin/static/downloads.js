/**
 * Getting an export's file to the user. A browser saves a link by itself, whatever its size, but frames of notebooks
 * may not: there the page fetches the file and hands it over, and all of it stands in the browser's memory meanwhile.
 */

import { downloadAddress, getDownload } from "./api.js";
import { formatBytes } from "./numbers.js";

/** The file is too large to go through the page. */
export class TooLarge extends Error {
  /** @param {number} limit bytes */
  constructor(limit) {
    super(
      `A file of more than ${formatBytes(limit)} cannot be saved from inside a notebook; open TensorBoard in a ` +
        "browser tab of its own, select less, or run the command that is shown above.",
    );
  }
}

/**
 * Have the browser save an export's file. It tells the page nothing of how that goes.
 *
 * @param {string} token
 * @param {string} name
 */
export function saveByBrowser(token, name) {
  click(downloadAddress(token), name);
}

/**
 * Fetch an export's file and hand it to the browser.
 *
 * @param {string} token
 * @param {string} name
 * @param {number} limit bytes
 * @param {(bytes: number) => void} onBytes told how many have come
 * @param {AbortSignal} signal
 * @returns {Promise<number>} how many bytes there were; rejects with TooLarge, or where the server broke off
 */
export async function saveThroughPage(token, name, limit, onBytes, signal) {
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort());
  const answer = await getDownload(token, stop.signal);
  const said = Number(answer.headers.get("Content-Length"));
  const chunks = [];
  let bytes = 0;
  for (const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader(); ;) {
    if (Math.max(bytes, said) > limit) {
      stop.abort();
      throw new TooLarge(limit);
    }
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    bytes += value.length;
    onBytes(bytes);
  }
  const address = URL.createObjectURL(new Blob(/** @type {BlobPart[]} */ (chunks)));
  click(address, name);
  // The browser has taken hold of it once the click is through; a minute is for slow ones.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return bytes;
}

/**
 * @param {string} address
 * @param {string} name
 */
function click(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.hidden = true;
  document.body.append(link);
  link.click();
  link.remove();
}
