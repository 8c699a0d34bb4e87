"""Following real writers: every value is yielded once, and what they hold back is as docs/follow.md says."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from commands import environment
from tables import read_tree

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

#: Each writes the values 0 to 299 of ``loss``, with pauses, and closes its file.
WRITERS = {
    "tensorflow": """
import sys, time
import tensorflow as tf
writer = tf.summary.create_file_writer(sys.argv[1], flush_millis=300)
with writer.as_default():
    for step in range(300):
        tf.summary.scalar("loss", step / 4, step)
        if step % 50 == 49:
            time.sleep(0.7)
writer.close()
""",
    "torch": """
import sys, time
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter(sys.argv[1], flush_secs=1)
for step in range(300):
    writer.add_scalar("loss", step / 4, step)
    if step % 50 == 49:
        time.sleep(0.7)
    if step == 199:
        writer.close()  # the next value opens a second file
writer.close()
""",
    "tensorboardX": """
import sys, time
from tensorboardX import SummaryWriter
writer = SummaryWriter(sys.argv[1], flush_secs=1)
for step in range(300):
    writer.add_scalar("loss", step / 4, step)
    if step % 50 == 49:
        time.sleep(0.7)
writer.close()
""",
}


def start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("name", WRITERS)
def test_every_value_of_a_writer_is_followed(tmp_path: Path, name: str) -> None:
    pytest.importorskip(name)
    logdir, out = tmp_path / "log", tmp_path / "out"
    with start(WRITERS[name], logdir / "run") as writer:
        steps: list[int] = []
        count = 0
        for update in tb2csv.follow(logdir, out, until_idle="2m"):
            steps += update.scalars()["step"].to_list()
            count += 1
            if len(steps) == 300:
                break
        writer.communicate()
    assert writer.returncode == 0
    assert steps == list(range(300))
    assert count > 1, "rows come while the writer runs"
    assert len(list((logdir / "run").iterdir())) == (2 if name == "torch" else 1)
    tb2csv.convert(logdir, tmp_path / "fresh")
    assert tb2csv.convert(logdir, out).values_written == 300
    assert read_tree(out) == read_tree(tmp_path / "fresh")


def test_tensorflow_holds_the_last_values_before_a_pause(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    script = """
import sys, time
import tensorflow as tf
writer = tf.summary.create_file_writer(sys.argv[1], flush_millis=100)
with writer.as_default():
    for step in range(11):
        tf.summary.scalar("loss", 0.5, step)
        time.sleep(0.05)
    for step in range(11, 14):
        tf.summary.scalar("loss", 0.5, step)
    time.sleep(1)  # ten times flush_millis
    print("paused", flush=True)
    sys.stdin.readline()
writer.close()
"""
    with start(script, tmp_path / "run") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"paused\n"
        held = tb2csv.check(tmp_path).values_read
        updates = tb2csv.follow(tmp_path, until_idle="2m")
        assert len(next(updates).scalars()) == held
        assert held < 14
        writer.communicate(b"\n")
        assert len(next(updates).scalars()) == 14 - held
        updates.close()
