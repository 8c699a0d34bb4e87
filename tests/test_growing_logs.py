"""Logs that grow: what is read again, and what an interrupted reading leaves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from event_files import event, event_file, file_name, frames, simple_value, write_run

import tb2csv
from tb2csv.logdir import discover
from tb2csv.parallel import ahead
from tb2csv.tensorboard_plugin.run_counts import CountedRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event


def losses(start: int, stop: int, wall_time: float = 0.0) -> list[Event]:
    return [event(simple_value("loss", step), step=step, wall_time=wall_time + step) for step in range(start, stop)]


def refuse(_: int) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_refresh_takes_no_value_twice(tmp_path: Path) -> None:
    path = write_run(tmp_path, *losses(0, 10))
    read = tb2csv.open_logdir(tmp_path)
    with path.open("ab") as file:
        file.write(frames(losses(10, 15)))
    with pytest.raises(KeyboardInterrupt):
        read.refresh(refuse)
    read.refresh()
    assert read.scalars()["step"].to_list() == list(range(15))
    with path.open("ab") as file:
        file.write(frames(losses(15, 16)))
    read.refresh()
    assert read.scalars()["step"].to_list() == list(range(16))
    (source,) = read.report.to_dict()["sources"]
    assert (source["bytes"], source["record_bytes"]) == (path.stat().st_size, path.stat().st_size)


def test_an_interrupted_count_takes_no_value_twice(tmp_path: Path) -> None:
    write_run(tmp_path, *losses(0, 5))
    (run,) = discover(tmp_path).runs
    counted = CountedRun()
    with pytest.raises(KeyboardInterrupt):
        counted.refresh(run, refuse)
    counted.refresh(run, lambda _: None)
    assert [series.points for series in counted.series] == [5]


@pytest.mark.parametrize("began", [200.0, -200.0])
def test_a_file_that_was_empty_at_first_gets_its_place_when_it_is_not(tmp_path: Path, began: float) -> None:
    """PyTorch keeps the first events to itself for two minutes, so a new file is empty for a while."""
    write_run(tmp_path, *losses(0, 5, 1000.0), wall_time=1000.0)
    later = tmp_path / file_name(1)
    later.write_bytes(b"")
    read = tb2csv.open_logdir(tmp_path)
    assert len(read.scalars()) == 5
    later.write_bytes(event_file(losses(3, 7, 1000.0 + began), wall_time=1000.0 + began))
    read.refresh()
    rows = tb2csv.RowSelection(sessions=True)
    assert read.scalars(rows=rows).equals(tb2csv.open_logdir(tmp_path).scalars(rows=rows))
    assert read.scalars(rows=rows)["session"].n_unique() == 2


def test_the_second_chunk_is_made_while_the_first_is_used() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, each in enumerate(made):
            each.set()
            yield number

    for number in ahead(items(), lambda: True):
        assert all(each.wait(60) for each in made[: number + 2])


def test_a_chunk_is_made_when_it_is_needed_if_it_must_not_be_made_earlier() -> None:
    makers: list[int] = []

    def items() -> Iterator[int]:
        for number in range(5):
            makers.append(threading.get_ident())
            yield number

    for number in ahead(items(), lambda: len(makers) == 1):
        assert not number or len(makers) == number + 1
    own = threading.get_ident()
    assert [maker == own for maker in makers] == [True, False, True, True, True]


def test_a_single_chunk_needs_no_thread() -> None:
    threads = {threading.get_ident()}

    def items() -> Iterator[int]:
        threads.add(threading.get_ident())
        yield 0

    assert list(ahead(items(), lambda: False)) == [0]
    assert list(ahead(iter(()), lambda: True)) == []
    assert len(threads) == 1
