"""Names that are cut to the width of a column, and the columns of ``ls`` on narrow terminals."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from commands import run_here
from event_files import event, scalar, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from tb2csv.cli import ls
from tb2csv.cli.short_names import short_names

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "model/encoder/transformer/", "a" * 40]),
        st.text("ab/_1…~2", max_size=30),
        st.sampled_from(["", "/self_attention/kernel/gradient_norm", "b" * 40]),
    ),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(names=st.lists(NAMES, unique=True, max_size=40), width=st.integers(8, 60))
def test_short_names_fit_and_stay_apart(names: list[str], width: int) -> None:
    texts = short_names(names, width)
    assert set(texts) == set(names)
    assert len(set(texts.values())) == len(names)
    assert all(len(text) <= width for text in texts.values())
    assert all(texts[name] == name for name in names if len(name) <= width)


@pytest.mark.parametrize(
    ("names", "width", "expected"),
    [
        (["loss", "accuracy_of_all"], 12, ["loss", "accura…f_all"]),
        # They differ in the middle.
        (
            [f"model/block_{i}/self_attention/query/kernel" for i in (1, 2)],
            24,
            ["model/bloc…1…uery/kernel", "model/bloc…2…uery/kernel"],
        ),
        # One has nothing of its own.
        (
            ["gradients/dense/kernel", "gradients/dense_1/kernel"],
            13,
            ["gradie…kernel", "grad…_1…ernel"],
        ),
        # In two places.
        ([f"{a}{'x' * 20}{b}{'y' * 20}" for a in "12" for b in "34"], 12, None),
        # The text of a cut name is another name.
        (["start…23end", "startxxxxxxx23end"], 11, ["start…23end", None]),
    ],
)
def test_names_show_the_part_in_which_they_differ(
    names: list[str], width: int, expected: list[str | None] | None
) -> None:
    texts = [short_names(names, width)[name] for name in names]
    assert len(set(texts)) == len(names)
    for text, known in zip(texts, expected or [None] * len(names), strict=True):
        assert known is None or text == known


def test_names_that_differ_in_every_place_at_once_are_numbered() -> None:
    """There is one text that shows at most all four places; two letters are too few for it."""
    names = [f"{'x' * 9}{number:b}".rjust(30, "z") for number in range(40)]
    texts = short_names(names, 4).values()
    assert len(set(texts)) == 40
    assert max(map(len, texts)) <= 4


# ls


LAYERS = [f"model/encoder/block_{i}/self_attention/{part}/kernel/gradient_norm" for i in range(12) for part in "qkv"]


def printed(folder: Path, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines of ``ls`` on a terminal of this width."""
    monkeypatch.setattr(ls, "is_terminal", lambda stream: stream is sys.stdout)
    monkeypatch.setenv("COLUMNS", str(width))
    ran = run_here(capsys, "ls", folder)
    assert ran.status == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_ls_shows_different_names_for_different_tags(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [f"experiments/2026-11-{day:02}/resnet50_lr0.001_bs64/fold_{day % 3}/train" for day in range(1, 4)]
    for run in runs:
        write_run(tmp_path / run, *(event(scalar(tag, 1.0), step=7) for tag in [*LAYERS, "loss"]))
    header, *lines = printed(tmp_path, width, capsys, monkeypatch)
    assert max(map(len, (header, *lines))) <= width
    rows = [line.split() for line in lines]
    assert len(rows) == len(runs) * (len(LAYERS) + 1)
    assert len({row[0] for row in rows}) == len(runs)
    assert len({row[1] for row in rows}) == len(LAYERS) + 1
    assert {row[2] for row in rows} == {"scalars"}
    assert "loss" in {row[1] for row in rows}


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, ["run", "tag", "kind", "plugin_name", "points", "first_step", "last_step"]),
        (80, ["run", "tag", "kind", "points", "first_step", "last_step"]),
        (66, ["run", "tag", "kind", "points", "last_step"]),
        (50, ["run", "tag", "kind", "points"]),
        (30, ["run", "tag", "kind", "points"]),
    ],
)
def test_ls_leaves_columns_out_before_it_cuts_names(
    width: int,
    columns: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_run(tmp_path / "train", event(scalar("accuracy_of_validation", 1.0), step=3))
    header, line = printed(tmp_path, width, capsys, monkeypatch)
    assert header.split() == columns
    assert ("accuracy_of_validation" in line) == (width > 30)
