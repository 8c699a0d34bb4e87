"""The tables that docs/from_training_to_csv.md makes, compared with a training in numpy."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy_network import predicted
from pages import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from numpy_network import Array, Step

PAGE = Page("docs/from_training_to_csv.md")
#: The first line of each table on the page.
HEADERS = [next(csv.reader(block.splitlines())) for block in PAGE.blocks("text")]
EPOCHS, RATE, BATCH = 3, 0.5, 8


def check_metrics(path: Path, steps: Sequence[Step], columns: list[str]) -> None:
    """Compare the means of each epoch."""
    table = pl.read_csv(path)
    assert table.columns == columns
    assert table["epoch"].to_list() == [0, 1, 2]
    for column, values in (("loss", [each.loss for each in steps]), ("accuracy", [each.accuracy for each in steps])):
        np.testing.assert_allclose(table[column], np.reshape(values, (EPOCHS, -1)).mean(axis=1), rtol=1e-4)


def check_gradients(
    path: Path, steps: Sequence[Step], names: Mapping[str, tuple[str, Callable[[Array], Array]]]
) -> None:
    """Compare every element; ``names`` has the parameter of each tag, and how its framework lays it out."""
    table = pl.read_csv(path)
    assert table.columns == HEADERS[1]
    assert table["tag"].unique().sort().to_list() == sorted(f"gradients/{name}" for name in names)
    for name, (parameter, layout) in names.items():
        rows = table.filter(tag=f"gradients/{name}")
        expected = np.concatenate([layout(each.gradients[parameter]).ravel() for each in steps])
        np.testing.assert_allclose(rows["value"], expected, rtol=1e-3, atol=1e-6)
        assert rows["step"].unique(maintain_order=True).to_list() == [*range(1, len(steps) + 1)]


def check_weights(path: Path, last: Step, names: Mapping[str, tuple[str, Callable[[Array], Array]]]) -> None:
    """Compare every element of the weights after the last step; ``names`` are as for gradients."""
    table = pl.read_csv(path, schema_overrides={"index": pl.String})
    assert table.columns == HEADERS[2]
    cells = {(row["layer"], row["parameter"], row["index"]): row["value"] for row in table.rows(named=True)}
    expected = {}
    for name, (parameter, layout) in names.items():
        layer, own = name.replace(".", "/").split("/")
        for index, value in np.ndenumerate(layout(last.weights[parameter])):
            expected[layer, own, ",".join(map(str, index))] = value
    assert cells.keys() == expected.keys()
    np.testing.assert_allclose([cells[key] for key in expected], list(expected.values()), rtol=1e-3, atol=1e-5)


def check_errors(folder: Path, framework: str, errors: Mapping[str, list[npt.NDArray[np.float64]]]) -> None:
    """Compare the errors of each sample, and their means over each batch; ``errors`` has them by layer and step."""
    table = pl.read_csv(folder / f"{framework}_errors.csv")
    means = pl.read_csv(folder / f"{framework}_batch_errors.csv")
    units = [name for name in table.columns if name.startswith("error_")]
    assert table.columns == [*HEADERS[3][:4], *units]
    assert means.columns == [*HEADERS[3][:3], *units]
    for layer, by_step in errors.items():
        for step, expected in enumerate(by_step, 1):
            found = units[: expected.shape[1]]
            rows = table.filter(layer=layer, batch=step)
            assert rows["epoch"].unique().to_list() == [(step - 1) // (len(by_step) // EPOCHS)]
            assert rows["sample"].to_list() == [*range(len(expected))]
            np.testing.assert_allclose(rows.select(found), expected, rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(
                means.filter(layer=layer, batch=step).select(found).row(0), expected.mean(axis=0), rtol=1e-3, atol=1e-6
            )


def check_predictions(path: Path, last: Step, x: npt.NDArray[np.float32]) -> None:
    """Compare the logits of all samples."""
    table = pl.read_csv(path)
    assert table.columns == HEADERS[4]
    logits = predicted(last.weights, x)
    np.testing.assert_allclose(table.select("class_0", "class_1", "class_2"), logits, rtol=1e-3, atol=1e-5)
    assert table["label"].to_list() == logits.argmax(axis=1).tolist()
