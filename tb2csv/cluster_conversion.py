"""The conversion of runs on a cluster: batches are handed out, and the files of one attempt at each are taken over."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tb2csv.conversion_tasks import WANTED, ConversionTask, cut, result_of_task, run_task
from tb2csv.errors import OutputError
from tb2csv.messages import Option, advice
from tb2csv.sinks.new_folder import NewFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tb2csv.dask_cluster import DaskCluster
    from tb2csv.layouts.converted_run import ConvertedRun
    from tb2csv.layouts.output import Output
    from tb2csv.logdir import EventFile, Run
    from tb2csv.run_conversion import LogRuns
    from tb2csv.runs.reading_options import ReadingOptions

#: The maximum number of runs of a store that a task reads at once; several tasks may share a worker.
_THREADS: Final = 8

#: How long to wait for tasks that are no longer wanted to end, in seconds.
_SECONDS_TO_END: Final = 10.0


def convert_on_cluster(
    cluster: DaskCluster,
    runs: LogRuns,
    reading: ReadingOptions,
    output: Output,
    progress: Callable[[int], None],
) -> dict[str, ConvertedRun]:
    """Convert runs on a cluster, and return the results by run.

    Workers write into folders that all of them and this process see. Nothing of an attempt counts before this process
    has moved its files, so a batch whose worker is lost is done again, and no row is lost or written twice.

    Args:
        cluster: the cluster.
        runs: the runs.
        reading: which series and rows to read, and how to decode them.
        output: the output, which must be new.
        progress: called with the number of bytes read since the last call.

    Raises:
        OutputError: the output is an earlier conversion, or workers cannot write there.
        LogdirError: workers cannot see the log directory.
        ClusterError: the workers or the scheduler were lost.
    """
    folder = output.folder
    if not isinstance(folder, NewFolder):
        raise OutputError(
            f"{folder.out} was converted earlier, and a cluster cannot bring it up to date",
            advice("leave out {}", "scheduler"),
            advice("{} to convert everything anew", Option("overwrite", value=True)),
        )
    attempts = folder.attempts()
    wanted = Path(attempts) / WANTED
    wanted.touch()
    tasks = list(_tasks(runs, reading, output, attempts))
    done: dict[str, ConvertedRun] = {}
    adopted: set[str] = set()
    try:
        packed = [pickle.dumps(task) for task in tasks]
        for number, answer in cluster.run(
            run_task.__module__, run_task.__name__, packed, lambda number: _described(tasks[number].names)
        ):
            result = result_of_task(answer)
            folder.adopt(result.place)
            output.held.adopt(result.rows)
            adopted.add(Path(result.place).name)
            lost = {entry.path: entry.lost_cells for each in result.converted for entry in each.entries}
            output.tree_writer().lost_cells.update(lost)
            done.update(zip(tasks[number].names, result.converted, strict=True))
            progress(sum(file.bytes for each in result.converted for file in each.report.sources))
    finally:
        wanted.unlink()
        if len(done) < len(runs.by_name):
            _wait_for_end(attempts, adopted)
    return done


def _tasks(runs: LogRuns, reading: ReadingOptions, output: Output, attempts: str) -> Iterator[ConversionTask]:
    names = list(runs.by_name)
    costs = [sum(_size(file) for run in runs.by_name[name] for file in run.files) for name in names]
    for batch in cut(names, costs):
        part = runs.part(batch)
        located = {name: [_located(run) for run in merged] for name, merged in part.by_name.items()}
        yield ConversionTask(
            part._replace(by_name=located),
            reading,
            output.options,
            output.paths.part(batch),
            attempts,
            _THREADS if any(run.files[0].source.is_remote for run in located[batch[0]]) else 1,
        )


def _located(run: Run) -> Run:
    """Return a run whose local files have absolute paths, because workers have other current directories."""
    if run.files[0].source.is_remote:
        return run
    return run._replace(files=tuple(file._replace(location=os.path.abspath(file.location)) for file in run.files))


def _size(file: EventFile) -> int:
    """Return the size of a file in bytes, as far as it is known."""
    if file.source.is_remote:
        return file.listed.size or 0
    try:
        return file.source.version(file.location).size or 0
    except OSError:
        return 0


def _described(names: Sequence[str]) -> str:
    return f"the run {names[0]}" if len(names) == 1 else f"the {len(names)} runs from {names[0]} to {names[-1]}"


def _wait_for_end(attempts: str, adopted: set[str]) -> None:
    """Wait until running tasks have noticed that they are not wanted, and have removed their folders."""
    until = time.monotonic() + _SECONDS_TO_END
    while {place.name for place in Path(attempts).iterdir()} - adopted and time.monotonic() < until:
        time.sleep(0.05)
