"""Updates of logs that were cut anywhere: after any number of them, every file is that of one conversion."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from growing import LOGS, convert_cut, tables_at_once
from slow_cases import quick_if
from tables import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from growing import GrowingLog

#: A conversion of each of these at every byte takes seconds.
SMALL = ["two_files_of_a_run", "a_second_file_with_an_earlier_time", "payload_of_record_2", "head_cut_in_record_2"]


def assert_cuts_do_not_matter(log: GrowingLog, all_cuts: Iterable[list[int]], folder: Path) -> None:
    expected = tables_at_once(log, folder / "at once")
    for cuts in dict.fromkeys(map(tuple, all_cuts)):
        out = convert_cut(log, list(cuts), folder / "-".join(map(str, cuts)))
        found = read_tree(out)
        assert found.keys() == expected.keys(), cuts
        for path, content in expected.items():
            assert found[path] == content, (cuts, path)


def random_cuts(log: GrowingLog, seed: str, count: int) -> list[list[int]]:
    """Return cuts for two steps and for three, in turn."""
    generator = random.Random(seed)
    return [sorted(generator.randrange(len(log)) for _ in range(1 + number % 2)) for number in range(count)]


@pytest.mark.parametrize("name", quick_if(lambda name: list(LOGS).index(name) % 2 == 0, LOGS))
def test_an_update_at_a_cut_equals_one_conversion(tmp_path: Path, name: str) -> None:
    log = LOGS[name]()
    assert_cuts_do_not_matter(log, random_cuts(log, name, 2)[1:], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOGS)
def test_cuts_do_not_matter(tmp_path: Path, name: str, scanner: str) -> None:
    """Each scanner meets other cuts."""
    log = LOGS[name]()
    assert_cuts_do_not_matter(log, random_cuts(log, f"{scanner} {name}", 3), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_cuts_at_every_byte_do_not_matter(tmp_path: Path, name: str) -> None:
    """Each output grows in steps of about a record, so that the outputs together are cut at every byte."""
    log = LOGS[name]()
    step = 37
    assert_cuts_do_not_matter(log, ([*range(first, len(log), step)] for first in range(step)), tmp_path)


@pytest.mark.parametrize("name", ["one_run_of_every_kind", "empty_files_that_get_a_first_event", "new_runs"])
def test_each_update_equals_a_conversion_of_the_bytes_so_far(tmp_path: Path, name: str) -> None:
    log = LOGS[name]()
    stops = [len(log) // 3, len(log) // 2, len(log) - 9]
    for count in range(1, len(stops) + 1):
        folder = tmp_path / str(count)
        part = type(log)(list(log.first(stops[count - 1])), log.options)
        assert read_tree(convert_cut(part, stops[: count - 1], folder)) == tables_at_once(part, folder / "at once")
