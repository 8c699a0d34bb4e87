/**
 * Downloads of exported files. A browser saves a link by itself, whatever its size, but a notebook's frame may forbid
 * that. There the page fetches the file and passes it to the browser, so the whole file is in memory for a while.
 */

import { downloadAddress, getDownload } from "./api.js";
import { formatBytes } from "./numbers.js";

/** The file is too large to go through the page. */
export class TooLarge extends Error {
  /** @param {number} limit bytes */
  constructor(limit) {
    super(
      `Files over ${formatBytes(limit)} cannot be saved from inside a notebook. Open TensorBoard in its own browser ` +
        "tab, select less, or run the command shown above.",
    );
  }
}

/**
 * Have the browser save an export's file. The page cannot follow that download.
 *
 * @param {string} token
 * @param {string} name
 */
export function saveByBrowser(token, name) {
  click(downloadAddress(token), name);
}

/**
 * Fetch an export's file and pass it to the browser.
 *
 * @param {string} token
 * @param {string} name
 * @param {number} limit bytes
 * @param {(bytes: number) => void} onBytes called with the number of bytes received so far
 * @param {AbortSignal} signal
 * @returns {Promise<number>} the size of the file; rejects with TooLarge, or if the connection breaks
 */
export async function saveThroughPage(token, name, limit, onBytes, signal) {
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort());
  const answer = await getDownload(token, stop.signal);
  const announced = Number(answer.headers.get("Content-Length"));
  const chunks = [];
  let bytes = 0;
  for (const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader(); ;) {
    if (Math.max(bytes, announced) > limit) {
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
  // The browser opens the address soon after the click; a minute is enough for slow ones.
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
