"""What a log directory holds, without decoding payloads: its time series, and whether its bytes are sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.logdir import Logdir, Run, discover
from tb2csv.parallel import map_runs
from tb2csv.report import Report, RunReport
from tb2csv.runs.run_reader import RunReader
from tb2csv.selection import Selection

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tb2csv.runs.decoded_rows import SeriesAccount


def list_series(
    logdir: str | os.PathLike[str] | Logdir,
    *,
    selection: Selection | None = None,
    workers: int | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> tuple[list[SeriesAccount], Report]:
    """Return every time series that ``selection`` asks for, run by run in the order of first values, and the report.

    Points are counted from all records; nothing is sampled. Raises LogdirError where there is nothing to list, and
    Tb2csvError where nothing of it is asked for.
    """
    selection = selection or Selection()
    found = logdir if isinstance(logdir, Logdir) else discover(logdir)

    def count(run: Run, passed: Callable[[int], None]) -> tuple[list[SeriesAccount], RunReport]:
        reader = RunReader(run, selection=selection, on_bytes=passed)
        reader.count()
        accounts = [account for account in reader.series if account.points]
        return accounts, RunReport(run.name, reader.values_read, sources=reader.files, empty=reader.empty)

    counted = map_runs(count, selection.choose_runs(found), workers=workers, on_bytes=on_bytes)
    report = Report([report for _, report in counted], found.damage)
    report.refuse_other_files()
    everything = [account for accounts, _ in counted for account in accounts]
    chosen = [account for account in everything if account.is_selected]
    if everything and not chosen:
        selection.raise_no_match(account.series for account in everything)
    return chosen, report


def check(
    logdir: str | os.PathLike[str] | Logdir,
    *,
    selection: Selection | None = None,
    workers: int | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Report:
    """Read every record of every event file, verify its checksums, and return the account of all bytes.

    Writes nothing and decodes nothing. Raises LogdirError where there is nothing to check.
    """
    selection = selection or Selection()
    found = logdir if isinstance(logdir, Logdir) else discover(logdir)

    def read(run: Run, passed: Callable[[int], None]) -> RunReport:
        reader = RunReader(run, chunk_size=chunk_size, on_bytes=passed)
        return RunReport(run.name, sum(len(block) for block in reader.scan()), sources=reader.files)

    reports = map_runs(read, selection.choose_runs(found), workers=workers, on_bytes=on_bytes)
    report = Report(reports, found.damage)
    report.refuse_other_files()
    return report
