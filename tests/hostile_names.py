"""Names that a stranger may give to runs, tags and hyperparameters, to change what a program shows or does."""

from __future__ import annotations

#: Names that would write to a terminal, or hide what they are.
FOR_TERMINALS = (
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31mred",
    "over\rwritten",
    "two\nlines",
    "back\b\b\b\bspace",
    "\u202eright to left",
    "zero\u200bwidth",
    "\u2066isolated\u2069",
)

#: Names that a spreadsheet would run.
FOR_SPREADSHEETS = ("=1+2", "+1+2", "-1+2", "@SUM(1)", "\t=1+2", "\r=1+2", "'=1+2", '=HYPERLINK("https://example.org")')

#: Names that a page, or Markdown that becomes one, would run or show as something else.
FOR_PAGES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td></tr></table>",
    "</style><b>bold</b>",
    "]]><b>",
    '" onload="alert(1)',
    "&lt;b&gt;",
    "[text](javascript:alert)",
    "![text](https://example.org/x.png)",
    "`code` *bold* _italic_ ~~struck~~ a|b",
    "$x^2$",
)

#: Names that TeX would run.
FOR_TEX = ("\\input{secret}", "\\end{tabular}", "100%", "a & b \\\\ c", "{open", "#1", "^^41", "~")

#: Names that a program may take for a format or a key of its own.
FOR_PROGRAMS = ("%s %(x)s", "{0}{x!r}", "__proto__", "constructor", "*", "^.*$", "NULL", "nan", "..", "CON")

HOSTILE_NAMES = FOR_TERMINALS + FOR_SPREADSHEETS + FOR_PAGES + FOR_TEX + FOR_PROGRAMS
