"""The blocks of a page of docs/, and its commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tb2csv.cli import app


class Page:
    """A page, as its readers see it."""

    def __init__(self, path: str) -> None:
        self._text = (Path(__file__).parents[2] / path).read_text("utf-8")

    def blocks(self, language: str) -> list[str]:
        """Return the blocks of a language, in their order."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self._text, re.DOTALL | re.MULTILINE)

    def run_commands(self, about: str = "") -> None:
        """Run the commands that have a text in them, one after the other, in this process and the current folder."""
        lines = [line for block in self.blocks("sh") for line in block.splitlines() if about in line]
        assert lines
        for line in lines:
            program, *arguments = shlex.split(line)
            assert program == "tb2csv"
            with pytest.raises(SystemExit) as end:
                app(arguments)
            assert not end.value.code, line
