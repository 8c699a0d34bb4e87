"""How many scalars a reader finds in each of many event files, some of them damaged.

Run as `python kept_points.py READER LOGDIR FILE`: every run of the log directory has one event file. The counts are
written as JSON by run and tag. A run whose file a reader fails on, or reads for longer than five seconds, has none.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_PATIENCE = 5


def loader(run: Path) -> Counter[str]:
    """TensorBoard's loader of one file."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: Counter[str] = Counter()
    (path,) = run.iterdir()
    with contextlib.suppress(Exception):  # what came before the error counts
        for event in EventFileLoader(str(path)).Load():
            found.update(value.tag for value in event.summary.value)
    return found


def accumulator(run: Path) -> Counter[str]:
    """TensorBoard's EventAccumulator, which keeps everything."""
    from tensorboard.backend.event_processing.event_accumulator import DEFAULT_SIZE_GUIDANCE, EventAccumulator

    keep_all = dict.fromkeys(DEFAULT_SIZE_GUIDANCE, 0)
    reader = EventAccumulator(str(run), size_guidance=keep_all, purge_orphaned_data=False)
    with contextlib.suppress(Exception):
        reader.Reload()
    tags = reader.Tags()
    return Counter(
        {tag: len(reader.Scalars(tag)) for tag in tags["scalars"]}
        | {tag: len(reader.Tensors(tag)) for tag in tags["tensors"]}
    )


def tbparse(run: Path) -> Counter[str]:
    """tbparse, which reads TensorFlow 2's scalars as tensors."""
    from tbparse import SummaryReader

    found: Counter[str] = Counter()
    reader = SummaryReader(str(run), event_types={"scalars", "tensors"})
    for frame in (reader.scalars, reader.tensors):
        if len(frame):
            found.update(dict(frame["tag"].value_counts()))
    return found


def tb2csv(run: Path) -> Counter[str]:
    """tb2csv."""
    from tb2csv import Tb2csvError, ls

    found: Counter[str] = Counter()
    with contextlib.suppress(Tb2csvError):  # no event file is left
        for series in ls(run)[0]:
            found[series.tag] += series.points
    return found


READERS = {reader.__name__: reader for reader in (loader, accumulator, tbparse, tb2csv)}


def _stop(_: int, __: FrameType | None) -> NoReturn:
    raise TimeoutError


def main() -> None:
    """Count with one reader."""
    reader, logdir = READERS[sys.argv[1]], Path(sys.argv[2])
    logging.disable()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop)
    counts = {}
    for run in sorted(logdir.iterdir()):
        signal.alarm(_PATIENCE)
        try:
            counts[run.name] = {tag: int(count) for tag, count in reader(run).items()}
        except Exception:  # noqa: BLE001 - no exception is worth the other runs
            counts[run.name] = {}
        signal.alarm(0)
    Path(sys.argv[3]).write_text(json.dumps(counts), encoding="utf-8")


if __name__ == "__main__":
    main()
