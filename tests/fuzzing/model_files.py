"""Feeds mutated model and state files to every reader, and counts what comes of it: read, refused, or a fault.

    .venv-training/bin/python tests/fuzzing/model_files.py --cases 20000 --seed 1 [--format h5 …] [--json FILE]

Each case exports a mutated file, and restores a state into it. A fault is an exception that is not a Tb2csvError, a
file that appears though the mutation was refused, a change of a file other than OUT, bait in OUT, code that ran, more
memory than the limits allow, a process that ends, or one that does not answer. Cases run in processes, which are
started again after they end. A case is repeated by its format and number: ``--format h5 --first 4711 --cases 1``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from model_mutations import mutated

if TYPE_CHECKING:
    from collections.abc import Callable

#: Formats and their shares of the cases.
SHARES = {
    "h5": 0.24,
    "torch": 0.18,
    "safetensors": 0.12,
    "skops": 0.1,
    "npz": 0.11,
    "csv": 0.12,
    "checkpoint": 0.06,
    "keras": 0.04,
    "tables": 0.03,
}
#: What is in the bait and nowhere else.
SECRET = 4242.125
_SECRET_BYTES = np.float32(SECRET).tobytes()
#: Seconds without an answer after which a process counts as hanging.
PATIENCE = 120
#: Memory that a case may take beyond the idle process: twice the floor of the limits, for data and their text.
MEMORY = 1 << 30
#: Cases of one process.
BATCH = 1000


# Sound files


def _numpy_files(folder: Path) -> None:
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.int64(3), "text": np.array(["a", "bc"])}
    np.savez(folder / "a.npz", **arrays)
    np.savez_compressed(folder / "b.npz", **arrays)


def _safetensors_files(folder: Path) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for number, (dtype, size) in enumerate({"F32": 4, "BF16": 2, "I64": 8}.items()):
        start = number * 64
        header[f"layer.{number}"] = {"dtype": dtype, "shape": [64 // size], "data_offsets": [start, start + 64]}
    text = json.dumps(header).encode()
    (folder / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(range(192)))
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {f"layer.{number}": "a.safetensors" for number in range(3)}})
    )


def _csv_files(folder: Path) -> None:
    from tb2csv.model_state import export_state

    _numpy_files(folder)
    for style in ("tensors", "base64", "elements"):
        export_state(folder / "a.npz", folder / f"{style}.csv", style=style, max_cell=40)
    for each in folder.glob("*.npz"):
        each.unlink()


def _torch_files(folder: Path) -> None:
    import torch

    weight = torch.arange(6.0).reshape(2, 3)
    optimizer = {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": weight}},
        "param_groups": [{"lr": 0.1, "params": [0]}],
    }
    tree = {"model": {"w": weight, "tied": weight, "half": weight.half()}, "optimizer": optimizer, "epoch": 3}
    tree |= {"name": "x", "array": np.arange(3), "state": bytearray(b"ab"), "pair": (1, 2.5)}
    torch.save(tree, folder / "a.pt")
    torch.save(tree, folder / "b.old.pt", _use_new_zipfile_serialization=False)


def _skops_files(folder: Path) -> None:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    skops.io.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), folder / "a.skops")
    skops.io.dump(RandomForestClassifier(2, max_depth=2).fit(x, y), folder / "b.skops")


def _keras_model() -> Any:
    import keras

    layers = [
        keras.Input((3,)),
        keras.layers.Dense(2, name="dense"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(1, name="last"),
    ]
    keras.utils.set_random_seed(0)
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((2, 3)), np.zeros((2, 1)))
    return model


def _keras_files(folder: Path) -> None:
    _keras_model().save(folder / "a.keras")


def _hdf5_files(folder: Path) -> None:
    model = _keras_model()
    model.save(folder / "a.h5")
    model.save_weights(folder / "b.weights.h5")


def _checkpoint_files(folder: Path) -> None:
    """Write a checkpoint of objects and a SavedModel, whose files are flat here: ``%`` stands for ``/``."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(tf.reshape(tf.range(6.0), (2, 3)), name="w")
            self.step = tf.Variable(np.int64(3), name="step")
            self.text = tf.Variable(["a", "bc"], name="text")
            self.half = tf.Variable(tf.ones((2,), tf.bfloat16))

    made = folder / "made"
    tf.train.Checkpoint(model=Module()).write(str(made / "one" / "model"))
    tf.saved_model.save(Module(), str(made / "saved"))
    (made / "one" / "checkpoint").write_text('model_checkpoint_path: "model"\n')
    for each in made.rglob("*"):
        if each.is_file():
            (folder / each.relative_to(made).as_posix().replace("/", "%")).write_bytes(each.read_bytes())
    shutil.rmtree(made)


def _table_files(folder: Path) -> None:
    from event_files import event, scalar, write_run

    import tb2csv

    write_run(folder / "log" / "run", *(event(scalar("loss", 0.5), step=step) for step in range(3)))
    tb2csv.convert(folder / "log", folder / "out")
    for each in (folder / "out").rglob("*.*"):
        if each.is_file() and each.suffix in {".json", ".csv"}:
            (folder / each.relative_to(folder / "out").as_posix().replace("/", "%")).write_bytes(each.read_bytes())
    shutil.rmtree(folder / "log")
    shutil.rmtree(folder / "out")


MAKERS: dict[str, Callable[[Path], None]] = {
    "h5": _hdf5_files,
    "torch": _torch_files,
    "safetensors": _safetensors_files,
    "skops": _skops_files,
    "npz": _numpy_files,
    "csv": _csv_files,
    "keras": _keras_files,
    "checkpoint": _checkpoint_files,
    "tables": _table_files,
}
#: Formats of several files, which lie beside one another.
_FOLDERS = frozenset({"checkpoint", "tables"})


def _bait(folder: Path) -> None:
    """Write files that nothing may change; their number must not get into OUT."""
    folder.mkdir()
    (folder / "bait.csv").write_text(f"tensor_name,tensor_data,tensor_metadata\nw,{SECRET},{{}}\n")
    np.savez(folder / "bait.npz", w=np.array([SECRET]))
    try:
        import h5py
    except ModuleNotFoundError:
        return
    with h5py.File(folder / "bait.h5", "w") as file:
        for name in ("dense", "vars/0"):
            file[f"{name}/w"] = np.full(3, SECRET, np.float32)


def _fingerprint(folder: Path) -> dict[str, Any]:
    """Return the times and hashes of all files below a folder."""
    return {
        str(each): (each.stat().st_mtime_ns, hashlib.sha256(each.read_bytes()).hexdigest())
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


# One case


class Case:
    """A file of one format, in a folder with nothing but what belongs to it."""

    def __init__(self, form: str, name: str, content: bytes, sound: Path, place: Path) -> None:
        """Write ``content`` in place of the sound file ``name``."""
        self.form, self.place, self.name = form, place, name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for each in sorted(each.name for each in sound.iterdir()):
            if each == name or name.endswith(".index.json") or form in _FOLDERS:
                target = place / each.replace("%", "/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content if each == name else (sound / each).read_bytes())

    @classmethod
    def numbered(cls, form: str, number: int, seed: int, sound: Path, place: Path) -> Case:
        """Return the mutation with a number."""
        rng = random.Random(f"{seed} {form} {number}")
        name = rng.choice(sorted(each.name for each in sound.iterdir()))
        work = place.with_name("work")
        work.mkdir(exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of two members of one name
            content = mutated((sound / name).read_bytes(), name, rng, work)
        return cls(form, name, content, sound, place)

    @classmethod
    def whole(cls, form: str, sound: Path, place: Path) -> Case:
        """Return a file that is not mutated."""
        name = min(each.name for each in sound.iterdir())
        return cls(form, name, (sound / name).read_bytes(), sound, place)

    @property
    def path(self) -> Path:
        """What is read: the file, or what the files belong to."""
        if self.form == "checkpoint":
            folder = self.place / self.name.split("%")[0]
            return folder / "model" if self.name.endswith((".index", "-00001")) and folder.name == "one" else folder
        return self.place if self.form == "tables" else self.place / self.name

    def run(self, state: Path) -> str:
        """Export and restore the file; return what came of it, or raise what is a fault."""
        before = _fingerprint(self.place)
        out = self.place.with_name("out")
        outcomes = []
        for action in self._actions(state, out):
            try:
                action()
                outcomes.append("read")
            except Exception as error:
                from tb2csv.errors import Tb2csvError

                if not isinstance(error, Tb2csvError) or "\n\n" in str(error):
                    raise
                outcomes.append("refused")
                if any(out.parent.glob(f"*{out.name}*")):
                    raise AssertionError("something was written though the file was refused") from error
            if _fingerprint(self.place) != before:
                raise AssertionError("the folder of the file was changed")
            self._check_out(out)
        return "read" if "read" in outcomes else "refused"

    def _actions(self, state: Path, out: Path) -> list[Callable[[], Any]]:
        import tb2csv
        from tb2csv.model_state import export_state, restore_file

        if self.form == "tables":
            return [lambda: [*tb2csv.open_tables(self.path).values()]]
        if self.form == "csv":
            return [
                lambda: restore_file(self.path, state, out, allow_partial=True),
                lambda: export_state(self.path, out),
            ]
        return [
            lambda: export_state(self.path, out),
            lambda: restore_file(state, self.path, out, allow_partial=True),
        ]

    def _check_out(self, out: Path) -> None:
        """Remove the output, which must not have anything of the bait."""
        for each in list(out.parent.glob(f"{out.name}*")):
            files = [each] if each.is_file() else [below for below in each.rglob("*") if below.is_file()]
            contents = [file.read_bytes() for file in files]
            shutil.rmtree(each) if each.is_dir() else each.unlink()
            if any(str(SECRET).encode() in content or _SECRET_BYTES in content for content in contents):
                raise AssertionError("bait was read")


# A process


def _reset_peak() -> int:
    """Reset the highest use of memory, where the system can, and return the present one."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return _peak()


def _peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _say(line: dict[str, Any]) -> None:
    """Write a line of JSON to standard output."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def forbid_processes() -> None:
    """End the case, and say so, if anything starts a process or opens a connection: no reader does."""
    forbidden = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pty.spawn")

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in forbidden:
            raise AssertionError(f"{event} was called with {arguments}")

    sys.addaudithook(look)


def prepare(form: str, folder: Path) -> tuple[Path, Path]:
    """Return a folder of sound files, and a state that fits them or what a table of a state is restored into."""
    sound, state = folder / f"sound-{form}", folder / ("model.npz" if form == "csv" else "state.csv")
    is_new = not sound.exists()
    if is_new:
        sound.mkdir()
        MAKERS[form](sound)
        _bait(folder / "bait")
    # What is imported may start processes itself, so one sound file is read first.
    case = Case.whole(form, sound, folder / "case")
    if is_new and form == "csv":
        np.savez(state, w=np.zeros((2, 3), np.float32), n=np.int64(0), text=np.array(["", ""]))
    elif is_new and form != "tables":
        from tb2csv.model_state import export_state

        export_state(case.path, state)
    case.run(state)
    return sound, state


def run_batch(form: str, first: int, count: int, seed: int, folder: Path) -> None:
    """Run cases and write a line of JSON for each before and after it; make the sound files first."""
    sound, state = prepare(form, folder)
    platform.processor()
    os.chdir(folder / "bait")
    forbid_processes()
    for number in range(first, first + count):
        _say({"start": number})
        case = Case.numbered(form, number, seed, sound, folder / "case")
        bait = _fingerprint(folder / "bait")  # only now, because h5py may write to what the mutator links to
        idle, begin = _reset_peak(), time.monotonic()
        fault = ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = case.run(state)
        except BaseException as error:  # noqa: BLE001 # whatever it is, it is a fault
            outcome, fault = "fault", f"{type(error).__module__}.{type(error).__name__}: {str(error)[:300]}"
        if _fingerprint(folder / "bait") != bait:
            outcome, fault = "fault", "bait was changed, or code ran"
        memory = _peak() - idle
        if memory > MEMORY:
            outcome, fault = "fault", f"took {memory:,} bytes"
        seconds = time.monotonic() - begin
        _say({"end": number, "outcome": outcome, "fault": fault, "memory": memory, "seconds": seconds})


# All processes


class Results:
    """The outcomes of the cases of one format."""

    def __init__(self) -> None:
        """Begin with none."""
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self.memory = 0
        self.seconds = 0.0

    def add(self, form: str, line: dict[str, Any]) -> None:
        """Add the outcome of a case."""
        self.outcomes[line["outcome"]] += 1
        self.memory, self.seconds = max(self.memory, line["memory"]), max(self.seconds, line["seconds"])
        if line["fault"]:
            self.faults.append(f"{form} {line['end']}: {line['fault']}")


def run_format(form: str, first: int, count: int, seed: int, folder: Path) -> Results:
    """Run the cases of a format in processes, one after the other."""
    results = Results()
    end = first + count
    while first < end:
        here = [sys.executable, __file__, "--child", str(folder), "--format", form, "--seed", str(seed)]
        command = [*here, "--first", str(first), "--cases", str(min(BATCH, end - first))]
        with (
            (folder / "stderr").open("w") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            first = _follow(process, form, first, results, folder / "stderr")
        if results.outcomes.total() == 0:
            raise RuntimeError((folder / "stderr").read_text()[-3000:])
    return results


def _follow(process: subprocess.Popen[str], form: str, first: int, results: Results, errors: Path) -> int:
    """Read the lines of a process until it ends or hangs; return the number of the next case.

    ``errors`` is the file of what the process writes to standard error.
    """
    import selectors

    assert process.stdout is not None
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ)
    started = None
    while selector.select(PATIENCE):
        text = process.stdout.readline()
        if not text:
            break
        if not text.startswith("{"):
            continue
        line = json.loads(text)
        started = line.get("start", started)
        if "end" in line:
            results.add(form, line)
            first, started = line["end"] + 1, None
    else:
        process.kill()
        process.wait()
        results.outcomes["fault"] += 1
        results.faults.append(f"{form} {started}: no answer")
        return first + 1
    process.wait()
    if started is not None:
        results.outcomes["fault"] += 1
        # An exception here is not of the case: it was raised by what makes it or looks at it.
        last = errors.read_text(encoding="utf-8", errors="replace")[-1000:].strip()
        results.faults.append(f"{form} {started}: the process ended with status {process.returncode}: {last}")
        return started + 1
    return first


def run_all(shares: dict[str, float], cases: int, seed: int, first: int = 0) -> dict[str, Results]:
    """Run the cases of all formats, in a temporary folder for each."""
    found = {}
    for form, share in shares.items():
        with tempfile.TemporaryDirectory() as folder:
            found[form] = run_format(form, first, max(1, round(cases * share)), seed, Path(folder))
    return found


def main() -> int:
    """Run the cases and print the outcomes; return 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--format", nargs="*", choices=SHARES, default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    if options.child:
        run_batch(options.format[0], options.first, options.cases, options.seed, options.child)
        return 0
    chosen = {form: SHARES[form] for form in options.format or SHARES}
    shares = {form: share / sum(chosen.values()) for form, share in chosen.items()}
    results = run_all(shares, options.cases, options.seed, options.first)
    rows = [
        {
            "format": form,
            **each.outcomes,
            "mib": each.memory >> 20,
            "seconds": round(each.seconds, 2),
            "faults": each.faults,
        }
        for form, each in results.items()
    ]
    for row in rows:
        _say(row)
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, "rows": rows}, indent=1))
    return int(any(each.faults for each in results.values()))


if __name__ == "__main__":
    sys.exit(main())
