"""Small runs in batches: the same bytes in every table as from a reader for each run."""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from event_files import (
    bare_scalar,
    custom_scalars,
    cut,
    event,
    event_file,
    file_name,
    flip,
    histogram,
    hparams_end,
    hparams_start,
    image,
    scalar,
    simple_value,
    string_tensor,
    tensor,
    text,
    with_payload,
)
from slow_cases import quick_if
from tables import read_tree

from tb2csv import check, convert, ls, summary
from tb2csv.file_batches import IMPLEMENTATIONS
from tb2csv.runs import run_batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tb2csv.report import Report

_TAGS = ("loss", "Loss", "a/b", "é", "mixed")

#: Values of every kind; ``mixed`` may change its type within a run, and some values cannot be decoded.
_VALUES: tuple[Callable[[random.Random, str], Any], ...] = (
    lambda dice, tag: scalar(tag, dice.random()),
    lambda dice, tag: scalar(tag, dice.choice([0.0, np.nan, np.inf, 1e300]), "float64"),
    lambda dice, tag: scalar(tag, dice.randrange(100), "int64"),
    lambda dice, tag: bare_scalar(tag, dice.random()),
    lambda dice, tag: simple_value(tag, dice.random()),
    lambda dice, tag: tensor(tag, np.arange(dice.randrange(4), dtype=np.float32)),
    lambda dice, tag: tensor(tag, np.zeros((2, dice.randrange(3)), np.float32), "histograms"),
    lambda dice, tag: histogram(tag, np.array([[0.0, 1.0, dice.randrange(9)], [1.0, 2.0, 3.0]])),
    lambda dice, tag: text(tag, ["line\none", "é", 'a "quote"'][: dice.randrange(1, 4)]),
    lambda dice, tag: tensor(tag, string_tensor([b"\xff", b"text"][: dice.randrange(1, 3)], None), None),
    lambda dice, tag: tensor(tag, np.array(dice.random()), "scalars", content=bytes([dice.randrange(2)])),
    lambda dice, tag: image(tag, 1, 1, b"\x89PNG"),
    lambda dice, _: custom_scalars({"chart": ["loss"]}),
    lambda dice, _: hparams_start({"lr": dice.random()}),
    lambda dice, _: hparams_end(),
)


def _random_file(dice: random.Random, wall_time: float) -> bytes:
    values = dice.sample(_VALUES, dice.randrange(1, 4))
    tags = dice.sample(_TAGS, dice.randrange(1, 3))
    steps = sorted(dice.sample(range(20), 6))
    if dice.random() < 0.2:
        dice.shuffle(steps)
    events = [
        event(*(make(dice, tag) for make in values for tag in tags), step=step, wall_time=wall_time + step)
        for step in steps
    ]
    if dice.random() < 0.1:
        events.insert(3, event(step=2, wall_time=wall_time, session_log={"status": 1}))
    return event_file(events, wall_time=wall_time)


def _spoilt(dice: random.Random, data: bytes) -> bytes:
    """Return a file as it is, or damaged, unfinished, empty, or not an event file."""
    fate = dice.randrange(30)
    if fate == 0:
        return flip(data, dice.randrange(len(data)))
    if fate == 1:
        return cut(data, dice.randrange(len(data)))
    if fate == 2:
        return with_payload(data, 1, b"\xff" * 5)
    return {3: b"", 4: b"not an event file", 5: event_file([])}.get(fate, data)


def _write_log(folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(dice.randrange(6, 20)):
        run = folder / dice.choice(["", "sub/"]) / f"run{number}"
        run.mkdir(parents=True)
        for place in range(dice.choice([1, 1, 1, 2])):
            data = _spoilt(dice, _random_file(dice, 1000.0 + 100 * place))
            (run / file_name(place)).write_bytes(data)


#: All small runs in one batch, a few in each (read and written without the compiled functions), and each run alone.
_BATCHES: dict[str, dict[str, int]] = {
    "many": {"_UNITS_OF_WORKER": 1},
    "few": {"_UNITS_OF_WORKER": 1, "UNIT_RUNS": 3, "BATCH_BYTES": 2 * run_batch.SMALL_FILE},
    "single": {"SMALL_FILE": -1},
}


def _outcomes(outcome: Callable[[str], Any]) -> list[Any]:
    """Return the outcome with each kind of batch; its name is the argument."""
    outcomes = []
    for name, settings in _BATCHES.items():
        with pytest.MonkeyPatch.context() as patched:
            for setting, value in settings.items():
                patched.setattr(run_batch, setting, value)
            if name == "few":
                patched.delitem(IMPLEMENTATIONS, "compiled", raising=False)
            outcomes.append(outcome(name))
    return outcomes


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "wide": {"layout": "wide"},
    "long": {"layout": "long", "time": ("iso", "relative")},
    "parquet": {"format": "parquet"},
    "first-step": {"time": ("epoch", "relative"), "relative_to": "first-step", "tensors": "npy"},
    "selected": {"exclude_tag": "l*", "format": "jsonl"},
    "small chunks": {"chunk_size": 300},
}


@pytest.mark.parametrize(
    ("seed", "name"),
    quick_if(
        lambda *case: case in {(0, "plain"), (1, "long"), (2, "small chunks")},
        # What batches read does not depend on how it is written, so each option has some of the logs.
        [
            (seed, name)
            for seed in range(12)
            for place, name in enumerate(OPTIONS)
            if name == "plain" or seed % 4 == place % 4
        ],
    ),
)
@pytest.mark.slow
def test_batches_give_the_bytes_of_single_runs(tmp_path: Path, seed: int, name: str) -> None:
    _write_log(tmp_path / "log", seed)

    def outcome(batches: str) -> tuple[dict[str, bytes], dict[str, Any]] | str:
        try:
            report = convert(tmp_path / "log", tmp_path / batches, workers=1, **OPTIONS[name])
        except Exception as error:  # noqa: BLE001 - both ways fail alike
            return f"{type(error)} {error}".replace(batches, "OUT")
        return read_tree(tmp_path / batches), report.to_dict()

    many, few, single = _outcomes(outcome)
    assert many == single
    assert few == single


@pytest.mark.parametrize("seed", quick_if(lambda seed: seed < 24, range(20, 40)))
def test_batches_count_like_single_runs(tmp_path: Path, seed: int) -> None:
    _write_log(tmp_path, seed)

    def outcome(_: str) -> list[Any]:
        reports: list[Report] = []
        listing = ls(tmp_path, workers=1)
        reports += [listing.report, check(tmp_path, workers=1)]
        scalars = summary(tmp_path, workers=1, curve_points=5)
        reports.append(scalars.report)
        curves = [curve.tolist() for curve in scalars.curves]
        return [
            json.dumps([report.to_dict() for report in reports]),
            repr(listing.series),
            scalars.table.write_csv(),
            repr(curves),
        ]

    many, few, single = _outcomes(outcome)
    assert many == single
    assert few == single


@pytest.mark.parametrize("name", ["many", "few"])
def test_small_regular_runs_are_batched_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for setting, value in _BATCHES[name].items():
        monkeypatch.setattr(run_batch, setting, value)
    for number in range(9):
        events = [event(scalar("loss", number + step / 4), step=step, wall_time=1e9 + step) for step in range(number)]
        (tmp_path / "log" / f"run{number}").mkdir(parents=True)
        (tmp_path / "log" / f"run{number}" / file_name()).write_bytes(event_file(events))
    batches: list[int] = []
    group = run_batch.RunBatch.group
    monkeypatch.setattr(run_batch.RunBatch, "group", lambda batch: (batches.append(len(batch.runs)), group(batch))[1])
    report = convert(tmp_path / "log", tmp_path / "out", workers=1)
    assert sum(batches) == 9
    assert report.values_written == 36
    assert (tmp_path / "out/run3/scalars/loss.csv").read_text() == (
        "wall_time,step,value\n1000000000.0,0,3.0\n1000000001.0,1,3.25\n1000000002.0,2,3.5\n"
    )
