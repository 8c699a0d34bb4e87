/** The server's routes. Addresses are relative, so that they work below any prefix and through proxies. */

/**
 * @typedef {{code: string, message: string}} Refusal
 * @typedef {Object} ExportRequest
 * @property {string[] | null} runs
 * @property {string[] | null} tags
 * @property {string[] | null} kinds
 * @property {"tables" | "hparams"} what
 * @property {boolean} archive
 * @property {string} file
 * @property {string} layout
 * @property {string} format
 * @property {string} tensors
 * @property {string[]} time
 * @property {string} restarts
 * @property {boolean} escape_formulas
 *
 * @typedef {{tables: number, rows: number, bytes: number, command: string}} Plan
 * @typedef {{bytes: number, total: number}} Progress
 * @typedef {(number | string | null)[]} Steps steps beyond 2^53 are text
 *
 * @typedef {Object} IndexColumns one element for each series; run, tag and kind are indexes into the lists of names
 * @property {number[]} run
 * @property {number[]} tag
 * @property {number[]} kind
 * @property {number[]} points
 * @property {number[]} rows
 * @property {number[]} bytes
 * @property {(number | null)[]} shown
 * @property {Steps} first_step
 * @property {Steps} last_step
 *
 * @typedef {Object} FullIndex
 * @property {false} [unchanged]
 * @property {string} version
 * @property {"scanning" | "ready" | "failed"} state
 * @property {Progress | null} [progress]
 * @property {Refusal | null} [error]
 * @property {string[]} runs
 * @property {string[]} tags
 * @property {string[]} kinds
 * @property {IndexColumns} series
 * @property {number} [damage]
 * @property {string[]} [notes]
 *
 * @typedef {FullIndex | {version: string, unchanged: true}} IndexAnswer
 *
 * @typedef {Object} Report
 * @property {number} values_read
 * @property {number} values_written
 * @property {number} values_filtered
 * @property {number} values_undecodable
 * @property {number} values_empty
 * @property {number} tables
 * @property {any[]} damage
 * @property {number} damage_count
 * @property {any[]} undecodable
 * @property {number} undecodable_count
 * @property {string[]} notes
 *
 * @typedef {Object} Status
 * @property {"queued" | "running" | "ready" | "sending" | "sent" | "failed" | "cancelled"} state
 * @property {number} [position]
 * @property {Progress} [progress]
 * @property {number | null} [bytes]
 * @property {Report | null} [report]
 * @property {Refusal | null} [error]
 *
 * @typedef {Object} Preview
 * @property {string} run
 * @property {string} tag
 * @property {string} kind
 * @property {number} rows
 * @property {string[]} columns
 * @property {any[][]} first
 * @property {any[][]} last
 * @property {{step: (number | string)[], value: (number | string | null)[]} | null} chart
 * @property {number | null} shown
 * @property {number} points
 *
 * @typedef {Object} ServerOptions
 * @property {string[]} files
 * @property {string[]} layouts
 * @property {string[]} formats
 * @property {string[]} tensors
 * @property {string[]} times
 * @property {string[]} restarts
 * @property {number} blob_limit
 * @property {string} version
 */

/** A request was refused by the server or by a proxy, or got no answer. The message is for the user. */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {number} status the HTTP status; 0 if there was no answer
   */
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/**
 * @param {string | null} known the version of the page's index
 * @param {AbortSignal} [signal]
 * @returns {Promise<IndexAnswer>}
 */
export function getIndex(known, signal) {
  return fetchJson(known === null ? "./api/index" : `./api/index?known=${encodeURIComponent(known)}`, { signal });
}

/** @returns {Promise<ServerOptions>} */
export function getOptions() {
  return fetchJson("./api/options");
}

/**
 * @param {{run: string, tag: string, kind: string}} series
 * @param {AbortSignal} [signal]
 * @returns {Promise<Preview>}
 */
export function getPreview({ run, tag, kind }, signal) {
  return fetchJson(`./api/preview?${new URLSearchParams({ run, tag, kind })}`, { signal });
}

/**
 * @param {ExportRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<Plan>}
 */
export function postPlan(request, signal) {
  return post("./api/plan", request, signal);
}

/**
 * @param {ExportRequest} request
 * @returns {Promise<{token: string, name: string}>}
 */
export function postExport(request) {
  return post("./api/export", request);
}

/**
 * Post a request; if it has several files, post it as that of an archive. The page cannot know it: a series may have
 * files beside its table, and the server may have found more series since.
 *
 * @template T
 * @param {(request: ExportRequest, signal?: AbortSignal) => Promise<T>} send
 * @param {ExportRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function asArchiveIfNeeded(send, request, signal) {
  try {
    return await send(request, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "needs_archive") throw error;
    return send({ ...request, archive: true }, signal);
  }
}

/**
 * @param {string} token
 * @returns {Promise<Status>}
 */
export function getStatus(token) {
  return fetchJson(`./api/status/${encodeURIComponent(token)}`);
}

/**
 * @param {string} token
 * @returns {Promise<{state: string}>}
 */
export function postCancel(token) {
  return post(`./api/cancel/${encodeURIComponent(token)}`, {});
}

/**
 * @param {string} token
 * @returns {string} the address of the export's file
 */
export function downloadAddress(token) {
  return `./api/download/${encodeURIComponent(token)}`;
}

/**
 * @param {string} token
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>} the export's file, as a stream
 */
export async function getDownload(token, signal) {
  const answer = await fetchOrThrow(downloadAddress(token), { signal });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/**
 * @param {string} address
 * @param {any} body
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
function post(address, body, signal) {
  return fetchJson(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/**
 * @param {string} address
 * @param {RequestInit} [init]
 * @returns {Promise<any>}
 */
async function fetchJson(address, init) {
  const answer = await fetchOrThrow(address, init);
  if (!answer.ok) throw await refusal(answer);
  try {
    return await answer.json();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("not_json", "The answer is not from tb2csv. Reload the page.", 200);
  }
}

/**
 * @param {string} address
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
async function fetchOrThrow(address, init) {
  try {
    return await fetch(address, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("unreachable", "TensorBoard does not respond. Check that it is still running.", 0);
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<ApiError>}
 */
async function refusal(answer) {
  try {
    const { error } = await answer.json();
    return new ApiError(String(error.code), String(error.message), answer.status);
  } catch {
    const message =
      answer.status === 413
        ? "The selection is too long for the server. Select whole runs or kinds instead of single tags."
        : `The server failed with status ${answer.status}. See its log for the cause.`;
    return new ApiError("http", message, answer.status);
  }
}

/**
 * @param {unknown} error
 * @returns {boolean} whether the page itself aborted the request
 */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}
