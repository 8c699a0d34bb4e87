"""The table of findings that ``tb2csv diagnose`` prints on a terminal, and the lines on what it examined."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.diagnosis.tag_families import SCALAR_FAMILIES, SCALARS
from tb2csv.cli.short_names import short_names
from tb2csv.cli.terminal import plural, print_result
from tb2csv.display import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from tb2csv.analysis.diagnosis.diagnose import Diagnosis

_GAP: Final = 2
#: The largest share of the width for the name of a layer.
_NAME_SHARE: Final = 0.3
_MIN_NAME_WIDTH: Final = 12
_NAME_HEADER: Final = "layer"
#: The maximum number of runs whose examined quantities are listed.
_MAX_RUNS: Final = 20


def print_findings(diagnosis: Diagnosis) -> None:
    """Draw the findings on standard output, which is a terminal: a table for each run."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    rows = list(diagnosis.findings.iter_rows(named=True))
    runs = dict.fromkeys(row["run"] for row in rows)
    headings = short_names(map(printable, runs), console.width)
    for run in runs:
        console.print(Text(headings[printable(run)], style="bold"))
        console.print(findings_table([row for row in rows if row["run"] == run], console.width))
    count = diagnosis.coverage["run"].n_unique()
    if rows:
        print_result(f"{plural(len(rows), 'finding')} in {len(runs)} of {plural(max(count, len(runs)), 'run')}")
    else:
        print_result(f"Nothing found in {plural(count, 'run')}.")
    sys.stdout.flush()


def findings_table(rows: list[dict[str, Any]], width: int) -> Table:
    """Return the table of one run's findings; ``width`` is that of the terminal, in letters."""
    from rich.table import Table
    from rich.text import Text

    names = [_name(row) for row in rows]
    texts = short_names(names, max(_MIN_NAME_WIDTH, int(width * _NAME_SHARE)))
    room = max(map(len, [_NAME_HEADER, *texts.values()]))
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  rule", no_wrap=True)
    table.add_column(_NAME_HEADER, no_wrap=True, max_width=room)
    table.add_column("steps", no_wrap=True)
    table.add_column("at", no_wrap=True)
    table.add_column("what")
    for row, name in zip(rows, names, strict=True):
        cells = [f"  {row['rule']}", texts[name], _steps(row), f"{row['points']} of {row['observed']}"]
        table.add_row(*map(Text, [*cells, row["message"]]))
    return table


def _name(row: dict[str, Any]) -> str:
    """Return the layer and, if it is not a tag, its family."""
    name = printable(row["layer"])
    return name if row["family"] in {*SCALAR_FAMILIES, SCALARS} else f"{name} ({row['family']})"


def _steps(row: dict[str, Any]) -> str:
    first, last = row["first_step"], row["last_step"]
    return f"{first}" if first == last else f"{first}…{last}"


def coverage_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield a line per run on the quantities that were examined: problems of others cannot be found."""
    by_run: dict[str, list[str]] = {}
    for row in diagnosis.coverage.iter_rows(named=True):
        by_run.setdefault(row["run"], []).append(_coverage_text(row))
    for number, (run, parts) in enumerate(by_run.items()):
        if number == _MAX_RUNS:
            yield f"… and {plural(len(by_run) - _MAX_RUNS, 'other run')}"
            return
        yield f"run {printable(run)!r} was judged by {', '.join(parts)}"


def _coverage_text(row: dict[str, Any]) -> str:
    at = plural(row["points"], "step")
    family = row["family"].replace("_", " ")
    if row["family"] in SCALAR_FAMILIES:
        return f"{plural(row['layers'], family, 'es' if family.endswith('s') else 's')} at {at}"
    return f"{family} of {plural(row['layers'], 'layer')} at {at} ({row['sources']})"
