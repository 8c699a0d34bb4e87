/** The exports of this browser tab: progress, a button to cancel, and the report. */

import { element, replace, setAttribute, setText } from "./elements.js";
import { icon } from "./icons.js";
import { counted, formatBytes, formatCount, share } from "./numbers.js";

/** @typedef {import("./export_job.js").ExportJob} ExportJob */

export class JobsPanel {
  /**
   * @param {(text: string) => void} announce
   * @param {(job: ExportJob) => void} dismissed
   */
  constructor(announce, dismissed) {
    this.announce = announce;
    this.dismissed = dismissed;
    /** @type {Map<ExportJob, JobCard>} */
    this.cards = new Map();
    this.list = element("ul", { class: "jobs" });
    this.finished = element("ul", { class: "jobs" });
    this.sign = element("span", { class: "job-sign" });
    this.line = element("span", { class: "job-title" });
    this.fold = element(
      "div",
      { class: "card finished-jobs" },
      element("details", {}, element("summary", {}, this.sign, this.line), this.finished),
      button("Dismiss all", () => this.dismissAll()),
    );
    this.element = element(
      "section",
      { class: "jobs-section", "aria-labelledby": "jobs-title" },
      element("h2", { class: "visually-hidden", id: "jobs-title" }, "Exports"),
      this.list,
      this.fold,
    );
    this.showFold();
  }

  /**
   * Show a job, or update it.
   *
   * @param {ExportJob} job
   */
  update(job) {
    let card = this.cards.get(job);
    if (!card) {
      card = new JobCard(job, () => this.dismiss(job));
      this.cards.set(job, card);
      this.list.prepend(card.element);
    }
    if (card.update()) this.announce(`${job.title}: ${card.text}`);
    const list = card.isDone ? this.finished : this.list;
    if (card.element.parentElement !== list) list.prepend(card.element);
    this.showFold();
  }

  /** Show the finished exports as one line: the last one, or their number. */
  showFold() {
    const done = [...this.cards].filter(([, card]) => card.isDone);
    this.element.hidden = this.cards.size === 0;
    this.fold.hidden = done.length === 0;
    if (!done.length) return;
    const [job, card] = done[done.length - 1];
    const before = done.length > 1 ? `${formatCount(done.length)} exports finished. ` : "";
    setText(this.line, `${before}${job.title}: ${card.text}`);
    const hasLosses = done.some(([, one]) => one.losses > 0);
    this.fold.classList.toggle("is-warned", hasLosses);
    replace(this.sign, icon(hasLosses ? "warning" : "check"));
  }

  /** @param {ExportJob} job */
  dismiss(job) {
    const card = this.cards.get(job);
    if (!card) return;
    const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
    this.remove(job, card);
    this.focus(next?.querySelector("button:not([hidden])"));
  }

  /** Dismiss the finished exports; those that failed stay until each is dismissed. */
  dismissAll() {
    for (const [job, card] of [...this.cards]) if (card.isDone) this.remove(job, card);
    this.focus(null);
  }

  /**
   * @param {ExportJob} job
   * @param {JobCard} card
   */
  remove(job, card) {
    card.element.remove();
    this.cards.delete(job);
    this.showFold();
    this.dismissed(job);
  }

  /** @param {Element | null | undefined} next the element to focus, instead of the one that is gone */
  focus(next) {
    const target = next ?? document.querySelector(".export-buttons .primary");
    if (target instanceof HTMLElement) target.focus();
  }
}

class JobCard {
  /**
   * @param {ExportJob} job
   * @param {() => void} dismiss
   */
  constructor(job, dismiss) {
    this.job = job;
    this.text = "";
    this.sign = element("span", { class: "job-sign" });
    this.line = element("span", { class: "job-line" });
    this.bar = element("div", { class: "progress", role: "progressbar", "aria-label": `Progress of ${job.title}` });
    this.bar.append(element("span", {}));
    this.save = button("Save file", () => job.fetchFile());
    this.cancel = button("Cancel", () => job.cancel());
    this.dismiss = button("Dismiss", dismiss);
    this.details = element("div", { class: "job-details" });
    setAttribute(this.save, "aria-label", `Save file of ${job.title}`);
    setAttribute(this.cancel, "aria-label", `Cancel ${job.title}`);
    setAttribute(this.dismiss, "aria-label", `Dismiss ${job.title}`);
    this.element = element(
      "li",
      { class: "card job" },
      this.sign,
      element("div", { class: "job-texts" }, element("span", { class: "job-title" }, job.title), this.line),
      element("div", { class: "job-buttons" }, this.save, this.cancel, this.dismiss),
      this.bar,
      this.details,
    );
  }

  /** @returns {boolean} whether the export ended as the user wished: with its file, or by cancelling */
  get isDone() {
    return this.job.state === "sent" || this.job.state === "cancelled";
  }

  /** @returns {number} damaged byte ranges and values that could not be decoded */
  get losses() {
    const { report } = this.job.status;
    return report ? report.damage_count + report.undecodable_count : 0;
  }

  /** @returns {boolean} whether the change is worth announcing */
  update() {
    const { job } = this;
    const phase = `${job.state} ${job.isWaiting} ${job.isUnreachable} ${job.status.report ? "report" : ""}`;
    const isNews = phase !== this.phase;
    this.phase = phase;
    this.text = line(job);
    setText(this.line, this.text);
    this.save.hidden = !job.isWaiting;
    this.cancel.hidden = job.isOver;
    setAttribute(this.cancel, "disabled", job.isCancelling);
    this.dismiss.hidden = !job.isOver;
    this.showProgress();
    if (isNews) this.showOutcome();
    return isNews;
  }

  showProgress() {
    const { state, status, fetched } = this.job;
    this.bar.hidden = this.job.isOver || this.job.isWaiting;
    const known = status.progress && status.progress.total > 0;
    const sending = state === "sending" && fetched !== null && status.bytes;
    const part = sending
      ? share(fetched ?? 0, status.bytes ?? 0)
      : known
        ? share(status.progress?.bytes ?? 0, status.progress?.total ?? 0)
        : null;
    this.bar.classList.toggle("is-unknown", part === null || state === "queued");
    /** @type {HTMLElement} */ (this.bar.firstElementChild).style.width = `${100 * (part ?? 0)}%`;
    setAttribute(this.bar, "aria-valuenow", part === null ? null : Math.round(100 * part));
  }

  showOutcome() {
    const { job } = this;
    const report = job.status.report ?? null;
    const isBad = job.state === "failed" || job.state === "gone";
    const { losses } = this;
    this.element.classList.toggle("is-failed", isBad);
    this.element.classList.toggle("is-warned", !isBad && losses > 0);
    setAttribute(this.line, "role", isBad ? "alert" : null);
    const sign =
      isBad || losses > 0
        ? "warning"
        : job.state === "sent"
          ? "check"
          : job.state === "cancelled"
            ? "close"
            : "download";
    replace(this.sign, icon(sign));
    replace(this.details, ...(report && job.state !== "cancelled" ? reportParts(report) : []));
  }
}

/**
 * @param {ExportJob} job
 * @returns {string} the state of the job, as a line
 */
function line(job) {
  const { status } = job;
  if (job.isUnreachable) return "TensorBoard does not respond. Trying again.";
  if (job.isCancelling && !job.isOver) return "Cancelling…";
  switch (job.state) {
    case "queued":
      return status.position ? `Waiting for other exports: number ${status.position} in the queue` : "Queued";
    case "running": {
      const { bytes = 0, total = 0 } = status.progress ?? {};
      return total > 0 ? `Converting: ${formatBytes(bytes)} of ${formatBytes(total)} read` : "Converting";
    }
    case "ready":
      return job.isWaiting
        ? "The file is ready, but the browser has not fetched it."
        : "Ready; the browser is downloading it";
    case "sending":
      return job.fetched === null ? "The browser is downloading it" : `${formatBytes(job.fetched)} downloaded`;
    case "sent":
      return status.bytes ? `Done: ${formatBytes(status.bytes)} in ${job.name}` : `Done: ${job.name}`;
    case "failed":
      return job.problem ?? "The export failed.";
    case "cancelled":
      return "Cancelled. If the browser kept part of the file, delete it.";
    default:
      return "The server no longer has this export. Start it again.";
  }
}

/**
 * @param {import("./api.js").Report} report
 * @returns {HTMLElement[]}
 */
function reportParts(report) {
  const written = `${formatCount(report.values_written)} of ${counted(report.values_read, "value")}`;
  const parts = [element("p", {}, `${written} exported to ${counted(report.tables, "table")}.`)];
  const damage = (/** @type {any} */ one) =>
    `${one.path}: ${one.detail || one.kind}, ${counted(one.length ?? 0, "byte")} at byte ${one.offset}`;
  const undecodable = (/** @type {any} */ one) => `Run ${one.run}, tag ${one.tag}, step ${one.step}: ${one.detail}`;
  if (report.damage_count) {
    const title = `${counted(report.damage_count, "damaged byte range")} in the event files`;
    parts.push(list(title, report.damage, report.damage_count, damage));
  }
  if (report.undecodable_count) {
    const isOne = report.undecodable_count === 1;
    const values = counted(report.undecodable_count, "value");
    const title = `${values} could not be decoded and ${isOne ? "was" : "were"} left out`;
    parts.push(list(title, report.undecodable, report.undecodable_count, undecodable));
  }
  if (report.values_filtered) parts.push(element("p", {}, `${counted(report.values_filtered, "value")} not selected.`));
  return [...parts, ...report.notes.map((note) => element("p", {}, note))];
}

/**
 * @param {string} title
 * @param {any[]} some the first items
 * @param {number} all the number of all items
 * @param {(one: any) => string} describe
 */
function list(title, some, all, describe) {
  const items = some.map((one) => element("li", {}, typeof one === "string" ? one : describe(one)));
  if (all > some.length)
    items.push(element("li", {}, `and ${formatCount(all - some.length)} more; run tb2csv check to list them all`));
  return element("details", {}, element("summary", {}, title), element("ul", {}, ...items));
}

/**
 * @param {string} text
 * @param {() => void} act
 */
function button(text, act) {
  return element("button", { type: "button", class: "button small", onclick: act }, text);
}
