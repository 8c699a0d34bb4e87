"""Against pandas and the csv module: what they read back from a table is what was logged, bit for bit."""

from __future__ import annotations

import csv
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from event_files import event, scalar, simple_value, text, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import read_rows, same_bits

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

#: The default of later versions of pandas, which warn if it is set.
pytestmark = pytest.mark.filterwarnings("ignore:The 'float_precision' argument is deprecated")

FLOAT32_PATTERNS = st.integers(0, 2**32 - 1).map(lambda bits: struct.unpack("<f", struct.pack("<I", bits))[0])
FLOAT64_PATTERNS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])


def read_by_pandas(path: Path, dtype: str) -> npt.NDArray[Any]:
    return pd.read_csv(path, dtype={"value": dtype}, float_precision="round_trip")["value"].to_numpy()


def read_by_csv(path: Path, dtype: str) -> npt.NDArray[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        cells = [row["value"] for row in csv.DictReader(file)]
    return np.array([int(cell) for cell in cells], dtype) if "int" in dtype else np.array(cells, float).astype(dtype)


READERS = [read_by_pandas, read_by_csv]


def log_and_convert(folder: Path, numbers: npt.NDArray[Any]) -> Path:
    dtype = numbers.dtype.name
    write_run(folder / "logs", *(event(scalar("x", number, dtype), step=i) for i, number in enumerate(numbers)))
    tb2csv.convert(folder / "logs", folder / "out")
    return folder / "out" / "scalars" / "x.csv"


@settings(max_examples=25, deadline=None)
@given(st.lists(FLOAT32_PATTERNS, min_size=1, max_size=40))
def test_every_float32_reads_back(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    expected = np.array(numbers, np.float32)
    path = log_and_convert(tmp_path_factory.mktemp("float32"), expected)
    for read in READERS:
        assert same_bits(read(path, "float32"), expected)


@settings(max_examples=25, deadline=None)
@given(st.lists(FLOAT64_PATTERNS, min_size=1, max_size=40))
def test_every_float64_reads_back(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    expected = np.array(numbers, np.float64)
    path = log_and_convert(tmp_path_factory.mktemp("float64"), expected)
    for read in READERS:
        assert same_bits(read(path, "float64"), expected)


def patterns(bits: int) -> npt.NDArray[Any]:
    """Return floats of random bit patterns, and the neighbours of every power of two and of ten."""
    dtype, integer = {32: (np.float32, np.uint32), 64: (np.float64, np.uint64)}[bits]
    random = np.random.default_rng(bits).integers(0, 2**bits, 20_000, integer, endpoint=False).view(dtype)
    limits = np.finfo(dtype)
    twos = np.ldexp(dtype(1), np.arange(limits.minexp - limits.nmant, limits.maxexp)).astype(dtype)
    tens = np.array([f"1e{exponent}" for exponent in range(-44 if bits == 32 else -320, 38)], dtype)
    exact = np.concatenate([twos, tens])
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, limits.max, limits.tiny, limits.smallest_subnormal], dtype)
    near = [exact, np.nextafter(exact, dtype(0)), np.nextafter(exact, dtype(np.inf)), -exact]
    return np.concatenate([random, *near, special])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.usefixtures("scanner")
@pytest.mark.slow
def test_many_floats_read_back(bits: int, read: Any, tmp_path: Path) -> None:
    expected = patterns(bits)
    assert same_bits(read(log_and_convert(tmp_path, expected), expected.dtype.name), expected)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int8", "uint32"])
def test_integers_read_back(dtype: str, read: Any, tmp_path: Path) -> None:
    limits = np.iinfo(dtype)
    expected = np.array([limits.min, limits.min + 1, 0, 1, limits.max - 1, limits.max], dtype)
    assert same_bits(read(log_and_convert(tmp_path, expected), dtype), expected)


def test_float32_as_float64_is_the_shortest_number_not_the_same(tmp_path: Path) -> None:
    """A float32 that is read as float64 is the intended number, 0.1, rather than 0.10000000149011612."""
    path = log_and_convert(tmp_path, np.array([0.1], np.float32))
    assert read_by_pandas(path, "float64").tolist() == [0.1]


@pytest.mark.usefixtures("scanner")
def test_times_and_steps_read_back(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    times = np.concatenate([random.uniform(1.6e9, 1.8e9, 500), random.integers(0, 2**62, 500).view(np.float64)])
    steps = random.integers(-(2**63), 2**63 - 1, 1000, endpoint=True)
    write_run(
        tmp_path / "logs",
        *(event(simple_value("x", 1), step=int(s), wall_time=float(t)) for s, t in zip(steps, times, strict=True)),
    )
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "scalars" / "x.csv", float_precision="round_trip")
    assert same_bits(table["wall_time"].to_numpy(), times)
    assert same_bits(table["step"].to_numpy(), steps)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_every_text_reads_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("text")
    write_run(folder / "logs", *(event(text("t", each), step=i) for i, each in enumerate(texts)))
    tb2csv.convert(folder / "logs", folder / "out")
    path = folder / "out" / "text" / "t.csv"
    assert [row["text"] for row in read_rows(path)] == texts
    if not any("\0" in each for each in texts):  # at which pandas' parser ends a cell
        assert pd.read_csv(path, keep_default_na=False, dtype={"text": str})["text"].tolist() == texts
