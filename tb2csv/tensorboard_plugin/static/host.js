/**
 * TensorBoard around the page: its theme, its reloads, its address, and whether it stands in a notebook itself.
 *
 * The page is a frame of TensorBoard's and may read its parent. Where it may not, each function falls back to what the
 * page can tell alone.
 */

/** What a link can ask for, in the part of the address after `#`. */
const LINK_KEYS = ["run", "tag", "kind", "layout", "format"];

/** @returns {Window | null} TensorBoard's window */
function tensorboard() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

/** Follow TensorBoard's theme, or the system's where the page stands alone. */
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
    // A parent of another site; its frame is not ours to name.
  }
}

/**
 * Be told when TensorBoard has loaded new data, by its button or by itself.
 *
 * TensorBoard speaks JSON over a message channel; every message wants an answer.
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
 * The runs in TensorBoard's own order, which decides about its colours.
 *
 * @returns {Promise<string[]>} empty where TensorBoard does not tell
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

/** @typedef {{run: string[], tag: string[], kind: string[], layout: string[], format: string[]}} LinkedSelection */

/**
 * What the address asks for: `#tb2csv&p.tb2csv.run=train&p.tb2csv.tag=loss`. Keys may be repeated, and may stand
 * without their prefix where the address is of this tab.
 *
 * @param {string} [hash] the part of an address from `#` on; of TensorBoard's own address where it is not given
 * @returns {LinkedSelection | null} null where it asks for nothing
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
 * Be told when the address asks for something else, a link in TensorBoard's own window for one.
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
 * The address that opens this tab with a selection.
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
 * Whether TensorBoard stands in a notebook, where the browser may take no downloads from frames: in Colab, which
 * catches requests in a service worker, and wherever TensorBoard is a frame itself.
 *
 * @returns {boolean}
 */
export function isInNotebook() {
  const host = tensorboard();
  if (!host) return window.parent !== window;
  return host.parent !== host || new URLSearchParams(host.location.search).has("tensorboardColab");
}
