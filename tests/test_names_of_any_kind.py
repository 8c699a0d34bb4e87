"""Names of any characters at all, in every text that is made of them."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import polars as pl
from hostile_names import HOSTILE_NAMES
from hypothesis import given
from hypothesis import strategies as st
from markdown import markdown
from werkzeug.http import parse_options_header

import tb2csv
from tb2csv.display import printable
from tb2csv.tensorboard_plugin.downloads import _disposition

#: Categories of characters that change what a terminal shows, or have no shape that is known.
_NOT_SHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
#: Any text, texts of the characters that mean something somewhere, and parts of hostile names side by side.
NAMES = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.text(
        st.sampled_from("\x1b\x9b\r\n\t\b\0\u202e\u200b\u2066\ufeff<>&\"'`|\\{}$%#^~_*[]()!=+-@,;:/ax "), max_size=20
    )
    | st.lists(st.sampled_from(HOSTILE_NAMES), max_size=3).map("".join)
)


@given(NAMES | st.text())
def test_a_printable_name_has_no_control_character(name: str) -> None:
    shown = printable(name)
    assert not {unicodedata.category(each) for each in shown} & _NOT_SHOWN
    assert (shown == name) == (not {unicodedata.category(each) for each in name} & _NOT_SHOWN)


class Elements(HTMLParser):
    """The elements of a page, and the text of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_markdown_of_any_names_is_one_table(names: list[str]) -> None:
    table = pl.DataFrame({"tag": names, "points": range(len(names))})
    elements = Elements(markdown(tb2csv.table_text(table, "markdown"), extensions=["tables"])).elements
    assert set(elements) <= {"table", "thead", "tbody", "tr", "th", "td", "br"}
    assert elements.count("td") == 2 * len(names)


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_latex_of_any_names_is_one_table(names: list[str]) -> None:
    lines = tb2csv.table_text(pl.DataFrame({"tag": names, "points": range(len(names))}), "latex").splitlines()
    rows = [line.removesuffix(" \\\\") for line in lines if line.endswith("\\\\")]
    assert len(rows) == len(names) + 1
    for row in rows:
        depth, escaped, cells = 0, False, 1
        for each in row:
            if escaped:
                escaped = False
            elif each == "\\":
                escaped = True
            else:
                assert each not in "%#$_^~", row
                depth += (each == "{") - (each == "}")
                cells += each == "&"
                assert depth >= 0
        assert (depth, cells) == (0, 2)


@given(NAMES.filter(bool))
def test_the_name_of_a_download_is_one_header(name: str) -> None:
    header = _disposition(name)
    assert header.isascii()
    assert header.isprintable()
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    assert options["filename"] == name
