"""What the options of commands can do, the parameters of the functions of the same names can do."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import tb2csv
import tb2csv.model_state

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
cli_reference = runpy.run_path(str(ROOT / "docs" / "make_cli_reference.py"))
COMMANDS = cli_reference["commands"]()

#: Functions with another name than their command.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "state export": tb2csv.model_state.export_state,
    "state restore": tb2csv.model_state.restore_file,
    "state from-logs": tb2csv.recorded_state,
    "state diff": tb2csv.model_state.diff_states,
}
#: What is printed, and how.
OF_THE_TERMINAL = {"json", "quiet", "debug"}
#: Parameters with another name than their option.
OTHER_NAMES = {
    "output": "out",
    "as": "families",
    "threshold": "thresholds",
    "map": "renames",
    "max": "goal",
    "min": "goal",
}
#: Options of a log directory, which ``discover`` takes. Functions take what it returns in place of a path.
OF_A_LOGDIR = {"max_expansion"}
#: Options of commands that write the table of a result: ``table_text`` or the methods of a polars frame write it.
OF_A_TABLE = {
    key: {"output", "format", "overwrite", "escape_formulas"}
    for key in ("metrics", "summary", "best", "hparams", "sql", "diagnose", "layer-errors")
}
OF_A_TABLE["summary"] |= {"wide", "statistic", "sort", "descending", "top"}
#: Options for which a result has what a program needs: ``report.damage``, ``findings``, the status of a difference.
OF_A_RESULT = {
    **{
        key: {"strict"}
        for key in ("ls", "check", "metrics", "summary", "best", "hparams", "sql", "plot", "layer-errors")
    },
    "diagnose": {"strict", "fail_on"},
    "state diff": {"all"},
}


def options_of(command: str) -> set[str]:
    named = [each.names for each in cli_reference["parameters"](COMMANDS[command]) if not each.is_argument]
    # The opposite of a flag is the same argument.
    return {
        name[2:].replace("-", "_")
        for names in named
        for name in names
        if name.startswith("--") and name.replace("--no-", "--") not in set(names) - {name}
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_functions_take_what_their_commands_take(command: str) -> None:
    function = FUNCTIONS.get(command) or getattr(tb2csv, command.replace("-", "_"))
    taken = set(inspect.signature(function).parameters)
    if "rows" in taken:
        taken |= set(inspect.signature(tb2csv.RowSelection).parameters)
    if command == "state from-logs":  # write_state writes the state that the function returns
        taken |= set(inspect.signature(tb2csv.model_state.write_state).parameters)
    elsewhere = OF_THE_TERMINAL | OF_A_TABLE.get(command, set()) | OF_A_RESULT.get(command, set())
    options = options_of(command)
    if "LogdirSource" in str(next(iter(inspect.signature(function).parameters.values())).annotation):
        taken |= OF_A_LOGDIR & set(inspect.signature(tb2csv.discover).parameters)
    assert options >= OF_A_TABLE.get(command, set()) - {"format"}, "a difference that no longer exists"
    assert options >= OF_A_RESULT.get(command, set()), "a difference that no longer exists"
    assert {OTHER_NAMES.get(each, each) if each not in taken else each for each in options - elsewhere} <= taken


def test_tables_become_the_text_that_commands_write() -> None:
    table = pl.DataFrame({"tag": ["a_b", "x|y"], "points": [1, 2]})
    assert tb2csv.table_text(table) == '"tag","points"\na_b,1\nx|y,2\n'
    assert tb2csv.table_text(table, "markdown") == "| tag | points |\n| --- | ---: |\n| a_b | 1 |\n| x\\|y | 2 |\n"
    with pytest.raises(tb2csv.OptionError):
        tb2csv.table_text(table, "html")
