"""The fuzzer: past findings stay mended, its mutations reach what they should, and it notices what is wrong."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import fuzz
import pytest
from byte_mutations import mutated_bytes
from event_files import event, event_file, frame, histogram, payloads, scalar, text
from hypothesis import given
from hypothesis import strategies as st
from message_mutations import mutated_file, mutated_message, payloads_of, split
from tensorboard.compat.proto.event_pb2 import Event

from targets import TARGETS

if TYPE_CHECKING:
    from message_mutations import PlainMutation

WITHOUT_FRAMEWORKS = [name for name, each in TARGETS.items() if not (each.needs_frameworks or each.is_sanitized)]
EVENTS = [event(scalar("loss", 0.5), text("note", ["a", "b"]), step=300), event(histogram("w", [[0, 1, 2]]), step=7)]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_FRAMEWORKS)
def test_past_findings_and_a_few_mutations_of_each_target_raise_nothing(name: str, tmp_path: Path) -> None:
    runs = 60 if name == "convert" else 400
    result = fuzz.fuzz(name, tmp_path, seconds=600, seed=3, runs=runs)
    assert result.findings == []
    assert result.executions >= runs


@pytest.mark.slow
def test_lines_that_inputs_reach_are_counted(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    script = "import fuzz, pathlib; print(fuzz.count_lines('scanner', pathlib.Path.cwd()))"

    def lines(data: bytes) -> tuple[int, ...]:
        (tmp_path / "corpus" / "input").write_bytes(data)
        command = [sys.executable, "-c", script]
        path = {"PYTHONPATH": os.pathsep.join([*sys.path, str(fuzz.ROOT)])}
        done = subprocess.run(command, cwd=tmp_path, env=os.environ | path, capture_output=True, text=True, check=True)
        return tuple(map(int, re.findall(r"\d+", done.stdout)))

    few, many = lines(b""), lines(event_file(EVENTS))
    assert 0 < few[0] < many[0] < many[1]


def test_every_past_finding_is_of_a_target() -> None:
    names = [each.name for each in fuzz.PAST.iterdir()]
    assert names
    assert all(name.partition("-")[0] in TARGETS for name in names)


@pytest.mark.parametrize("each", sorted(fuzz.PAST.iterdir()), ids=lambda each: each.name)
def test_past_findings_are_small(each: Path) -> None:
    assert each.stat().st_size < 2000


@given(st.binary(max_size=60))
def test_messages_are_taken_apart_without_a_loss(data: bytes) -> None:
    fields = split(data)
    if fields is not None:
        assert [split(each.encoded()) for each in fields] == [[each] for each in fields]


def test_messages_of_protobuf_are_taken_apart() -> None:
    message = EVENTS[0].SerializeToString()
    assert b"".join(each.encoded() for each in split(message) or []) == message


def test_lengths_around_a_change_are_mended() -> None:
    """Most mutated events are still sound messages, and not the event that they were."""
    rng, sound, others = random.Random(0), 0, set()
    for _ in range(300):
        changed = mutated_message(EVENTS[0].SerializeToString(), rng)
        others.add(changed)
        with contextlib.suppress(Exception):  # of a type that depends on the build of protobuf
            sound += bool(Event.FromString(changed).ByteSize())
    assert sound > 100
    assert len(others) > 100


def test_checksums_of_mutated_records_are_right() -> None:
    rng, data = random.Random(0), event_file(EVENTS)
    assert payloads_of(data) == payloads(data)
    mutations = [mutated_file(data, rng) for _ in range(300)]
    framed = [b"".join(map(frame, payloads_of(each))) == each for each in mutations]
    assert 250 < sum(framed) < 300


class Faulty:
    """A target that raises for some inputs."""

    def seeds(self) -> list[bytes]:
        return [b"sound", b"also sound"]

    def mutate(self, data: bytes, rng: random.Random, plain: PlainMutation) -> bytes:
        return plain(data, rng)

    def run(self, data: bytes) -> None:
        if b"\xff" in data:
            raise KeyError(len(data))


def test_an_exception_is_one_finding_with_a_few_inputs(tmp_path: Path) -> None:
    kept = fuzz.Findings("faulty", tmp_path)
    fuzz._mutate_blindly(Faulty(), [], kept, seconds=0, seed=1, runs=500)
    inputs = [each for each in tmp_path.iterdir() if each.suffix != ".txt"]
    assert len(inputs) == 3
    assert all(b"\xff" in each.read_bytes() for each in inputs)
    reports = [each.read_text() for each in tmp_path.glob("*.txt")]
    assert all(re.match(r"KeyError at test_fuzzing\.py:\d+\n", each) for each in reports)


def test_an_input_of_the_past_comes_before_mutations(tmp_path: Path) -> None:
    fuzz._mutate_blindly(Faulty(), [b"past \xff"], fuzz.Findings("faulty", tmp_path), seconds=0, seed=1, runs=1)
    assert [each.read_bytes() for each in tmp_path.iterdir() if each.suffix != ".txt"] == [b"past \xff"]


def test_a_process_that_ends_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUZZ_SCANNER", str(tmp_path / "missing.so"))
    assert fuzz.fuzz("scanner", tmp_path, seconds=600, seed=1, runs=1).findings == ["status 1"]


def test_one_input_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(event_file(EVENTS))
    command = [sys.executable, str(Path(fuzz.__file__)), "scanner", "--input", str(tmp_path / "input")]
    subprocess.run([*command, "--findings", str(tmp_path)], check=True)


def test_bytes_are_mutated_the_same_each_time() -> None:
    assert [mutated_bytes(b"some bytes", random.Random(seed)) for seed in range(50)] == [
        mutated_bytes(b"some bytes", random.Random(seed)) for seed in range(50)
    ]
