/** The start of a plot's page: its theme, and what the page has. */

"use strict";

/** Follow the reader's system unless a theme was chosen, and let a button change it. */
function followTheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    root.dataset.theme = system.matches ? "dark" : "light";
  };
  if (!root.dataset.theme) {
    follow();
    system.addEventListener("change", follow);
  }
  document.getElementById("theme")?.addEventListener("click", () => {
    system.removeEventListener("change", follow);
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  });
}

followTheme();
const data = document.getElementById("data");
if (data) new Page(JSON.parse(data.textContent ?? ""));
const maps = document.getElementById("maps");
if (maps) new HeatMaps(JSON.parse(maps.textContent ?? ""));
