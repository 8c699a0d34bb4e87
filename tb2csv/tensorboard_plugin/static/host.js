/**
 * TensorBoard as the page's host: its theme, its reloads, its address, and whether it runs in a notebook.
 *
 * The page is a frame of TensorBoard and can usually read its parent. If it cannot, each function falls back to what
 * the page itself knows.
 */

/** The keys of a link, in the part of the address after `#`. */
const LINK_KEYS = ["run", "tag", "kind", "file", "layout", "format"];

/** @returns {Window | null} TensorBoard's window */
function tensorboard() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

/** Follow TensorBoard's theme, or the system's if the page has no host. */
export function followTheme() {
  const host = tensorboard();
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const dark = host ? host.document.body.classList.contains("dark-mode") : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  if (host) new MutationObserver(apply).observe(host.document.body, { attributeFilter: ["class"] });
  else system.addEventListener("change", apply);
}

/**
 * Name the frame, which TensorBoard leaves without a title.
 *
 * @param {string} title
 */
export function nameFrame(title) {
  try {
    if (window.frameElement) window.frameElement.setAttribute("title", title);
  } catch {
    // The parent is from another site; the page may not change its frame.
  }
}

/**
 * Call a function whenever TensorBoard has reloaded its data, by its button or on its own.
 *
 * TensorBoard sends JSON over a message channel and expects an answer to every message.
 *
 * @param {() => void} reloaded
 */
export function onDataReloaded(reloaded) {
  const host = tensorboard();
  if (!host) return;
  const channel = new MessageChannel();
  channel.port1.onmessage = ({ data }) => {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (!message || message.isReply) return;
    channel.port1.postMessage(
      JSON.stringify({ type: message.type, id: message.id, payload: null, error: null, isReply: true }),
    );
    if (message.type === "experimental.DataReloaded") reloaded();
  };
  host.postMessage("experimental.bootstrap", "*", [channel.port2]);
}

/**
 * Return the runs in TensorBoard's own order, which decides their colours.
 *
 * @returns {Promise<string[]>} empty if TensorBoard does not list them
 */
export async function runsOfTensorBoard() {
  try {
    const answer = await fetch("../../runs");
    const runs = answer.ok ? await answer.json() : [];
    return Array.isArray(runs) ? runs.filter((run) => typeof run === "string") : [];
  } catch {
    return [];
  }
}

/**
 * @typedef {Object} LinkedSelection
 * @property {string[]} run
 * @property {string[]} tag
 * @property {string[]} kind
 * @property {string[]} file
 * @property {string[]} layout
 * @property {string[]} format
 */

/**
 * Read a selection from the address: `#tb2csv&p.tb2csv.run=train&p.tb2csv.tag=loss`. Keys may be repeated, and need no
 * prefix if the address opens this tab.
 *
 * @param {string} [hash] the part of an address from `#` on; by default that of TensorBoard's address
 * @returns {LinkedSelection | null} null if the address selects nothing
 */
export function linkedSelection(hash = (tensorboard() ?? window).location.hash) {
  const [tab, ...pairs] = hash.replace(/^#/, "").split("&");
  const given = new URLSearchParams(pairs.join("&"));
  /** @type {any} */
  const found = {};
  for (const key of LINK_KEYS) {
    found[key] = given.getAll(`p.tb2csv.${key}`);
    if (tab === "tb2csv") found[key].push(...given.getAll(key));
  }
  return LINK_KEYS.some((key) => found[key].length) ? found : null;
}

/**
 * Call a function whenever the address selects something else, for example after a click on a link.
 *
 * @param {(linked: LinkedSelection) => void} changed
 */
export function onLinkChanged(changed) {
  const host = tensorboard() ?? window;
  host.addEventListener("hashchange", () => {
    const linked = linkedSelection();
    if (linked) changed(linked);
  });
}

/**
 * Return the address that opens this tab with a selection.
 *
 * @param {Partial<LinkedSelection>} selection
 * @returns {string}
 */
export function linkTo(selection) {
  const here = (tensorboard() ?? window).location;
  /** @type {Object<string, string[]>} */
  const named = { ...selection };
  const pairs = LINK_KEYS.flatMap((key) =>
    (named[key] ?? []).map((value) => `p.tb2csv.${key}=${encodeURIComponent(value)}`),
  );
  return `${here.origin}${here.pathname}${here.search}#${["tb2csv", ...pairs].join("&")}`;
}

/**
 * Return whether TensorBoard runs in a notebook, which may block downloads from frames: in Colab, which serves requests
 * through a service worker, and in every page that shows TensorBoard in a frame.
 *
 * @returns {boolean}
 */
export function isInNotebook() {
  const host = tensorboard();
  if (!host) return window.parent !== window;
  return host.parent !== host || new URLSearchParams(host.location.search).has("tensorboardColab");
}
