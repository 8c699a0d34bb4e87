/** Reads the series index from the server, again and again until the server's scan has ended. */

import { ApiError, getIndex } from "./api.js";

/** Minimum time between two requests, in milliseconds. */
const PERIOD = 500;

/**
 * @typedef {Object} PollerActions
 * @property {() => string | null} version returns the version of the index that the page has
 * @property {(answer: import("./api.js").IndexAnswer) => boolean} receive returns whether the scan is still running
 * @property {(message: string) => void} fail
 */

export class IndexPoller {
  /** @param {PollerActions} actions */
  constructor(actions) {
    this.actions = actions;
  }

  /**
   * Start to poll; a poll that is still running ends.
   *
   * @param {Promise<void> | null} options what to wait for before the first answer is used
   * @returns {Promise<void>} settled when the scan has ended
   */
  async poll(options) {
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    try {
      for (;;) {
        const begun = performance.now();
        const [answer] = await Promise.all([getIndex(this.actions.version(), running.signal), options]);
        if (!this.actions.receive(answer)) return;
        // A large index takes long to read and to draw; leave the page time for other work.
        const spent = performance.now() - begun;
        await new Promise((resolve) => {
          setTimeout(resolve, Math.max(PERIOD, 3 * spent));
        });
        if (running.signal.aborted) return;
      }
    } catch (error) {
      if (running.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.actions.fail(error.message);
    }
  }
}
