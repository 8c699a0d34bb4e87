/** One export from the click to the file: its state at the server, and its download. */

import { ApiError, getStatus, isAbort, postCancel } from "./api.js";
import { saveByBrowser, saveThroughPage } from "./downloads.js";

/** Time between two requests for the state, in milliseconds. */
const PERIOD = 400;

/** How long a finished file may wait before the page offers to save it in another way, in milliseconds. */
const PATIENCE = 4000;

const ENDS = new Set(["sent", "failed", "cancelled", "gone"]);

/**
 * @typedef {{token: string, name: string, title: string}} JobName
 * @typedef {import("./api.js").Status["state"] | "gone"} JobState gone: the server no longer has it
 */

export class ExportJob {
  /**
   * @param {JobName} name
   * @param {number} limit maximum number of bytes that the page may fetch
   * @param {(job: ExportJob) => void} changed called whenever the job has changed
   */
  constructor({ token, name, title }, limit, changed) {
    this.token = token;
    this.name = name;
    this.title = title;
    this.limit = limit;
    this.changed = changed;
    /** @type {JobState} */
    this.state = "queued";
    /** @type {import("./api.js").Status} */
    this.status = { state: "queued" };
    /** The reason of a failure, as a sentence. @type {string | null} */
    this.problem = null;
    /** Bytes that the page has fetched; null if the browser saves the file by itself. @type {number | null} */
    this.fetched = null;
    /** Whether the file is ready but nothing fetches it. */
    this.isWaiting = false;
    this.isCancelling = false;
    this.isUnreachable = false;
    this.stopper = new AbortController();
    this.readySince = 0;
  }

  /** @returns {boolean} */
  get isOver() {
    return ENDS.has(this.state);
  }

  /**
   * Save the file, and follow the job until it ends.
   *
   * @param {"browser" | "page" | "nothing"} way nothing: the page was loaded again, and the browser
   *   is already saving the file
   * @returns {Promise<void>}
   */
  async run(way) {
    if (way === "browser") saveByBrowser(this.token, this.name);
    if (way === "page") this.fetchFile();
    while (!this.isOver) {
      await this.updateState();
      this.changed(this);
      if (!this.isOver) await pause(this.isUnreachable ? 5 * PERIOD : PERIOD);
    }
  }

  async updateState() {
    try {
      this.status = await getStatus(this.token);
      this.isUnreachable = false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) this.state = "gone";
      else this.isUnreachable = true;
      return;
    }
    // The page's own failure counts more than the state at the server.
    if (this.state === "failed" && this.problem) return;
    this.state = this.status.state;
    this.problem = this.status.error?.message ?? null;
    if (this.fetched !== null && this.state === "sent" && !this.isSaved) this.state = "sending";
    if (this.state !== "ready") this.readySince = 0;
    else if (!this.readySince) this.readySince = Date.now();
    this.isWaiting = this.state === "ready" && this.fetched === null && Date.now() - this.readySince > PATIENCE;
  }

  /** Fetch the file through the page: in notebooks, and if the browser has not started by itself. */
  async fetchFile() {
    this.fetched = 0;
    this.isWaiting = false;
    const received = (/** @type {number} */ bytes) => {
      this.fetched = bytes;
    };
    try {
      await saveThroughPage(this.token, this.name, this.limit, received, this.stopper.signal);
      this.isSaved = true;
    } catch (error) {
      if (isAbort(error) && this.isCancelling) return;
      await this.fail(error);
    }
    this.changed(this);
  }

  /** @param {unknown} error the error that ended the fetch */
  async fail(error) {
    const isOurs = error instanceof Error && error.name !== "TypeError" && !isAbort(error);
    const { error: refusal } = await getStatus(this.token).catch(() => ({ error: null }));
    this.problem =
      refusal?.message ?? (isOurs ? error.message : "The connection was lost before the file was complete.");
    this.state = "failed";
    // The page will not fetch the file again, so the server can stop.
    if (!refusal) await postCancel(this.token).catch(() => null);
  }

  /** Cancel the export at the server and the download in the page. */
  async cancel() {
    this.isCancelling = true;
    this.changed(this);
    this.stopper.abort();
    try {
      await postCancel(this.token);
      if (!this.isOver) this.state = "cancelled";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.isCancelling = false;
      this.problem = error.message;
    }
    this.changed(this);
  }
}

/**
 * @param {number} milliseconds
 * @returns {Promise<void>}
 */
function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
