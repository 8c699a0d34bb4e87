"""Conversion of a log directory into a folder of tables."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tb2csv.decoders import TENSOR_STYLES, DecodeOptions, load_polars
from tb2csv.decoders.hparams import trials
from tb2csv.errors import DamagedError, OutputError, Tb2csvError
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.executors import map_runs
from tb2csv.layouts import HPARAMS_PATH, TreeLayout
from tb2csv.logdir import Logdir, Run, discover
from tb2csv.manifest import TableEntry, write_manifest
from tb2csv.report import Report, RunReport
from tb2csv.run_tables import RunTables
from tb2csv.runs import RunReader
from tb2csv.selection import Selection
from tb2csv.sinks.csv import CsvSink
from tb2csv.sinks.folder import TableFolder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tb2csv.time_series import TimeSeries


class _ConvertedRun(NamedTuple):
    report: RunReport
    tables: RunTables
    #: The last value of each scalar tag, written or not: metrics of hyperparameters may be of any.
    last_scalars: dict[str, float]
    series: list[TimeSeries]


def convert(  # noqa: PLR0913 - the options of the command
    logdir: str | os.PathLike[str] | Logdir,
    out: str | os.PathLike[str],
    *,
    selection: Selection | None = None,
    tensors: str = "elements",
    overwrite: bool = False,
    strict: bool = False,
    workers: int | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Report:
    """Write every value below ``logdir`` as CSV tables into the folder ``out``, and return the account of it.

    Args:
        logdir: a folder, a single event file or an fsspec URL; or what ``discover`` returned for it.
        out: where the tables go. It appears when it is whole; whatever fails, an earlier one stays as it was.
        selection: which runs, tags and kinds to write; all where it is None.
        tensors: how to lay out tensors: ``elements`` (a row for each), ``wide`` (a row for each step),
            ``base64`` or ``npy`` (files beside the table).
        overwrite: replace an ``out`` that holds an earlier conversion and nothing else.
        strict: raise DamagedError where any byte of any event file is damaged, and write nothing.
        workers: how many runs to work on at once; as many as there are processors where it is None.
        chunk_size: how many bytes of an event file to hold at once; records that are larger are held whole.
        on_bytes: is told of bytes of event files as they are passed, from any thread.

    Raises:
        LogdirError: there is nothing to convert.
        OutputError: ``out`` cannot be used, or could not be written.
        DamagedError: as said above.
        Tb2csvError: an option cannot be used, or no value is asked for.
    """
    if tensors not in TENSOR_STYLES:
        message = f"There is no way {tensors!r} to lay out tensors; give one of {', '.join(TENSOR_STYLES)}."
        raise Tb2csvError(message)
    selection = selection or Selection()
    folder = TableFolder(out, overwrite=overwrite)
    found = logdir if isinstance(logdir, Logdir) else discover(logdir)
    _check_apart(found, folder.out)
    runs = selection.choose_runs(found)
    layout = TreeLayout(run.name for run in runs)
    options = DecodeOptions(tensors)
    # One for each thread, so that small tables of many runs are written together.
    sinks: defaultdict[int, CsvSink] = defaultdict(lambda: CsvSink(folder))

    def convert_run(run: Run, passed: Callable[[int], None]) -> _ConvertedRun:
        reader = RunReader(run, selection=selection, options=options, chunk_size=chunk_size, on_bytes=passed)
        tables = RunTables(layout, folder, sinks[threading.get_ident()])
        report = tables.write(reader)
        scalars = [account for account in reader.series if account.series.kind == "scalars"]
        # A tag that changes its type has several series: the one that came last tells its last value.
        scalars.sort(key=lambda account: account.last_row)
        last = {account.series.tag: account.last_scalar for account in scalars}
        return _ConvertedRun(report, tables, last, [account.series for account in reader.series])

    with folder:
        try:
            converted = map_runs(convert_run, runs, workers=workers, on_bytes=on_bytes, meanwhile=load_polars)
            for sink in sinks.values():
                sink.flush()
            report = Report([each.report for each in converted], found.damage)
            if strict and report.damage:
                first = report.damage[0]
                where = f"{first.path} is damaged at byte {first.offset} ({first.detail})"
                message = f"{where}; without --strict the rest is converted."
                raise DamagedError(message)
            if report.values_read and report.values_filtered == report.values_read:
                selection.refuse_nothing(series for each in converted for series in each.series)
            entries = [entry for each in converted for _, entry in sorted(each.tables.entries.items())]
            entries += _write_hparams(folder, converted)
            report.shared_tables = len(entries) - sum(each.report.tables for each in converted)
            stored = {name for each in converted for name in each.tables.stored}
            write_manifest(folder, entries, stored, report)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            reason = error.strerror or error
            message = f"The tables could not be written to {folder.out} ({reason}); nothing was changed."
            raise OutputError(message) from error
    return report


def _check_apart(logdir: Logdir, out: Path) -> None:
    """Refuse to write into the log directory, or to replace what holds it."""
    if "://" in logdir.path:
        return
    inside = Path(logdir.path).resolve()
    if inside.is_file():
        inside = inside.parent
    target = out.resolve()
    if target == inside or inside in target.parents:
        message = f"{out} lies in the log directory, where the next conversion would find it; give a folder elsewhere."
        raise OutputError(message)
    if target in inside.parents and out.exists():
        message = f"{out} holds the log directory itself; give a folder elsewhere."
        raise OutputError(message)


def _write_hparams(folder: TableFolder, converted: list[_ConvertedRun]) -> list[TableEntry]:
    """Write the table of trials, for which the values of all runs were gathered; return its entry, if there are any."""
    contents = [
        (each.report.run, content)
        for each in converted
        for frame in each.tables.gathered.get("hparams", [])
        for content in frame["content"]
    ]
    if not contents:
        return []
    last_scalars = {each.report.run: each.last_scalars for each in converted}
    table = trials(contents, lambda run: last_scalars.get(run, {}))
    path = HPARAMS_PATH.with_name(f"{HPARAMS_PATH.name}.csv")
    with folder.open(path) as file:
        table.write_csv(file)
    return [TableEntry(str(path), None, None, "hparams", "hparams", table.schema, rows=len(table))]
