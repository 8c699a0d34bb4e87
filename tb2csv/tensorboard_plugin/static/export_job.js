/** One export from the click to the file: what the server says of it, and what the browser does. */

import { ApiError, getStatus, isAbort, postCancel } from "./api.js";
import { saveByBrowser, saveThroughPage } from "./downloads.js";

/** Milliseconds between two questions to the server. */
const PERIOD = 400;

/** So long a finished file may lie there before the page offers another way, in milliseconds. */
const PATIENCE = 4000;

const ENDS = new Set(["sent", "failed", "cancelled", "gone"]);

/**
 * @typedef {{token: string, name: string, title: string}} JobName
 * @typedef {import("./api.js").Status["state"] | "gone"} JobState gone: the server knows it no longer
 */

export class ExportJob {
  /**
   * @param {JobName} name
   * @param {number} limit bytes that may go through the page
   * @param {(job: ExportJob) => void} changed something about it has changed
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
    /** Why it failed, in a sentence. @type {string | null} */
    this.problem = null;
    /** Bytes that came through the page; null where the browser saves by itself. @type {number | null} */
    this.fetched = null;
    /** Whether the file is there but nothing fetches it. */
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
   * Have the file saved, and follow the server's account until the end.
   *
   * @param {"browser" | "page" | "nothing"} way nothing: a reload found it under way, and the browser has it already
   * @returns {Promise<void>}
   */
  async run(way) {
    if (way === "browser") saveByBrowser(this.token, this.name);
    if (way === "page") this.fetchFile();
    while (!this.isOver) {
      await this.ask();
      this.changed(this);
      if (!this.isOver) await pause(this.isUnreachable ? 5 * PERIOD : PERIOD);
    }
  }

  async ask() {
    try {
      this.status = await getStatus(this.token);
      this.isUnreachable = false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) this.state = "gone";
      else this.isUnreachable = true;
      return;
    }
    // A failure that the page has seen itself is not undone by what the server believes.
    if (this.state === "failed" && this.problem) return;
    this.state = this.status.state;
    this.problem = this.status.error?.message ?? null;
    if (this.fetched !== null && this.state === "sent" && !this.isSaved) this.state = "sending";
    if (this.state !== "ready") this.readySince = 0;
    else if (!this.readySince) this.readySince = Date.now();
    this.isWaiting = this.state === "ready" && this.fetched === null && Date.now() - this.readySince > PATIENCE;
  }

  /** Fetch the file through the page; for notebooks, and where the browser has not begun by itself. */
  async fetchFile() {
    this.fetched = 0;
    this.isWaiting = false;
    const seen = (/** @type {number} */ bytes) => {
      this.fetched = bytes;
    };
    try {
      await saveThroughPage(this.token, this.name, this.limit, seen, this.stopper.signal);
      this.isSaved = true;
    } catch (error) {
      if (isAbort(error) && this.isCancelling) return;
      await this.fail(error);
    }
    this.changed(this);
  }

  /** @param {unknown} error what ended the fetch */
  async fail(error) {
    const isOurs = error instanceof Error && error.name !== "TypeError" && !isAbort(error);
    const { error: told } = await getStatus(this.token).catch(() => ({ error: null }));
    this.problem = told?.message ?? (isOurs ? error.message : "The connection broke before the file was whole.");
    this.state = "failed";
    // Nobody will fetch it any more; the server need not go on.
    if (!told) await postCancel(this.token).catch(() => null);
  }

  /** Call it off, at the server and in the page. */
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
