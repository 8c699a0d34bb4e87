"""What a log directory holds, without decoding payloads: its time series, and whether its bytes are sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tb2csv.event_files.event_file import DEFAULT_CHUNK_SIZE
from tb2csv.report import Report, RunReport
from tb2csv.runs.run_reader import RunReader
from tb2csv.runs.selected_runs import read_runs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tb2csv.logdir import Logdir, Run
    from tb2csv.runs.run_stats import RunStats
    from tb2csv.selection import Selection
    from tb2csv.time_series import SeriesStats


def list_series(
    logdir: str | os.PathLike[str] | Logdir,
    *,
    selection: Selection | None = None,
    workers: int | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> tuple[list[SeriesStats], Report]:
    """Return every time series that ``selection`` asks for, run by run in the order of first values, and the report.

    Points are counted from all records; nothing is sampled. Raises LogdirError where there is nothing to list, and
    Tb2csvError where nothing of it is asked for.
    """

    def count(run: Run, passed: Callable[[int], None]) -> RunStats:
        reader = RunReader(run, selection=selection, on_bytes=passed)
        reader.count()
        return reader.stats

    counted = read_runs(logdir, count, selection=selection, workers=workers, on_bytes=on_bytes, decodes=False)
    report = counted.report(stats.report() for stats in counted.results)
    report.refuse_other_files()
    return counted.selected_series(counted.results), report


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

    def read(run: Run, passed: Callable[[int], None]) -> RunReport:
        reader = RunReader(run, chunk_size=chunk_size, on_bytes=passed)
        return RunReport(run.name, sum(len(block) for block in reader.scan()), sources=reader.stats.files)

    checked = read_runs(logdir, read, selection=selection, workers=workers, on_bytes=on_bytes, decodes=False)
    report = checked.report(checked.results)
    report.refuse_other_files()
    return report
