"""Make the sample logs anew, with the real writers.

    pip install tensorflow torch tensorboardX pillow soundfile
    python sample_logs/make_sample_logs.py [OUT]

Every folder named in ``LOGS`` is removed from OUT (default: the folder of this script), made
anew by the writer it is named for, and its event files are renamed, so that their names tell
neither the host nor the process that made them. Values are seeded and come out the same each
time, and so do file names and byte offsets in ``damaged/``; wall times do not.
"""

from __future__ import annotations

import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import tensorboardX
import torch
from torch.utils import tensorboard as torch_tensorboard

import tensorflow_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED: Final = 20
#: ``damaged/``: index of the record with a flipped payload byte, and of the one with a flipped length byte.
DAMAGED_PAYLOAD_RECORD: Final = 40
DAMAGED_LENGTH_RECORD: Final = 80

#: Shorter names occur in binary data by chance.
_SHORTEST_TRACE: Final = 4
_FRAME_HEADER: Final = 12  # u64 length and its checksum
_FRAME_FOOTER: Final = 4  # checksum of the payload
_EVENT_FILE: Final = re.compile(r"(events\.out\.tfevents)\.(\d+)\.HOST(?:\.\d+\.(\d+))?((?:\.v2)?)$")


def make_torch(folder: Path) -> None:
    """Write everything that PyTorch's ``SummaryWriter`` has a method for, bar embeddings and video."""
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    with torch_tensorboard.SummaryWriter(str(folder)) as writer:
        for step in range(50):
            loss = float(np.exp(-step / 20))
            writer.add_scalar("loss/legacy", loss, step)
            writer.add_scalar("loss/new_style", loss, step, new_style=True)
            writer.add_scalar("loss/double", loss, step, new_style=True, double_precision=True)
            writer.add_scalars("rate/by part", {"body": loss / 10, "head/bias": loss / 100}, step)
        for step in range(3):
            writer.add_histogram("weights", rng.normal(step, 1, 100), step, bins=20)
            writer.add_histogram("weights/default_bins", rng.uniform(-1, 1, 100), step)
            writer.add_text("notes", f'Step {step}: the *loss* fell, "as hoped".\nA second line.', step)
            writer.add_image("pattern", _pattern(rng), step, dataformats="HWC")
            writer.add_audio("tone", torch.from_numpy(_tone(440.0 * (step + 1)))[None], step, sample_rate=8000)
            truth, scores = _verdicts(rng, step)
            writer.add_pr_curve("verdict", truth, scores, step, num_thresholds=11)
            tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4 + step
            writer.add_tensor("tensor/float32", tensor, step)
            writer.add_tensor("tensor/bfloat16", tensor.to(torch.bfloat16), step)
        writer.add_mesh(
            "tetrahedron",
            vertices=torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]]),
            colors=torch.tensor([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]]),
            faces=torch.tensor([[[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]]),
            global_step=0,
        )
        writer.add_custom_scalars(
            {
                "Losses": {
                    "all ways to write": ["Multiline", ["loss/.*"]],
                    "band": ["Margin", ["loss/legacy", "loss/new_style", "loss/double"]],
                }
            }
        )
        writer.add_graph(torch.nn.Linear(3, 2), torch.zeros(1, 3))
        for name, rate, batch, shuffle in (("trial_0", 0.1, 16, True), ("trial_1", 0.01, 32, False)):
            hparams = {"rate": rate, "batch": batch, "shuffle": shuffle, "optimizer": "sgd"}
            metrics = {"hparam/accuracy": 0.9 - rate, "hparam/loss": rate * 2}
            writer.add_hparams(hparams, metrics, run_name=name, global_step=50)


def make_tensorboardx(folder: Path) -> None:
    """Write most of what tensorboardX's ``SummaryWriter`` can, with a tag whose characters it replaces."""
    rng = np.random.default_rng(SEED)
    with tensorboardX.SummaryWriter(str(folder)) as writer:
        for step in range(50):
            loss = float(np.exp(-step / 20))
            writer.add_scalar("loss", loss, step)
            writer.add_scalar("/odd tag: 50% (a+b)", 1 - loss, step)
            writer.add_scalars("rate/by part", {"body": loss / 10, "head/bias": loss / 100}, step)
        for step in range(3):
            writer.add_text("notes", f'Step {step}: a comma, a "quote" and an umlaut: ä.', step)
            writer.add_histogram("weights", rng.normal(step, 1, 100), step, bins=20)
            truth, scores = _verdicts(rng, step)
            writer.add_pr_curve("verdict", truth, scores, step, num_thresholds=11)
            writer.add_image("pattern", _pattern(rng), step, dataformats="HWC")
        for name, rate, batch, shuffle in (("trial_0", 0.1, 16, True), ("trial_1", 0.01, 32, False)):
            hparams = {"rate": rate, "batch": batch, "shuffle": shuffle, "optimizer": "sgd"}
            writer.add_hparams(hparams, {"hparam/accuracy": 0.9 - rate}, name=name, global_step=50)


def make_restarted(folder: Path) -> None:
    """Write a run that reached step 9, was taken up again at step 6 and told to purge from there on."""
    with torch_tensorboard.SummaryWriter(str(folder)) as writer:
        for step in range(10):
            writer.add_scalar("loss", 10.0 - step, step)
            writer.add_scalar("first_session_only", float(step), step)
    with torch_tensorboard.SummaryWriter(str(folder), purge_step=6) as writer:
        for step in range(6, 12):
            writer.add_scalar("loss", 110.0 - step, step)


def make_unfinished(folder: Path) -> None:
    """Write a file as a stopped process leaves it: its last record is cut in the middle of the payload."""
    path = _write_loss_curve(folder, steps=30)
    data = path.read_bytes()
    *_, (offset, length) = _records(data)
    path.write_bytes(data[: offset + _FRAME_HEADER + length // 2])


def make_damaged(folder: Path) -> None:
    """Write a file with one byte flipped in one record's payload, and one in another's length field."""
    path = _write_loss_curve(folder, steps=120)
    data = bytearray(path.read_bytes())
    records = list(_records(bytes(data)))
    offset, length = records[DAMAGED_PAYLOAD_RECORD]
    # The last byte of a legacy scalar is the high byte of its value: the event still parses, and only
    # the payload's checksum tells that the value is not what was written.
    data[offset + _FRAME_HEADER + length - 1] ^= 0xFF
    offset, length = records[DAMAGED_LENGTH_RECORD]
    # The low byte of the length: the wrong length still ends within the file, and only the length's
    # checksum tells that the next record does not start there. The payload and its checksum are sound.
    data[offset] ^= 0xFF
    path.write_bytes(data)


LOGS: Final[dict[str, Callable[[Path], None]]] = {
    "tf2": tensorflow_logs.make_tf2,
    "tf2_hparams": tensorflow_logs.make_tf2_hparams,
    "keras": tensorflow_logs.make_keras,
    "tf1": tensorflow_logs.make_tf1,
    "torch": make_torch,
    "tensorboardx": make_tensorboardx,
    "restarted": make_restarted,
    "unfinished": make_unfinished,
    "damaged": make_damaged,
}


def hide_origin(folder: Path) -> None:
    """Rename the event files below ``folder``, in the pattern of their writer, without host and process."""
    runs: dict[Path, list[tuple[int, int, str, Path]]] = {}
    for path in folder.rglob("*tfevents*"):
        match = _EVENT_FILE.match(path.name.replace(f".{socket.gethostname()}", ".HOST", 1))
        if match is None:
            message = f"{path} is not named as any known writer names its files; add its pattern."
            raise RuntimeError(message)
        prefix, second, serial, suffix = match.groups()
        name = f"{prefix}.{{second}}.sample{'' if serial is None else '.1.{serial}'}{suffix}"
        runs.setdefault(path.parent, []).append((int(second), int(serial or 0), name, path))
    for files in runs.values():
        # In the order in which they were opened: one second apart, with serial numbers from 0.
        for position, (_, _, name, path) in enumerate(sorted(files)):
            path.rename(path.with_name(name.format(second=1700000000 + position, serial=position)))


def refuse_traces(folder: Path) -> None:
    """Raise where a file below ``folder`` holds a path or the host name of this machine."""
    here = {Path.cwd(), Path(__file__).resolve().parent, Path.home(), Path(sys.prefix), Path(tempfile.gettempdir())}
    traces = [trace for trace in (*map(str, here), socket.gethostname()) if len(trace) >= _SHORTEST_TRACE]
    for path in folder.rglob("*"):
        found = [trace for trace in traces if path.is_file() and trace.encode() in path.read_bytes()]
        if found:
            message = f"{path} contains {found}; find the summary that wrote it and leave it out."
            raise RuntimeError(message)


def main(arguments: list[str]) -> None:
    """Make every folder of ``LOGS`` below the folder that ``arguments`` may name."""
    out = Path(arguments[0] if arguments else Path(__file__).parent)
    for name, make in LOGS.items():
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        hide_origin(folder)
        refuse_traces(folder)
    sizes = [path.stat().st_size for name in LOGS for path in (out / name).rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes):,} bytes in {len(LOGS)} folders of {out}")


def _write_loss_curve(folder: Path, steps: int) -> Path:
    """Write one legacy scalar per step with PyTorch's writer and return the event file."""
    with torch_tensorboard.SummaryWriter(str(folder)) as writer:
        for step in range(steps):
            writer.add_scalar("loss", float(np.exp(-step / 20)), step)
    (path,) = folder.iterdir()
    return path


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the offset and the payload length of every TFRecord in ``data``, which is sound."""
    offset = 0
    while offset < len(data):
        length = int.from_bytes(data[offset : offset + 8], "little")
        yield offset, length
        offset += _FRAME_HEADER + length + _FRAME_FOOTER


def _pattern(rng: np.random.Generator) -> np.ndarray:
    """Return an 8x8 RGB image of noise."""
    return rng.integers(0, 256, size=(8, 8, 3), dtype=np.uint8)


def _tone(hertz: float) -> np.ndarray:
    """Return 20 ms of a sine at 8 kHz, as float32."""
    return (np.sin(2 * np.pi * hertz * np.arange(160) / 8000) / 2).astype(np.float32)


def _verdicts(rng: np.random.Generator, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 64 yes-or-no labels and predictions that agree with them better at later steps."""
    truth = rng.integers(0, 2, 64)
    scores = np.clip(truth * 0.2 * (step + 1) + rng.uniform(0, 0.6, 64), 0, 1)
    return truth, scores


if __name__ == "__main__":
    main(sys.argv[1:])
