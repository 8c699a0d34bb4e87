/** The entry point: TensorBoard loads this module into the frame of the Export tab and calls `render` once. */

import { App } from "./app.js";
import { followTheme, nameFrame } from "./host.js";
import { Palette } from "./palette.js";

const STYLES = ["theme.css", "page.css", "controls.css", "lists.css", "exports.css", "series.css"];

/**
 * Build the page.
 *
 * @returns {Promise<void>}
 */
export async function render() {
  document.documentElement.lang = "en";
  document.title = "Export · TensorBoard";
  nameFrame("Export");
  followTheme();
  Palette.install();
  // The first words come before the style sheets.
  const loading = document.createElement("p");
  loading.setAttribute("role", "status");
  loading.textContent = "Loading the Export tab…";
  loading.style.cssText = "font: 14px sans-serif; padding: 24px; text-align: center; color: #808080";
  document.body.append(loading);
  const app = new App();
  // The data loads at the same time as the style sheets.
  const started = app.start();
  await Promise.all(STYLES.map(loadStyle));
  loading.remove();
  app.show(document.body);
  await started;
}

/**
 * @param {string} name
 * @returns {Promise<void>} settled when the style has loaded or failed; the page works without it
 */
function loadStyle(name) {
  return new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = `./static/${name}`;
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}
