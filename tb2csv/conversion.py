"""Conversion of a log directory into a folder of tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tb2csv.errors import OptionError, OutputError, check_whole_number
from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.file_conversion import OneFile
from tb2csv.folder_conversion import ConversionSettings, FolderConversion
from tb2csv.layouts.output_options import OutputOptions
from tb2csv.local_paths import home_expanded, local_path
from tb2csv.logdir import logdir_of
from tb2csv.messages import advice
from tb2csv.runs.row_selection import RowSelection
from tb2csv.selection import select
from tb2csv.sinks.ledger import Ledger
from tb2csv.sinks.output_folder import OutputFolder
from tb2csv.sinks.updated_folder import UpdatedFolder
from tb2csv.sources.urls import is_url, is_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tb2csv.dask_cluster import DaskCluster
    from tb2csv.file_conversion import FileTarget
    from tb2csv.logdir import Logdir, LogdirSource
    from tb2csv.report import Report
    from tb2csv.selection import Patterns, Selection
    from tb2csv.sinks.table_folder import TableFolder


def convert(
    logdir: LogdirSource,
    out: FileTarget,
    *,
    run: Patterns = None,
    tag: Patterns = None,
    kind: Patterns = None,
    exclude_run: Patterns = None,
    exclude_tag: Patterns = None,
    selection: Selection | None = None,
    rows: RowSelection | None = None,
    layout: str | None = None,
    format: str | None = None,
    csv_dialect: str | None = None,
    header: str = "plain",
    on_duplicate: str = "last",
    tensors: str = "elements",
    merge_subruns: bool = False,
    time: Sequence[str] | None = None,
    relative_to: str = "run",
    x: str = "step",
    align: str | None = None,
    escape_formulas: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    workers: int | None = None,
    scheduler: Any = None,
    scheduler_file: str | os.PathLike[str] | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Write every value below ``logdir`` as tables to the folder or file ``out``, and return a report.

    If ``out`` is a folder with the tables of an earlier conversion of ``logdir`` with the same options, it is brought
    up to date: only new bytes are read, and ``report.update`` shows what changed. A name that ends like a file, such as
    ``losses.csv``, is one table of one kind; ``tables.zip`` is an archive of the folder.

    Args:
        logdir: a folder, an event file, an fsspec URL, several of them, what ``discover`` returned, or open frames.
        out: the output folder or file, or the URL of one in S3. A file ends in ``.csv``, ``.csv.gz``, ``.csv.zst``,
            ``.parquet``, ``.arrow``, ``.jsonl``, ``.xlsx`` or ``.zip``. Or a binary file to write one table to. If the
            conversion fails, an earlier ``out`` stays as it was.
        run: one or more shell patterns for run names; None selects all runs.
        tag: one or more shell patterns for tags; None selects all tags.
        kind: one or more names of kinds; None selects all kinds.
        exclude_run: shell patterns for runs to leave out.
        exclude_tag: shell patterns for tags to leave out.
        selection: a Selection to use for the filters that are not passed individually.
        rows: the rows to convert, by step and restart, and whether to add their sessions; all rows if None.
        layout: ``tree`` (a table for each run and tag), ``tags`` (for each tag, with a column ``run``), ``wide``
            (for each run, scalars side by side by step), ``long`` (for each kind, with columns ``run`` and ``tag``) or
            ``compare`` (for each tag, scalars with a column for each run; in a file, for each run and tag). By default
            ``tree``, or ``long`` for a file with one table.
        format: the format of the tables: ``csv``, ``csv.gz``, ``csv.zst``, ``parquet``, ``arrow``, ``jsonl``, or the
            name of an entry point of the group ``tb2csv.sinks``. By default that of the ending of ``out``, or ``csv``.
        csv_dialect: a dialect for one table in CSV that Excel opens: ``excel``, or ``excel-semicolon`` for countries
            with decimal commas.
        header: ``plain``, or ``tensorboard`` for scalars with the file names, the header and the numbers of
            TensorBoard's own download.
        on_duplicate: which of a tag's values for one step the layouts ``wide`` and ``compare`` keep: the ``last``, the
            ``first``, or ``error`` to raise an error.
        tensors: the layout of tensors: ``elements`` (a row for each element), ``wide`` (a row for each step),
            ``base64`` or ``npy`` (files next to the table).
        merge_subruns: merge the sub-runs that ``add_scalars`` and ``add_hparams`` of PyTorch and tensorboardX made into
            their parents, and add a column ``original_run`` with the run that each row was written to.
        time: the time columns: ``epoch`` (``wall_time``, in seconds since 1970; the default), ``iso`` (``time_utc``, to
            the microsecond; the default for Excel) and ``relative`` (``relative_time``, in seconds).
        relative_to: the origin of relative times: the first event of the ``run``, or the tag's ``first-step``.
        x: what the rows of the layout ``compare`` are by: ``step``, ``relative`` (seconds, see ``relative_to``) or
            ``wall`` (seconds since 1970).
        align: ``bin:N`` makes each row of the layout ``compare`` the mean of N steps or N seconds; times need it.
        escape_formulas: put an apostrophe before text in CSV that a spreadsheet would take for a formula.
        overwrite: replace a folder that contains an earlier conversion and nothing else, instead of updating it; or
            replace a file.
        strict: if any byte of an event file is damaged, raise DamagedError and write nothing.
        workers: the number of runs to convert at once; by default the number of processors, or more
            for a URL.
        scheduler: the address of a Dask scheduler, or a ``distributed.Client``; its workers convert the runs.
        scheduler_file: the file of a Dask scheduler, in place of its address.
        chunk_size: the number of bytes of an event file to hold at once; larger records are held whole.
        progress: called with the number of bytes read since the last call, from any thread.

    Raises:
        OptionError: an option has an unknown value, or two options exclude each other.
        LogdirError: there is nothing to convert.
        OutputError: ``out`` cannot be used or written, or is a file for one table and there are several.
        DamagedError: an event file is damaged, and ``strict`` is set.
        ClusterError: the cluster cannot be used, or was lost.
        Tb2csvError: nothing is selected, or a tag has several values for a step and ``on_duplicate`` is ``error``.
    """
    check_whole_number("chunk_size", chunk_size, 1)
    rows = RowSelection.of(rows)
    file = OneFile.of(out, format, csv_dialect)
    if layout is None:
        layout = file.content.layout if file and header == "plain" else "tree"
    if time is None:
        time = file.content.times if file and (layout != "compare" or x == "wall") else ("epoch",)
    settings = ConversionSettings(
        select(selection, run=run, tag=tag, kind=kind, exclude_run=exclude_run, exclude_tag=exclude_tag),
        rows,
        OutputOptions.of(
            layout=layout,
            format=file.format if file else format or "csv",
            header=header,
            on_duplicate=on_duplicate,
            time=time,
            relative_to=relative_to,
            escape_formulas=escape_formulas,
            merge_subruns=merge_subruns,
            sessions=rows.sessions,
            x=x,
            align=align,
            is_one_table=file is not None and file.content.is_one_table,
        ),
        tensors,
        strict,
        workers,
        chunk_size,
        progress,
        _cluster(scheduler, scheduler_file, workers),
    )
    if file:
        file.check(overwrite=overwrite)
        found = logdir_of(logdir)
        return file.convert(settings, found, settings.choose(found), overwrite=overwrite)
    assert isinstance(out, (str, os.PathLike))
    folder = table_folder(out, overwrite=overwrite)
    found = logdir_of(logdir)
    check_apart(found, out)
    runs = settings.choose(found)
    with folder:
        return FolderConversion(settings, folder).update(found, runs)


def _cluster(scheduler: Any, scheduler_file: str | os.PathLike[str] | None, workers: int | None) -> DaskCluster | None:
    """Return the cluster that is to convert, or None for this machine."""
    if scheduler is None and scheduler_file is None:
        return None
    if scheduler is not None and scheduler_file is not None:
        raise OptionError("A scheduler has either an address or a file", advice("leave out {}", "scheduler_file"))
    if workers is not None:
        raise OptionError("Dask decides how many workers a cluster has", advice("leave out {}", "workers"))
    from tb2csv.dask_cluster import DaskCluster  # few conversions need it

    return DaskCluster(scheduler, None if scheduler_file is None else home_expanded(scheduler_file))


def table_folder(out: str | os.PathLike[str], *, overwrite: bool) -> TableFolder:
    """Return the output folder: the one of an earlier conversion, unless it is replaced, or a new one."""
    if isinstance(out, str) and is_writable(out):
        from tb2csv.sinks.store_folder import StoreFolder

        return StoreFolder(out, overwrite=overwrite)
    if not overwrite:
        place = Path(os.path.realpath(local_path(out)))
        if Ledger.exists(place):
            return UpdatedFolder(place)
    if OneFile.of(out):
        message = f"{out} is the name of a file, but this makes a folder; choose another name, or end it with /."
        raise OutputError(message)
    return OutputFolder(out, overwrite=overwrite)


def check_apart(logdir: Logdir, out: str | os.PathLike[str]) -> None:
    """Check that an output is apart from the log directory, or from each of several.

    Raises:
        OutputError: ``out`` is in the log directory, or would replace a folder that contains it.
    """
    for path in logdir.paths:
        _check_apart(path, out)


def _check_apart(path: str, out: str | os.PathLike[str]) -> None:
    """Check that an output is apart from a log directory; each is a path or a URL."""
    if is_url(path) or (isinstance(out, str) and is_writable(out)):
        is_inside = f"{out}/".startswith(f"{path.rstrip('/')}/")
        contains = False  # objects that do not belong to an output are never replaced
    else:
        inside, place = Path(path).resolve(), local_path(out)  # a single event file may have outputs beside it
        target = place.resolve()
        is_inside = target == inside or inside in target.parents
        contains = target in inside.parents and place.exists()
    if is_inside:
        message = f"{out} is in the log directory, so the next conversion would read it; choose another place."
        raise OutputError(message)
    if contains:
        message = f"{out} contains the log directory; choose another place."
        raise OutputError(message)
