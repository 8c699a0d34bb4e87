/** The clipboard, and tables in the form that spreadsheets paste. */

/**
 * Put text on the clipboard. Browsers offer `navigator.clipboard` only to pages of the same machine or over TLS, and
 * some only shortly after a click.
 *
 * @param {string} text
 * @returns {Promise<boolean>} whether the text is on the clipboard
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByCommand(text);
  }
}

/**
 * @param {string} text
 * @returns {boolean}
 */
function copyByCommand(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.setAttribute("aria-hidden", "true");
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    done = false;
  }
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}

/**
 * Turn CSV into tab-separated text, which spreadsheets split into cells when it is pasted. A cell keeps its quotes if
 * it has a tab, a line break or a quote.
 *
 * @param {string} csv as tb2csv writes it: commas, quotes doubled, line feeds between rows
 * @returns {string}
 */
export function csvToTabs(csv) {
  if (!/["\t]/.test(csv)) return csv.replaceAll(",", "\t");
  const cell = /"((?:[^"]|"")*)"|[^",\n\r]+|,|\r?\n/g;
  return csv.replace(cell, (whole, quoted) => {
    if (whole === ",") return "\t";
    if (quoted === undefined) return whole.includes("\t") ? `"${whole}"` : whole;
    return /[\t\n\r"]/.test(quoted) ? whole : quoted;
  });
}
