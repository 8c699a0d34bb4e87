"""The wide table of layer errors: its rows are the tensors that were recorded, and nothing else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from commands import run_here, run_process
from event_files import bare_scalar, event, file_name, scalar, tensor, tensor_of, text, write_run
from tables import parse_rows

import tb2csv
import tb2csv.analysis.layer_errors as layer_errors_module
from tb2csv import layer_errors
from tb2csv.errors import LogdirError, OptionError, Tb2csvError
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

#: Errors of each layer, by batch.
Recorded = dict[int, dict[str, "npt.NDArray[Any]"]]


def recorded(*, batches: int = 5, size: int = 4, seed: int = 3) -> Recorded:
    """Return errors of three layers as [sample, unit]; the last batch is smaller."""
    rng = np.random.default_rng(seed)
    shapes = {"first": (3,), "conv": (2, 2, 3), "last": (2,)}
    return {
        batch: {
            layer: rng.normal(size=(size if batch < batches else 1, *shape)).astype(np.float32)
            for layer, shape in shapes.items()
        }
        for batch in range(1, batches + 1)
    }


def write(folder: Path, errors: Recorded, *, epoch_of: int | None = 2, **more: Any) -> Path:
    """Write errors as a recorder does: the tensors, their norms, and the epoch of each batch."""
    events = []
    for batch, layers in errors.items():
        for layer, array in layers.items():
            rows = array.reshape(len(array), -1) if array.ndim > 1 else array
            values = [
                tensor(f"layer_errors/{layer}", rows, "tb2csv"),
                scalar(f"layer_errors/{layer}/norm", np.linalg.norm(rows)),
            ]
            events.append(event(*values, step=batch))
        if epoch_of:
            events.append(event(scalar("batch/epoch", float((batch - 1) // epoch_of)), step=batch))
    write_run(folder, *events, **more)
    return folder


def rows_of(table: tb2csv.LayerErrorTable) -> list[dict[str, Any]]:
    pieces = list(table.pieces())
    assert all(piece.schema == table.schema for piece in pieces)
    return [row for piece in pieces for row in piece.iter_rows(named=True)]


def expected(errors: Recorded, width: int, *, epoch_of: int | None = 2) -> list[dict[str, Any]]:
    rows = []
    for batch, layers in errors.items():
        for layer, array in layers.items():
            for sample, numbers in enumerate(array.reshape(len(array), -1)):
                cells = {f"error_{unit}": None for unit in range(width)}
                cells |= {f"error_{unit}": float(number) for unit, number in enumerate(numbers)}
                epoch = (batch - 1) // epoch_of if epoch_of else None
                rows.append({"epoch": epoch, "batch": batch, "layer": layer, "sample": sample, **cells})
    return rows


@pytest.mark.usefixtures("scanner")
def test_every_batch_layer_and_sample_has_a_row(tmp_path: Path) -> None:
    errors = recorded()
    table = layer_errors(write(tmp_path, errors))
    assert rows_of(table) == expected(errors, 12)
    assert table.schema["error_11"] == pl.Float32
    assert list(table.schema)[:5] == ["epoch", "batch", "layer", "sample", "error_0"]


@pytest.mark.parametrize("cells", [1, 100, 500, 10_000])
def test_the_batch_size_does_not_change_rows(tmp_path: Path, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = recorded(batches=9)
    table = layer_errors(write(tmp_path, errors))
    monkeypatch.setattr(layer_errors_module, "_CELLS", cells)
    assert rows_of(table) == expected(errors, 12)
    assert len(list(table.pieces())) == {1: 9, 100: 8, 500: 3, 10_000: 1}[cells]


def test_errors_that_were_summed_up_have_no_samples(tmp_path: Path) -> None:
    errors = {batch: {layer: each.sum(0) for layer, each in of.items()} for batch, of in recorded().items()}
    flat = {batch: {layer: each.reshape(-1) for layer, each in of.items()} for batch, of in errors.items()}
    rows = rows_of(layer_errors(write(tmp_path, flat)))
    single = {batch: {layer: each[np.newaxis] for layer, each in of.items()} for batch, of in flat.items()}
    wanted = expected(single, 12)
    assert rows == [{name: cell for name, cell in row.items() if name != "sample"} for row in wanted]


def test_hand_written_tensors_keep_their_first_axis_and_flatten_the_others(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float64).reshape(2, 3, 2, 2)
    write_run(tmp_path, event(tensor("layer_errors/conv", array), tensor("layer_errors/sum", array[0, 0, 0]), step=7))
    rows = rows_of(layer_errors(tmp_path))
    assert [(row["epoch"], row["batch"], row["layer"], row["sample"]) for row in rows] == [
        (None, 7, "conv", 0),
        (None, 7, "conv", 1),
        (None, 7, "sum", None),
    ]
    assert [row["error_11"] for row in rows] == [11.0, 23.0, None]
    assert rows[2]["error_1"] == 1.0


def test_several_runs_have_a_column_of_their_own(tmp_path: Path) -> None:
    first, second = recorded(), recorded(seed=8, batches=2)
    write(tmp_path / "a", first)
    write(tmp_path / "b", second, epoch_of=1)
    write_run(tmp_path / "c", event(text("notes", "no errors"), step=1))
    rows = rows_of(layer_errors(tmp_path))
    wanted = [{"run": "a", **row} for row in expected(first, 12)]
    wanted += [{"run": "b", **row} for row in expected(second, 12, epoch_of=1)]
    assert rows == wanted
    alone = layer_errors(tmp_path, selection=Selection(runs=("b",)))
    assert rows_of(alone) == expected(second, 12, epoch_of=1)


def test_layers_and_batches_are_selected(tmp_path: Path) -> None:
    errors = recorded()
    write(tmp_path, errors)
    selection = Selection(tags=("layer_errors/*st",))
    rows = rows_of(layer_errors(tmp_path, selection=selection, min_step=2, max_step=4))
    chosen = {batch: {name: of[name] for name in ("first", "last")} for batch, of in errors.items() if 2 <= batch <= 4}
    assert rows == expected(chosen, 3)


def test_numbers_of_other_types_are_exact(tmp_path: Path) -> None:
    odd = np.array([[np.nan, np.inf, -0.0, 0.1]], np.float64)
    integers = np.array([[2**40, -1]], np.int64)
    half = np.array([[0.1, 3.0]], np.float16)
    values = {"odd": odd, "integers": integers, "half": half, "single": np.array([[0.1]], np.float32)}
    write_run(tmp_path, event(*(tensor(f"layer_errors/{name}", each) for name, each in values.items()), step=1))
    (table,) = layer_errors(tmp_path).pieces()
    for row, array in zip(table.iter_rows(named=True), values.values(), strict=True):
        cells = [row[f"error_{unit}"] for unit in range(array.shape[1])]
        np.testing.assert_array_equal(np.array(cells), array[0].astype(np.float64))
    assert np.signbit(table["error_2"][0])
    write_run(tmp_path / "complex", event(tensor("layer_errors/z", np.ones((1, 2), np.complex64)), step=1))
    with pytest.raises(Tb2csvError, match="Complex"):
        layer_errors(tmp_path / "complex")


def test_a_batch_that_was_recorded_twice_has_both_rows_and_its_last_epoch(tmp_path: Path) -> None:
    first, again = recorded(batches=3), recorded(batches=3, seed=9)
    write(tmp_path, first, name=file_name(1))
    write(tmp_path, {3: again[3]}, epoch_of=1, name=file_name(2), wall_time=50.0)
    rows = [row for row in rows_of(layer_errors(tmp_path)) if row["batch"] == 3 and row["layer"] == "last"]
    assert [row["error_0"] for row in rows] == [float(first[3]["last"][0, 0]), float(again[3]["last"][0, 0])]
    assert [row["epoch"] for row in rows] == [2, 2]


def test_undecodable_values_are_reported(tmp_path: Path) -> None:
    broken = tensor_of("DT_FLOAT", (2, 2), tensor_content=b"123")
    write_run(
        tmp_path,
        event(tensor("layer_errors/a", np.ones((1, 2), np.float32)), step=1),
        event(tensor("layer_errors/a", broken), step=2),
        event(tensor("layer_errors/a", np.array([[b"x", b"y"]])), step=3),
        event(tensor("layer_errors/a", np.ones((0, 2), np.float32)), bare_scalar("batch/epoch", 0.5), step=4),
        event(tensor("layer_errors/a", np.full((2, 1), 5.0, np.float32)), step=4),
    )
    table = layer_errors(tmp_path)
    assert [(row["epoch"], row["batch"], row["error_0"], row["error_1"]) for row in rows_of(table)] == [
        (None, 1, 1.0, 1.0),
        (0.5, 4, 5.0, None),
        (0.5, 4, 5.0, None),
    ]
    assert [entry.step for run in table.report.runs for entry in run.undecodable] == [2]


def test_a_log_without_layer_errors_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_run(tmp_path, event(scalar("layer_errors/a/norm", 1.0), text("layer_errors/b", "none"), step=1))
    with pytest.raises(LogdirError, match=r"record_layer_errors"):
        layer_errors(tmp_path)
    write(tmp_path / "run", recorded())
    with pytest.raises(Tb2csvError, match="'layer_errors/first'"):
        layer_errors(tmp_path, selection=Selection(tags=("layer_errors/frist",)))
    with pytest.raises(LogdirError, match="no selected layer errors"):
        layer_errors(tmp_path, min_step=1000)


# The command


def test_the_command_prints_the_table_or_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    errors = recorded(batches=2)
    write(tmp_path / "logs", errors)
    ran = run_here(capsys, "layer-errors", tmp_path / "logs")
    assert ran.status == 0
    rows = parse_rows(ran.stdout)
    wanted = expected(errors, 12)
    for row, cells in zip(rows, wanted, strict=True):
        assert list(row) == list(cells)
        for name, cell in cells.items():
            assert row[name] == ("" if cell is None else str(cell)) or np.float32(row[name]) == np.float32(cell)
    out = tmp_path / "out.csv"
    ran = run_here(capsys, "layer-errors", tmp_path / "logs", "-o", out)
    assert (ran.status, ran.stdout) == (0, f"{len(rows)} rows: see {out}\n")
    assert parse_rows(out.read_text()) == rows
    ran = run_here(capsys, "layer-errors", tmp_path / "logs", "-o", out)
    assert ran.status == 1
    assert "--overwrite" in ran.stderr
    ran = run_here(capsys, "layer-errors", tmp_path / "logs", "-o", tmp_path / "out.xlsx")
    assert ran.status == 2
    assert ".parquet" in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "out.csv"]


@pytest.mark.parametrize(
    ("ending", "read"),
    [
        (".csv.gz", pl.read_csv),
        (".csv.zst", pl.read_csv),
        (".parquet", pl.read_parquet),
        (".arrow", pl.read_ipc),
        (".jsonl", pl.read_ndjson),
    ],
)
def test_every_format_holds_the_same_rows(
    tmp_path: Path, ending: str, read: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = recorded()
    write(tmp_path / "logs", errors)
    monkeypatch.setattr(layer_errors_module, "_CELLS", 100)  # several pieces
    out = tmp_path / f"out{ending}"
    assert run_here(capsys, "layer-errors", tmp_path / "logs", "-o", out, "--quiet") == (0, "", "")
    table = read(io.BytesIO(out.read_bytes())).cast(layer_errors(tmp_path / "logs").schema)
    assert table.to_dicts() == expected(errors, 12)


@pytest.mark.slow
def test_the_command_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    ran = run_process("layer-errors", write(tmp_path, recorded()), "--tag", "*/last", "--max-step", "1")
    assert ran.status == 0
    assert ran.stdout.startswith('"epoch","batch","layer","sample","error_0","error_1"\n0,1,last,0,')
    assert len(ran.stdout.splitlines()) == 5


def test_rows_per_batch_are_means_over_the_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    errors = recorded()
    table = tb2csv.layer_errors(write(tmp_path, errors), per="batch")
    assert table.schema.names() == ["epoch", "batch", "layer", *(f"error_{unit}" for unit in range(12))]
    assert table.schema["error_0"] == pl.Float32
    rows = iter(rows_of(table))
    for batch, layers in errors.items():
        for layer, array in layers.items():
            row = next(rows)
            assert (row["epoch"], row["batch"], row["layer"]) == ((batch - 1) // 2, batch, layer)
            means = array.reshape(len(array), -1).astype(np.float64).mean(axis=0).astype(np.float32)
            assert [row[f"error_{unit}"] for unit in range(len(means))] == means.tolist()
    assert next(rows, None) is None
    done = run_here(capsys, "layer-errors", tmp_path, "--per", "batch", "--tag", "*/last", "--quiet")
    assert done.stdout.splitlines()[0] == '"epoch","batch","layer","error_0","error_1"'


def test_sums_have_no_mean(tmp_path: Path) -> None:
    sums = {1: {"one": np.ones(3, np.float32)}, 2: {"one": np.ones((2, 3), np.float32)}}
    with pytest.raises(Tb2csvError, match="no mean"):
        tb2csv.layer_errors(write(tmp_path, sums), per="batch")
    with pytest.raises(OptionError, match="per"):
        tb2csv.layer_errors(tmp_path, per="epoch")
