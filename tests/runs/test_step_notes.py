"""Notes on steps that do not rise within a file: they repeat, go back, or are all 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from event_files import (
    event,
    file_name,
    hparams_start,
    legacy_histogram,
    scalar,
    simple_value,
    text,
    write_run,
)

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path


def notes_of(folder: Path, chunk_size: int = 1 << 20, **options: Any) -> list[tb2csv.Note]:
    report = tb2csv.convert(folder / "logs", folder / "out", overwrite=True, chunk_size=chunk_size, **options)
    return report.notes


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("chunk_size", [64, 1 << 20])
def test_steps_that_rise_need_no_note(tmp_path: Path, chunk_size: int) -> None:
    events = [event(scalar("a", 1), simple_value("b", 2), text("c", "x"), step=step) for step in (-3, 0, 1, 7)]
    write_run(tmp_path / "logs", *events, event(hparams_start({"lr": 1})), event(hparams_start({"lr": 2})))
    assert notes_of(tmp_path, chunk_size) == []


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("chunk_size", [64, 1 << 20])
def test_values_of_one_tag_and_step_get_one_note(tmp_path: Path, chunk_size: int) -> None:
    """As Keras 3.8 writes the weights of three layers."""
    layers = [legacy_histogram(f"{name}/histogram", [1, 2], [3, 4]) for name in ("kernel", "bias") * 3]
    write_run(tmp_path / "logs", *(event(*layers, scalar("loss", 1), step=step) for step in range(4)))
    (note,) = notes_of(tmp_path, chunk_size)
    counts = (("kernel/histogram", 8), ("bias/histogram", 8))
    assert note == tb2csv.Note("steps_repeated", ".", count=16, counts=counts)
    assert "8 of tag 'kernel/histogram', 8 of tag 'bias/histogram'" in str(note)


def test_a_note_counts_the_tags_that_it_does_not_name(tmp_path: Path) -> None:
    values = [scalar(f"tag{number}", 1) for number in range(5)]
    write_run(tmp_path / "logs", event(*values, step=1), event(*values, step=1))
    (note,) = notes_of(tmp_path)
    assert len(note.counts) == 5
    assert "and 2 more" in str(note)


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("chunk_size", [64, 1 << 20])
def test_steps_that_go_back_within_a_file_get_one_note(tmp_path: Path, chunk_size: int) -> None:
    write_run(tmp_path / "logs", *(event(scalar("a", 1), scalar("b", 1), step=number % 10) for number in range(30)))
    (note,) = notes_of(tmp_path, chunk_size)
    assert note == tb2csv.Note("steps_back", ".", count=4, counts=(("a", 2), ("b", 2)))
    assert "restarts" in str(note)


def test_rows_that_supersede_others_leave_no_note(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", *(event(scalar("a", 1), step=number % 10) for number in range(30)))
    assert notes_of(tmp_path, rows=tb2csv.RowSelection(restarts="supersede")) == []
    (note,) = notes_of(tmp_path, rows=tb2csv.RowSelection(min_step=5))
    assert note.kind == "steps_back"


def test_a_marked_restart_has_its_own_note(tmp_path: Path) -> None:
    events = [event(scalar("a", 1), step=step) for step in (1, 2, 3)]
    write_run(tmp_path / "logs", *events, event(step=2, session_log={"status": 1}), *events[1:])
    (note,) = notes_of(tmp_path)
    assert note == tb2csv.Note("restarted", ".", count=2)


def test_a_restart_in_a_second_file_has_its_own_note(tmp_path: Path) -> None:
    for number, wall_time in enumerate((10.0, 20.0)):
        events = [event(scalar("a", 1), step=step, wall_time=wall_time + 1) for step in range(3)]
        write_run(tmp_path / "logs", *events, name=file_name(number), wall_time=wall_time)
    (note,) = notes_of(tmp_path)
    assert note == tb2csv.Note("restarted", ".", count=2)


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("chunk_size", [64, 1 << 20])
def test_values_without_steps_get_one_note(tmp_path: Path, chunk_size: int) -> None:
    write_run(tmp_path / "logs", *(event(scalar("a", 1), text("t", "x")) for _ in range(50)), event(scalar("once", 1)))
    (note,) = notes_of(tmp_path, chunk_size)
    assert note == tb2csv.Note("steps_missing", ".", count=100, counts=(("a", 50), ("t", 50)))


def test_tags_that_are_left_out_get_no_note(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", *(event(scalar("a", 1), scalar("b", step), step=step // 2) for step in range(4)))
    (note,) = notes_of(tmp_path, selection=tb2csv.Selection(tags=("b",)))
    assert note.counts == (("b", 2),)
