"""Each pair of blocks on the page for users of other tools reads the same values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import run_here
from test_docs import SAMPLE_LOGS, read

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = re.findall(r"^```python\n(.*?)^```$", read("docs/coming_from.md"), re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample_logs").symlink_to(SAMPLE_LOGS)
    monkeypatch.chdir(tmp_path)


def values_of(tool: str) -> tuple[Any, Any]:
    """Return what the blocks of a tool make: its values, and those of tb2csv."""
    place = next(place for place, block in enumerate(BLOCKS) if tool in block)
    theirs: dict[str, Any] = {}
    ours: dict[str, Any] = {}
    exec(BLOCKS[place], theirs)
    exec(BLOCKS[place + 1], ours)
    return theirs["theirs"], ours["ours"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of pandas, about how tbparse calls it
def test_tbparse_gives_the_same_rows() -> None:
    theirs, ours = values_of("tbparse")
    columns = ["tag", "step", "value"]
    assert len(theirs) == 26
    assert sorted(ours.select(columns).rows()) == sorted(theirs[columns].itertuples(index=False, name=None))


def test_an_event_accumulator_gives_the_same_values() -> None:
    theirs, ours = values_of("EventAccumulator")
    assert len(theirs) == 60
    assert ours.to_list() == theirs


def test_downloads_that_pandas_joins_are_the_wide_frame(capsys: pytest.CaptureFixture[str]) -> None:
    run_here(
        capsys, "convert", "sample_logs/keras", "downloads", "--header", "tensorboard", "--tag", "epoch_loss", "--quiet"
    )
    theirs, ours = values_of("pandas")
    assert list(ours.columns) == ["step", "train", "validation"]
    assert theirs.shape == (3, 2)
    np.testing.assert_array_equal(ours[["train", "validation"]], theirs.to_numpy())
