"""Against tbparse, which reads through TensorBoard's EventAccumulator: the scalars that it reads correctly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tables import read_columns, read_index, same_bits
from tbparse import SummaryReader

import tb2csv

SAMPLE_LOGS = Path(__file__).parents[1] / "sample_logs"


#: It warns of pandas.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("log", "event_type"),
    {
        "torch": "scalars",
        "tensorboardx": "scalars",
        "tf1": "scalars",
        "restarted": "scalars",
        "unfinished": "scalars",
        # The scalars of TensorFlow 2 are tensors for it; in ``tf2`` it fails on others, of bfloat16.
        "keras": "tensors",
        "tf2_hparams": "tensors",
    }.items(),
)
def test_scalars_equal_those_of_tbparse(log: str, event_type: str, tmp_path: Path) -> None:
    tb2csv.convert(SAMPLE_LOGS / log, tmp_path / "out")
    paths = {(row["run"], row["tag"]): row["path"] for row in read_index(tmp_path / "out") if row["kind"] == "scalars"}
    reader = SummaryReader(
        str(SAMPLE_LOGS / log), event_types={event_type}, extra_columns={"dir_name", "wall_time"}, pivot=False
    )
    series = list(reader.get_events(event_type).groupby(["dir_name", "tag"], sort=False))
    compared = 0
    for (run, tag), frame in series:
        if (run or ".", tag) not in paths and event_type == "tensors":
            continue  # a histogram or text
        columns = read_columns(tmp_path / "out", paths[run or ".", tag])
        order = np.argsort(columns["step"], kind="stable")  # it sorts by step, which ours does not
        assert same_bits(columns["step"][order], frame["step"].to_numpy(np.int64))
        assert same_bits(columns["wall_time"][order], frame["wall_time"].to_numpy(np.float64))
        assert same_bits(columns["value"][order], frame["value"].to_numpy(np.float32))
        compared += 1
    new_style = 2  # of PyTorch, which are tensors for it
    assert compared == len(paths) - (new_style if log == "torch" else 0)
