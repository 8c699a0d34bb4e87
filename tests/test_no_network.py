"""Commands on local logs open no connection."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

SAMPLE_LOGS = Path(__file__).parents[1] / "sample_logs"

#: Run commands; every attempt to use the network, or to look a name up, is an error that names it.
_WITHOUT_NETWORK = """
import json, sys

def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(refuse)
from tb2csv.cli import app
for arguments in json.loads(sys.argv[1]):
    try:
        app([*arguments, "--debug"])
    except SystemExit as end:
        assert end.code in (None, 0, 3), (arguments, end.code)
print("done")
"""


@pytest.mark.slow
def test_commands_on_local_logs_open_no_connection(tmp_path: Path) -> None:
    logs = str(SAMPLE_LOGS)
    commands = [
        *([command, logs] for command in ("ls", "check", "summary", "hparams", "diagnose")),
        ["convert", logs, str(tmp_path / "tables")],
        ["convert", logs, str(tmp_path / "tables")],
        ["convert", logs, str(tmp_path / "wide"), "--layout", "wide", "--format", "parquet"],
        ["repair", logs, str(tmp_path / "repaired")],
        ["reduce", logs, str(tmp_path / "reduced"), "--by", "*"],
        ["plot", logs, "-o", str(tmp_path / "plot.html"), "--tag", "*loss*"],
    ]
    command = [sys.executable, "-c", _WITHOUT_NETWORK, json.dumps(commands)]
    done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
