"""Damaged copies of the logs of all writers: nothing but damaged records is lost, and nothing is invented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from log_mutations import Mutation, check, clean_copy, content_of, rows_in, sources

if TYPE_CHECKING:
    from pathlib import Path

FILES = sources()


@pytest.mark.parametrize("first", range(0, 100, 50))
def test_rows_of_untouched_records_are_read_and_no_others(first: int, tmp_path: Path) -> None:
    assert [problem for seed in range(first, first + 50) if (problem := check(FILES, seed, tmp_path)[0])] == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 1000, 300))
def test_rows_of_untouched_records_are_read_from_many_copies(first: int, tmp_path: Path) -> None:
    assert [problem for seed in range(first, first + 300) if (problem := check(FILES, seed, tmp_path)[0])] == []


def test_the_logs_are_those_of_all_writers() -> None:
    assert len(FILES) >= 30
    assert {name.split("/")[0] for name, *_ in FILES} >= {"keras", "restarted", "tensorboardx", "tf1", "tf2", "torch"}


def test_a_copy_that_is_not_damaged_has_all_records(tmp_path: Path) -> None:
    source = next(each for each in FILES if each.name.startswith("keras/train/"))
    mutation = Mutation(source, seed=0)
    mutation.data, mutation.origin = mutation.source.bytes_and_places()
    assert clean_copy(mutation, []) == source.data
    assert rows_in(content_of(tmp_path, source.data)) > 0


def test_a_lost_row_and_an_invented_one_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = next(seed for seed in range(1000) if check(FILES, seed, tmp_path)[1] > 10)
    monkeypatch.setattr("log_mutations.clean_copy", lambda mutation, _: mutation.source.data * 2)
    assert "lost" in check(FILES, seed, tmp_path)[0]
    monkeypatch.setattr("log_mutations.clean_copy", lambda mutation, _: mutation.source.data[:1000])
    assert "invented" in check(FILES, seed, tmp_path)[0]
