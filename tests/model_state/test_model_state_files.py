"""States of files that need no framework, their restoring, and their differences."""

from __future__ import annotations

import json
import math
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import run_here
from event_files import event, histogram, scalar, tensor, tensor_of, write_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorboard.compat.proto.types_pb2 import DataType

from tb2csv.errors import StateError
from tb2csv.event_files.scanners import SCANNERS
from tb2csv.model_state import STYLES, diff_states, export_state, read_state, restore_file, state_of
from tb2csv.state_from_logs import recorded_state

ARRAYS = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(),
        hnp.unsigned_integer_dtypes(),
        hnp.floating_dtypes(sizes=(16, 32, 64)),
        hnp.complex_number_dtypes(sizes=(64, 128)),
        hnp.unicode_string_dtypes(max_len=5),
    ),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
)


@pytest.mark.parametrize("style", STYLES)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrays=st.lists(ARRAYS, min_size=1, max_size=3))
@pytest.mark.slow
def test_arrays_go_through_a_table_into_another_file(arrays: list[np.ndarray], style: str, tmp_path: Path) -> None:
    first, second, out = (tmp_path / f"{name}.npz" for name in "abc")
    np.savez(first, *arrays)
    np.savez_compressed(second, *map(np.zeros_like, arrays))
    export_state(first, tmp_path / "s.csv", style=style, overwrite=True)
    assert restore_file(tmp_path / "s.csv", second, out, overwrite=True) == []
    with np.load(first) as old, np.load(out) as new:
        for name in old:
            assert new[name].dtype == old[name].dtype
            assert new[name].tobytes() == old[name].tobytes()


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.int32(-3), "int64"), (np.int64(2**31 - 1), "int32"), (np.uint64(200), "uint8")]
)
def test_a_single_integer_takes_the_type_of_the_model(value: np.generic, dtype: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", n=value)
    np.savez(tmp_path / "b.npz", n=np.zeros((), dtype))
    export_state(tmp_path / "a.npz", tmp_path / "s.csv")
    assert restore_file(tmp_path / "s.csv", tmp_path / "b.npz", tmp_path / "out.npz") == []
    with np.load(tmp_path / "out.npz") as restored:
        assert (restored["n"].dtype, int(restored["n"])) == (np.dtype(dtype), int(value))


@pytest.mark.parametrize(
    ("value", "target"),
    [
        (np.int64(2**31), np.int32(0)),
        (np.int32(-1), np.uint64(0)),
        (np.array([3], np.int32), np.array([0], np.int64)),
        (np.float64(3), np.int64(0)),
        (np.int64(1), np.zeros((), bool)),
    ],
)
def test_other_values_of_another_type_are_refused(value: np.ndarray, target: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", n=value)
    np.savez(tmp_path / "b.npz", n=target)
    export_state(tmp_path / "a.npz", tmp_path / "s.csv")
    with pytest.raises(StateError, match=f"is {value.dtype} in the state and {target.dtype} in the model"):
        restore_file(tmp_path / "s.csv", tmp_path / "b.npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", w=np.arange(6, dtype=np.float32).reshape(2, 3), b=np.zeros(3), n=np.int64(4))
    np.savez(tmp_path / "b.npz", w=np.ones((2, 3), np.float32), b=np.ones(3), n=np.int64(0))
    return tmp_path


def test_all_misfits_are_reported_together_and_nothing_is_written(models: Path) -> None:
    other = {"w": np.ones((3, 2), np.float32), "b": np.ones(3, np.float32), "bias": np.ones(2), "m": np.int64(1)}
    np.savez(models / "c.npz", **other)
    export_state(models / "a.npz", models / "s.csv")
    text = (models / "s.csv").read_text().replace('"0.0,0.0,0.0"', '"0.0,0.5,0.0"')
    (models / "s.csv").write_text(text)
    with pytest.raises(StateError) as told:
        restore_file(models / "s.csv", models / "c.npz", models / "out.npz")
    lines = str(told.value).splitlines()
    assert lines[0].startswith("Nothing was changed")
    assert lines[0].endswith("(5 problems):")
    assert lines[1:] == [
        "  w: has shape [2, 3] in the state and [3, 2] in the model",
        "  b: is float64 in the state and float32 in the model",
        "  bias: is not in the state",
        "  m: is not in the state",
        "  n: is not in the model",
    ]
    assert not (models / "out.npz").exists()


def test_all_damaged_cells_are_reported_together_and_nothing_is_written(models: Path) -> None:
    export_state(models / "a.npz", models / "s.csv")
    text = (models / "s.csv").read_text().replace("0.0,0.0,0.0", "0.0,0.5,0.0").replace('"4"', '"5"')
    (models / "s.csv").write_text(text)
    before = (models / "b.npz").read_bytes()
    with pytest.raises(StateError, match=r"(?s)2 problems.*b: its data is damaged.*n: its data is damaged"):
        restore_file(models / "s.csv", models / "b.npz", models / "b.npz", overwrite=True)
    with pytest.raises(StateError, match="damaged"):  # which does not depend on what is missing
        restore_file(models / "s.csv", models / "b.npz", models / "out.npz", allow_partial=True)
    assert (models / "b.npz").read_bytes() == before
    assert sorted(file.name for file in models.iterdir()) == ["a.npz", "b.npz", "s.csv"]


def test_renamed_tensors_are_restored_by_a_map(models: Path) -> None:
    np.savez(models / "c.npz", **{"net/w": np.ones((2, 3), np.float32), "b": np.ones(3), "n": np.int64(0)})
    export_state(models / "a.npz", models / "s.csv")
    with pytest.raises(StateError, match="net/w: "):
        restore_file(models / "s.csv", models / "c.npz", models / "out.npz")
    restore_file(models / "s.csv", models / "c.npz", models / "out.npz", renames={"w": "net/w"})
    assert np.load(models / "out.npz")["net/w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    export_state(models / "c.npz", models / "t.csv")
    restore_file(models / "t.csv", models / "a.npz", models / "out.npz", renames={"net/": ""}, overwrite=True)
    assert np.load(models / "out.npz")["w"].tolist() == [[1, 1, 1], [1, 1, 1]]
    for wrong in ({"v": "w"}, {"w": "b"}):
        with pytest.raises(StateError):
            restore_file(models / "s.csv", models / "a.npz", models / "x.npz", renames=wrong)


def test_the_commands_export_restore_and_compare(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, table, out = (models / name for name in ("a.npz", "b.npz", "s.csv", "out.npz"))
    assert run_here(capsys, "state", "export", a, "-o", table).stderr == f"{table}: 3 tensors, 10 elements\n"
    assert run_here(capsys, "state", "export", a, "-o", table).status == 1
    shown = run_here(capsys, "state", "diff", table, b)
    assert shown.status == 0
    assert shown.stderr == "3 tensors differ, 0 are the same\n"
    fields = json.loads(run_here(capsys, "state", "diff", a, b, "--json").stdout)
    assert [each["name"] for each in fields] == ["w", "b", "n"]
    assert (fields[0]["changed"], fields[0]["max_abs"], fields[0]["max_rel"]) == (5, 4.0, "inf")
    assert run_here(capsys, "state", "restore", table, b, "-o", out).status == 0
    assert run_here(capsys, "state", "diff", a, out).stdout == ""
    assert run_here(capsys, "state", "restore", table, b, "-o", out, "--map", "w").status == 1


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.npz"])
def test_a_pickle_is_refused_and_nothing_in_it_runs(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (mark,))

    if name.endswith(".npz"):
        np.savez(tmp_path / name, x=np.array([Evil()], object))
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(StateError, match="pickle"):
        state_of(tmp_path / name)
    assert not mark.exists()


def test_files_of_unknown_type_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK nonsense")
    (tmp_path / "x.txt").write_text("nothing known")
    (tmp_path / "empty").write_text("")
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 20)
    for name, said in {
        "x.npz": "cannot be read as an .npz file",
        "x.txt": "unknown type",
        "empty": "empty",
        "gone.pt": "does not exist",
    }.items():
        with pytest.raises(StateError, match=said):
            state_of(tmp_path / name)
    with pytest.raises(StateError, match="not a readable safetensors file"):
        state_of(tmp_path / "x.safetensors")


def test_a_damaged_member_of_an_archive_is_named(models: Path) -> None:
    with zipfile.ZipFile(models / "a.npz") as archive:
        offset = archive.getinfo("w.npy").header_offset
    data = bytearray((models / "a.npz").read_bytes())
    data[offset + 190] ^= 1
    (models / "a.npz").write_bytes(data)
    with pytest.raises(StateError, match=r"w\.npy"):
        state_of(models / "a.npz").tensors[0].content()


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    """Write the format by its description, with the header padded as the format's own writer does."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize("style", STYLES)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(min_size=16, max_size=16))
@pytest.mark.slow
def test_safetensors_go_through_a_table_into_another_file(raw: bytes, style: str, tmp_path: Path) -> None:
    dtypes = {"BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F16": 2, "F32": 4, "F64": 8, "I8": 1, "U64": 8, "C64": 8}
    full = {f"layer.{name}": (name, [2, 8 // size], raw) for name, size in dtypes.items()}
    full |= {"on": ("BOOL", [3], b"\1\0\1"), "none": ("F32", [0, 2], b""), "one": ("F32", [], raw[:4])}
    blank = {name: (dtype, shape, bytes(len(content))) for name, (dtype, shape, content) in full.items()}
    (tmp_path / "a.safetensors").write_bytes(safetensors(full))
    (tmp_path / "b.safetensors").write_bytes(safetensors(blank))
    export_state(tmp_path / "a.safetensors", tmp_path / "s.csv", style=style, overwrite=True)
    restore_file(tmp_path / "s.csv", tmp_path / "b.safetensors", tmp_path / "c.safetensors", overwrite=True)
    assert (tmp_path / "c.safetensors").read_bytes() == safetensors(full)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [100, 104]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
        {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "data_offsets": [0, 4]},
        [],
    ],
)
def test_a_header_that_points_elsewhere_is_refused(entry: object, tmp_path: Path) -> None:
    text = json.dumps({"x": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"1234")
    with pytest.raises(StateError, match="not a readable safetensors file"):
        state_of(tmp_path / "x.safetensors")


# Differences


@pytest.mark.slow
@given(
    # Not so large that a step leads to infinity, of which numpy warns.
    start=hnp.arrays(np.float32, 5, elements=st.floats(-(2.0**127), 2.0**127, width=32)),
    steps=hnp.arrays(np.int64, 5, elements=st.integers(0, 6)),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_units_in_the_last_place_are_steps_to_the_next_float(
    start: np.ndarray, steps: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("d")
    moved = start.copy()
    for _ in range(6):
        moved = np.where(steps > 0, np.nextafter(moved, np.float32(np.inf)), moved)
        steps = steps - 1
    counted = np.zeros(5, int)
    walked = start.copy()
    while (walked != moved).any():
        counted += walked != moved
        walked = np.where(walked != moved, np.nextafter(walked, moved), walked)
    np.savez(folder / "a.npz", x=start + np.float32(0))  # without -0.0, which is a place of its own
    np.savez(folder / "b.npz", x=moved + np.float32(0))
    (found,) = diff_states(folder / "a.npz", folder / "b.npz")
    crossed = ((start < 0) & (moved > 0)).any()  # -0.0 lies between
    assert found.max_ulps in {counted.max(), counted.max() + crossed}
    assert found.changed == int((start != moved).sum())


def test_differences_of_odd_numbers_are_measured(tmp_path: Path) -> None:
    nan, inf = math.nan, math.inf
    np.savez(tmp_path / "a.npz", x=[nan, 1.0, -0.0, inf], n=np.array([2**63 - 1, -(2**63)]), s=["a", "b"], c=[1j])
    np.savez(tmp_path / "b.npz", x=[nan, nan, 0.0, inf], n=np.array([2**63 - 2, 2**63 - 1]), s=["a", "c"], c=[1j + 3])
    x, n, s, c = diff_states(tmp_path / "a.npz", tmp_path / "b.npz")
    assert (x.changed, x.max_abs) == (2, inf)
    assert (n.changed, n.max_abs, n.max_rel, n.max_ulps) == (2, 2.0**64, 2.0, None)
    assert (s.changed, s.changed_share, s.max_abs) == (1, 0.5, None)
    assert (c.changed, c.max_abs, c.max_rel) == (1, 3.0, 3.0)


def test_tensors_of_one_state_only_are_listed(models: Path) -> None:
    np.savez(models / "c.npz", w=np.ones((3, 2), np.float32), b=np.zeros(3, np.float32), m=1)
    statuses = {each.name: each.status for each in diff_states(models / "a.npz", models / "c.npz")}
    assert statuses == {
        "w": "shape [2, 3] in A, [3, 2] in B",
        "b": "float64 in A, float32 in B",
        "n": "only in A",
        "m": "only in B",
    }


# From logs


@pytest.mark.parametrize("scanner", list(SCANNERS), indirect=True)
def test_weights_are_read_from_logs_bit_for_bit(scanner: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "net/kernel": rng.normal(size=(3, 2)).astype(np.float32),
        "net/half": np.frombuffer(rng.bytes(8), np.float16),
        "net/step": np.int64(7),
        "net/scale": np.float32(0.1),
        "net/mask": np.array([True, False]),
    }
    bfloat16 = rng.bytes(6)
    odd = tensor_of("DT_BFLOAT16", [3], tensor_content=bfloat16)
    assert odd.dtype == DataType.DT_BFLOAT16
    values = [tensor(f"weights/{name}", array) for name, array in arrays.items()]
    value = tensor("weights/odd", np.zeros(3, np.float32))
    value.tensor.CopyFrom(odd)
    others = [scalar("weights/net/kernel/norm", 1.0), histogram("weights/net/kernel/histogram", np.zeros((1, 3)))]
    old = [tensor(f"weights/{name}", np.zeros_like(array)) for name, array in arrays.items()]
    write_run(tmp_path / "logs", event(*old, step=0), event(*values, value, *others, step=5))
    state = recorded_state(tmp_path / "logs", 5)
    found = {each.name: bytes(each.content()) for each in state.tensors}
    assert found == {name: array.tobytes() for name, array in arrays.items()} | {"odd": bfloat16}
    assert [(each.dtype, each.shape) for each in state.tensors][-1] == ("bfloat16", (3,))
    assert recorded_state(tmp_path / "logs", 0).notes == ("Not recorded at step 0: weights/odd.",)


def test_a_missing_step_and_an_ambiguous_run_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run in "ab":
        write_run(tmp_path / "logs" / run, *(event(tensor("weights/w", np.ones(2) * s), step=s) for s in (0, 10, 20)))
    with pytest.raises(StateError, match="0, 10, 20"):
        recorded_state(tmp_path / "logs", 11)
    with pytest.raises(StateError, match="Runs 'a', 'b' all have"):
        recorded_state(tmp_path / "logs", 10)
    out = tmp_path / "s.csv"
    ran = run_here(capsys, "state", "from-logs", tmp_path / "logs", "--step", 10, "--run", "b", "-o", out)
    assert ran.status == 0, ran.stderr
    assert read_state(out).tensors[0].array().tolist() == [10, 10]
    with pytest.raises(StateError, match="no tensors with tags bias"):
        recorded_state(tmp_path / "logs", 10, prefix="bias", run="a")


# Prefixes


@pytest.mark.parametrize(
    ("old", "new"),
    [("module.", ""), ("", "module."), ("_orig_mod.", "net."), ("model.module.", "model."), ("a/b/", "a/")],
)
def test_a_prefix_is_proposed_and_the_proposal_restores_the_state(
    old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("0.weight", "0.bias", "3.weight")
    np.savez(tmp_path / "a.npz", **{old + name: np.full(2, i) for i, name in enumerate(names)})
    np.savez(tmp_path / "b.npz", **{new + name: np.full(2, 9) for name in names})
    table, model, out = tmp_path / "s.csv", tmp_path / "b.npz", tmp_path / "out.npz"
    export_state(tmp_path / "a.npz", table)
    refused = run_here(capsys, "state", "restore", table, model, "-o", out)
    assert refused.status == 1
    assert refused.stderr.endswith(f"give --map {old}={new}.\n")
    assert not out.exists()
    assert run_here(capsys, "state", "restore", table, model, "-o", out, "--map", f"{old}={new}").status == 0
    assert {name: values.tolist() for name, values in np.load(out).items()} == {
        new + name: [i, i] for i, name in enumerate(names)
    }


def test_no_prefix_is_proposed_for_names_that_have_nothing_in_common(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"x.weight": np.ones(2), "y.bias": np.ones(2)})
    np.savez(tmp_path / "b.npz", **{"p.kernel": np.ones(2), "q.offset": np.ones(2)})
    export_state(tmp_path / "a.npz", tmp_path / "s.csv")
    with pytest.raises(StateError) as refused:
        restore_file(tmp_path / "s.csv", tmp_path / "b.npz", tmp_path / "out.npz")
    assert "give" not in str(refused.value)


def test_prefix_change_of_python_error_is_an_argument_that_restores_the_state(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"module.x": np.ones(2), "module.y": np.ones(2)})
    np.savez(tmp_path / "b.npz", x=np.zeros(2), y=np.zeros(2))
    export_state(tmp_path / "a.npz", tmp_path / "s.csv")
    with pytest.raises(StateError) as refused:
        restore_file(tmp_path / "s.csv", tmp_path / "b.npz", tmp_path / "out.npz")
    (option,) = refused.value.message.advice[0].options
    assert (option.name, option.value) == ("renames", {"module.": ""})
    assert "--" not in str(refused.value)
    restore_file(tmp_path / "s.csv", tmp_path / "b.npz", tmp_path / "out.npz", renames=option.value)
    assert np.load(tmp_path / "out.npz")["x"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "tensors",
    [
        {"other": np.ones((2, 3), np.float32)},  # other names
        {"w": np.ones((5, 3), np.float32), "b": np.ones(9), "n": np.float32(0)},  # other shapes and dtypes
    ],
)
def test_a_partial_restore_of_nothing_is_refused(
    tensors: dict[str, np.ndarray], models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(models / "c.npz", **tensors)
    export_state(models / "a.npz", models / "s.csv")
    arguments = ("state", "restore", models / "s.csv", models / "c.npz", "-o", models / "out.npz", "--allow-partial")
    assert run_here(capsys, *arguments).status == 1
    assert not (models / "out.npz").exists()


def test_a_partial_restore_counts_what_was_left(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(models / "c.npz", w=np.ones((2, 3), np.float32), other=np.ones(2))
    export_state(models / "a.npz", models / "s.csv")
    out = models / "out.npz"
    ran = run_here(capsys, "state", "restore", models / "s.csv", models / "c.npz", "-o", out, "--allow-partial")
    assert ran.status == 0
    assert ran.stderr.splitlines()[-1] == f"{out}: restored, except for 3 tensors"
    assert np.load(out)["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("argument", ["w", "="])
def test_a_map_needs_an_equals_sign_and_a_name(argument: str, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_state(models / "a.npz", models / "s.csv")
    out = models / "out.npz"
    ran = run_here(capsys, "state", "restore", models / "s.csv", models / "b.npz", "-o", out, "--map", argument)
    assert ran.status == 1
    assert "OLD=NEW" in ran.stderr
