"""Interrupts while a server does not answer."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from event_files import event, event_file, file_name, simple_value
from installed import skip_module_without
from slow_cases import slow
from web_server import web_server

if TYPE_CHECKING:
    from pathlib import Path

skip_module_without("aiohttp")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent an interrupt")

#: A client that waits for the server gives up after 300 seconds.
SECONDS_OF_A_HANGING_CLIENT = 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "silent"),
    [("convert", "tfevents"), *slow([("convert", "/"), ("summary", "tfevents"), ("summary", "/")])],
)
def test_an_interrupt_does_not_wait_for_the_server_and_leaves_nothing(
    tmp_path: Path, silent: str, command: str
) -> None:
    data = event_file([event(simple_value("loss", step), step=step) for step in range(9)])
    for number in range(3):
        (tmp_path / "logs" / f"run{number}").mkdir(parents=True)
        (tmp_path / "logs" / f"run{number}" / file_name()).write_bytes(data)
    asked, done = threading.Event(), threading.Event()
    (tmp_path / "outputs").mkdir()
    outputs = [str(tmp_path / "outputs" / "out")] if command == "convert" else []

    def never(path: str) -> None:
        if silent in path:
            asked.set()
            done.wait()

    with web_server(tmp_path / "logs") as server:
        server.before_answer = never
        arguments = [sys.executable, "-m", "tb2csv", command, server.url, *outputs]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            asked.wait()
            process.send_signal(signal.SIGINT)
            try:
                out, err = process.communicate(timeout=SECONDS_OF_A_HANGING_CLIENT)
            finally:
                process.kill()
                done.set()
    assert (process.returncode, out, err) == (130, "", "tb2csv: interrupted; nothing was changed.\n")
    assert list((tmp_path / "outputs").iterdir()) == []
