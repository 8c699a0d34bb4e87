/** Starts exports and follows them, also after the page is loaded again. */

import { ApiError, asArchiveIfNeeded, getDownload, postExport, postPlan } from "./api.js";
import { copyText, csvToTabs } from "./clipboard.js";
import { TooLarge } from "./downloads.js";
import { ExportJob } from "./export_job.js";
import { isInNotebook } from "./host.js";
import { JobsPanel } from "./jobs_panel.js";
import { recall, remember } from "./memory.js";
import { formatBytes } from "./numbers.js";

/** Maximum size of a table for the clipboard, in bytes of CSV: larger ones freeze spreadsheets. */
const CLIPBOARD_LIMIT = 20_000_000;

/**
 * @typedef {import("./api.js").ExportRequest} ExportRequest
 * @typedef {import("./preview_panel.js").SeriesName} SeriesName
 */

export class ExportController {
  /**
   * @param {import("./notices.js").Notices} notices
   * @param {() => import("./export_options.js").Options} options
   */
  constructor(notices, options) {
    this.notices = notices;
    this.options = options;
    this.blobLimit = 256 * 1024 * 1024;
    /** @type {ExportJob[]} */
    this.jobs = [];
    this.panel = new JobsPanel(
      (text) => notices.announce(text),
      (job) => this.forget(job),
    );
  }

  /** Follow the exports that this browser tab started before the page was loaded again. */
  resume() {
    const kept = recall("session", "jobs");
    for (const name of Array.isArray(kept) ? kept : []) {
      if (typeof name?.token === "string" && typeof name.name === "string" && typeof name.title === "string") {
        this.follow(name, "nothing");
      }
    }
  }

  /**
   * @param {ExportRequest} request
   * @param {string} title
   */
  async start(request, title) {
    await this.attempt(async () => {
      if (isInNotebook()) {
        const plan = await asArchiveIfNeeded(postPlan, request);
        if (plan.bytes > this.blobLimit) throw new TooLarge(this.blobLimit);
      }
      const { token, name } = await asArchiveIfNeeded(postExport, request);
      this.follow({ token, name, title }, isInNotebook() ? "page" : "browser");
    });
  }

  /**
   * Export one series: as a file if it is a single file, else as an archive.
   *
   * @param {SeriesName} name
   * @param {string} format
   */
  async startOne(name, format) {
    await this.attempt(async () => {
      const { token, name: file } = await asArchiveIfNeeded(postExport, this.requestFor(name, format));
      this.follow({ token, name: file, title: `${name.tag} of ${name.run}` }, isInNotebook() ? "page" : "browser");
    });
  }

  /**
   * Put the table of one series on the clipboard.
   *
   * @param {SeriesName} name
   * @param {number} bytes estimated size of the table
   */
  async copyOne(name, bytes) {
    if (bytes > CLIPBOARD_LIMIT) {
      this.notices.showHint(`The table is too large for the clipboard, about ${formatBytes(bytes)}. Export it as CSV.`);
      return;
    }
    await this.attempt(async () => {
      const { token } = await postExport(this.requestFor(name, "csv"));
      const table = csvToTabs(await (await getDownload(token)).text());
      const done = await copyText(table);
      this.notices.showHint(
        done
          ? `Copied ${name.tag} of ${name.run}. Paste it into a spreadsheet.`
          : "The browser does not let this page use the clipboard.",
      );
    });
  }

  /**
   * @param {SeriesName} name
   * @param {string} format
   * @returns {ExportRequest} a request for the table of one series
   */
  requestFor({ run, tag, kind }, format) {
    const only = { runs: [run], tags: [tag], kinds: [kind] };
    return { ...this.options(), ...only, what: "tables", file: "zip", layout: "tree", format, archive: false };
  }

  /**
   * @param {import("./export_job.js").JobName} name
   * @param {"browser" | "page" | "nothing"} way
   */
  follow(name, way) {
    const job = new ExportJob(name, this.blobLimit, (changed) => this.panel.update(changed));
    this.jobs.push(job);
    this.keep();
    this.panel.update(job);
    job.run(way).catch((error) => this.notices.showError(String(error)));
  }

  /** @param {ExportJob} job */
  forget(job) {
    this.jobs = this.jobs.filter((other) => other !== job);
    this.keep();
  }

  keep() {
    remember(
      "session",
      "jobs",
      this.jobs.map(({ token, name, title }) => ({ token, name, title })),
    );
  }

  /** @param {() => Promise<void>} act an action that the server may refuse */
  async attempt(act) {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof TooLarge)) throw error;
      this.notices.showError(error.message);
    }
  }
}
