"""The plan of an export: the number of tables and rows, the size, and the equal command line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from tb2csv.file_conversion import OneFile
from tb2csv.layouts.layouts import LAYOUTS
from tb2csv.selection import literal_pattern
from tb2csv.tensorboard_plugin.export_sizes import size_of_export

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from tb2csv.tensorboard_plugin.event_sources import EventSources, LogFolder
    from tb2csv.tensorboard_plugin.export_request import ExportRequest
    from tb2csv.tensorboard_plugin.index_snapshot import IndexSnapshot
    from tb2csv.tensorboard_plugin.run_counts import CountedSeries

#: The output folder in the command.
_OUT: Final = "tensorboard-tables"


def plan_export(
    request: ExportRequest, index: IndexSnapshot, places: Sequence[int], sources: EventSources
) -> dict[str, Any]:
    """Return the tables, rows and bytes of an export, and its command line.

    The number of tables is exact unless sub-runs are merged, except for tables of undecodable payloads; rows and bytes
    are estimates.
    """
    chosen = [(index.runs[index.run[place]], index.series[place]) for place in places]
    size = size_of_export(request, chosen)
    file = request.one_file
    return {
        "tables": 1 if file and file.content.is_one_table else len(set(_tables(request, chosen))),
        "rows": size.rows,
        "bytes": size.bytes,
        "command": command_line(request, index, sources),
    }


def _tables(request: ExportRequest, chosen: Iterable[tuple[str, CountedSeries]]) -> Iterable[Hashable]:
    """Yield, for each table of the tree layout, the identity of the table in this layout that has its rows."""
    layout = LAYOUTS[request.chosen_layout]
    for _, series in chosen:
        for table, columns in series.tables:
            yield table.kind if table.kind == "hparams" else layout.identity(table, columns)


def command_line(request: ExportRequest, index: IndexSnapshot, sources: EventSources) -> str:
    """Return the ``tb2csv convert`` commands that write the same tables, quoted for a shell; one per log folder."""
    runs = request.runs
    file = request.one_file
    out = _OUT + (file.name if file else "")
    options = [
        *_chosen_names("tag", request.tags, index.tags),
        *(part for kind in request.kinds or () for part in ("--kind", kind)),
        *_other_options(request),
    ]
    if len(sources.folders) == 1 and sources.folders[0].name is None:
        return _command(sources.given or sources.folders[0].path, out, _chosen_names("run", runs, index.runs), options)
    lines = ["# TensorBoard has names of its own for these folders, so each has a command."]
    for number, folder in enumerate(sources.folders, 1):
        known = _below(folder, index.runs)
        if runs is None or set(known) & set(runs):
            wanted = None if runs is None else [name for run, name in known.items() if run in runs]
            place = f"{_OUT}/{folder.name or number}{file.name if file else ''}"
            lines.append(_command(folder.path, place, _chosen_names("run", wanted, list(known.values())), options))
    return "\n".join(lines)


def _below(folder: LogFolder, runs: Iterable[str]) -> dict[str, str]:
    """Return the runs of one folder and their names in it."""
    start = f"{folder.name}/" if folder.name else ""
    return {run: run.removeprefix(start) for run in runs if run.startswith(start)}


def _command(logdir: str, out: str, runs: list[str], options: list[str]) -> str:
    return shlex.join(["tb2csv", "convert", logdir, out, *runs, *options])


def _chosen_names(option: str, chosen: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return the options that select these names: by naming either them or the others, whichever is shorter."""
    wanted = set(known) if chosen is None else set(chosen)
    others = [name for name in known if name not in wanted]
    if not others:
        return []
    if len(others) < len(wanted):
        return [part for name in others for part in (f"--exclude-{option}", literal_pattern(name))]
    return [part for name in known if name in wanted for part in (f"--{option}", literal_pattern(name))]


def _usual_format(request: ExportRequest) -> str:
    """Return the format that the command has if it does not name one; that of a workbook cannot be named."""
    file = request.one_file
    if file is None:
        return "csv"
    named = OneFile.of(file.name)
    return request.format if named is None or named.content.is_format_fixed else named.format


def _other_options(request: ExportRequest) -> list[str]:
    given = [
        ("--layout", request.layout, "tree"),
        ("--format", request.format, _usual_format(request)),
        ("--tensors", request.tensors, "elements"),
        ("--restarts", request.restarts, "keep"),
    ]
    options = [part for name, value, usual in given if value != usual for part in (name, value)]
    if request.time != ("epoch",):
        options += ["--time", ",".join(request.time)]
    flags = {
        "--sessions": request.sessions,
        "--merge-subruns": request.merge_subruns,
        "--escape-formulas": request.escape_formulas,
    }
    return [*options, *(name for name, is_set in flags.items() if is_set)]
