"""The start of TensorFlow by commands: its messages are shown only if it fails.

Modules in Python replace Keras and TensorFlow here; tests/training/test_quiet_predictions.py has the real one.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from commands import environment

if TYPE_CHECKING:
    from pathlib import Path

#: Libraries in C write to the descriptor, and Python's logging to the stream.
NOISE = "import os, sys\nos.write(2, b'descriptor\\n')\nprint('stream', file=sys.stderr, flush=True)\n"
PROGRAM = """
import os, sys
print("before", file=sys.stderr)  # may wait in the buffer
from tb2csv.cli.tensorflow_start import start_tensorflow
try:
    start_tensorflow()
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
print("after", file=sys.stderr, flush=True)
os.write(2, b"last\\n")
print(sorted({"keras", "tensorflow"} & set(sys.modules)), os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""


def run(folder: Path, program: str = PROGRAM, **modules: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process that finds these modules first."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    variables = environment(PYTHONPATH=str(folder))
    variables.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=False)


def test_messages_of_a_start_are_not_shown(tmp_path: Path) -> None:
    devices = NOISE + "def zeros(shape):\n    os.write(2, b'devices\\n')\n"
    ran = run(tmp_path, keras=NOISE, tensorflow=devices)
    assert ran.stderr == "before\nafter\nlast\n"
    assert ran.stdout == "['keras', 'tensorflow'] 2\n"


@pytest.mark.parametrize("failing", ["keras", "tensorflow"])
def test_messages_of_a_start_that_fails_are_shown_before_the_error(failing: str, tmp_path: Path) -> None:
    modules = {"keras": "", "tensorflow": "", failing: NOISE + "raise ImportError('libcuda.so.1 is too old')\n"}
    ran = run(tmp_path, **modules)
    assert ran.stderr == "before\ndescriptor\nstream\nImportError: libcuda.so.1 is too old\nafter\nlast\n"


@pytest.mark.parametrize("missing", ["keras", "tensorflow"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(missing: str, tmp_path: Path) -> None:
    raising = f"raise ModuleNotFoundError(name={missing!r})\n"
    ran = run(tmp_path, **({"keras": "", "tensorflow": ""} | {missing: raising}))
    assert f"MissingExtraError: This command needs {missing}, which is not installed; run pip install" in ran.stderr
    assert "tensorflow]" in ran.stderr


def test_what_was_imported_before_is_left_alone(tmp_path: Path) -> None:
    """A program that has started TensorFlow may have chosen its devices; looking for them again would take them."""
    zeros = "def zeros(shape):\n    raise AssertionError\n"
    ran = run(tmp_path, "import keras, tensorflow\n" + PROGRAM, keras="", tensorflow=zeros)
    assert ran.stderr == "before\nafter\nlast\n"
    assert ran.stdout == "['keras', 'tensorflow'] None\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the stream")
def test_it_starts_with_a_closed_standard_error(tmp_path: Path) -> None:
    for name in ("keras", "tensorflow"):
        (tmp_path / f"{name}.py").write_text("def zeros(shape): ...\n", "utf-8")
    program = "from tb2csv.cli.tensorflow_start import start_tensorflow as start; start(); print('started')"
    ran = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, program],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(tmp_path)),
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "started\n")
