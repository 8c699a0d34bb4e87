"""Tasks of a conversion: batches of runs, as plain data that another process converts.

Tasks and results are pickled and small. Each attempt at a task writes into a folder of its own; the rows of tables that
are joined with those of other runs stay in files there. So a task can be done several times, and the process that
handed it out takes the files of one attempt.
"""

from __future__ import annotations

import pickle
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from tb2csv.errors import LogdirError, OutputError
from tb2csv.late_modules import load_polars
from tb2csv.layouts.output import Output
from tb2csv.parallel import map_runs
from tb2csv.run_conversion import RunConversion
from tb2csv.sinks.attempt_folder import AttemptFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tb2csv.layouts.converted_run import ConvertedRun
    from tb2csv.layouts.output_options import OutputOptions
    from tb2csv.layouts.table_paths import TreePaths
    from tb2csv.run_conversion import LogRuns
    from tb2csv.runs.reading_options import ReadingOptions
    from tb2csv.sinks.row_buffer import HeldRows

_Item = TypeVar("_Item")

#: The file that exists in the folder of attempts as long as their results are wanted.
WANTED: Final = "wanted"

#: How often a task looks for the file, in seconds.
_SECONDS_BETWEEN_LOOKS: Final = 0.5

#: The maximum number of batches of a conversion. Each takes some 10 ms to hand out.
_BATCHES: Final = 100

#: The minimum cost of a batch, and the cost of a run besides its bytes, in bytes of event files that take as long.
_LEAST_COST: Final = 4 << 20
_RUN_COST: Final = 16 << 10


class NotWantedError(Exception):
    """Raised in a task to end it, because its result is no longer wanted."""


@dataclass(frozen=True, slots=True)
class ConversionTask:
    """A batch of runs to convert.

    Attributes:
        runs: the runs with their files.
        reading: which series and rows to read, and how to decode them.
        options: the options for the tables.
        paths: the paths of the tables of these runs.
        attempts: the folder for the folders of attempts, which all processes see under this path.
        threads: how many runs to read at once.
    """

    runs: LogRuns
    reading: ReadingOptions
    options: OutputOptions
    paths: TreePaths
    attempts: str
    threads: int

    @property
    def names(self) -> list[str]:
        """The names of the runs."""
        return list(self.runs.by_name)


class ConvertedBatch(NamedTuple):
    """The result of a task."""

    #: The folder of the attempt.
    place: str
    converted: list[ConvertedRun]
    #: The rows of tables that are joined with those of other runs, in files of the attempt.
    rows: HeldRows


def convert_batch(task: ConversionTask) -> ConvertedBatch:
    """Convert the runs of a task into a new folder.

    Raises:
        OutputError: the folder of attempts cannot be seen or written here.
        LogdirError: the log directory cannot be seen here.
        NotWantedError: the result is no longer wanted.
    """
    _check_storage(task)
    watch = _Watch(task.attempts)
    with AttemptFolder(f"{task.attempts}/{secrets.token_hex(8)}") as folder:
        output = Output(folder, task.paths, task.options)
        conversion = RunConversion(task.runs, task.reading, output)
        units = map_runs(
            conversion.convert_unit,
            conversion.units(task.names, task.threads),
            workers=task.threads,
            report_bytes=watch.look,
            warm_up=load_polars,
        )
        lost_cells, _ = output.flush()
        converted = {each.report.run: each for unit in units for each in unit}
        for each in converted.values():
            each.set_lost_cells(lost_cells)
        return ConvertedBatch(str(folder.out), [converted[name] for name in task.names], output.held.spill())


def run_task(packed: bytes) -> bytes:
    """Return the pickled result of a pickled task, or the exception that it raised."""
    try:
        return pickle.dumps(convert_batch(pickle.loads(packed)))
    except Exception as error:  # noqa: BLE001 - the process that wants the result raises it
        return pickle.dumps(error)


def result_of_task(answer: bytes) -> ConvertedBatch:
    """Return the result of a task from what ``run_task`` returned, or raise its exception."""
    result = pickle.loads(answer)
    if not isinstance(result, ConvertedBatch):
        raise result
    return result


def cut(items: Sequence[_Item], costs: Sequence[int]) -> Iterator[Sequence[_Item]]:
    """Yield the items in order, in batches that cost about the same; ``costs`` are bytes of event files."""
    wholes = [cost + _RUN_COST for cost in costs]
    limit = max(_LEAST_COST, -(-sum(wholes) // _BATCHES))
    start = total = 0
    for stop, cost in enumerate(wholes):
        if stop > start and total + cost > limit:
            yield items[start:stop]
            start, total = stop, 0
        total += cost
    yield items[start:]


class _Watch:
    """Ends a task soon after its result is no longer wanted."""

    def __init__(self, attempts: str) -> None:
        self._file = Path(attempts) / WANTED
        self._next = 0.0

    def look(self, _: int) -> None:
        """Raise NotWantedError if the file is gone; called between parts of the work."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS_BETWEEN_LOOKS
            if not self._file.exists():
                raise NotWantedError


def _check_storage(task: ConversionTask) -> None:
    """Raise an error if this machine does not see the files that the others see."""
    host = socket.gethostname()
    if not Path(task.attempts).is_dir():
        message = (
            f"The worker on {host} does not see {task.attempts}; choose an output folder on storage that all workers "
            "and this machine share under the same path."
        )
        raise OutputError(message)
    files = [file for runs in task.runs.by_name.values() for run in runs for file in run.files]
    # A single file may have been removed, but not all of a batch.
    if not any(file.source.is_remote or Path(file.location).exists() for file in files):
        message = (
            f"The worker on {host} does not see {files[0].location}; the log directory must be a URL, or on storage "
            "that all workers share under the same path."
        )
        raise LogdirError(message)
