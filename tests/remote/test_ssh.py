"""Logs on SSH hosts: asyncssh's own SFTP server."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from event_files import event, event_file, file_name, simple_value
from installed import skip_module_without
from remote_logs import assert_converts_as_local, write_logs

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

skip_module_without("asyncssh", "sshfs")

_SERVER = """
import asyncio, asyncssh, sys

class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return username != "open"

async def main():
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, sftp_factory=True,
                                   server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")])
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", _SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield f"127.0.0.1:{server.stdout.readline().strip()}"
        server.terminate()


@pytest.fixture
def host(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a host, to which the user ``open`` needs no password."""
    import fsspec

    # As in a configuration file of fsspec: the server has a new key each time.
    monkeypatch.setitem(fsspec.config.conf, "ssh", {"known_hosts": None, "client_keys": None, "agent_path": None})
    return server


def values(count: int) -> bytes:
    return event_file([event(simple_value("loss", step), step=step, wall_time=step) for step in range(count)])


@pytest.mark.slow
def test_tables_equal_those_of_the_folder(host: str, tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    assert_converts_as_local(f"ssh://open@{host}{logdir}", logdir, tmp_path)


@pytest.mark.slow
def test_a_large_file_is_read_in_ranges(host: str, tmp_path: Path) -> None:
    path = tmp_path / "logs" / file_name()
    path.parent.mkdir()
    data = event_file([event(simple_value("x" * 1000, step), step=step) for step in range(20_000)])
    path.write_bytes(data)
    (run,) = tb2csv.discover(f"ssh://open@{host}{path.parent}").runs
    with run.files[0].open() as file:
        assert (file.size, file.read_at(12 << 20, 5)) == (len(data), data[12 << 20 : (12 << 20) + 5])
    assert tb2csv.check(f"ssh://open@{host}{path.parent}").values_read == 20_000


def test_sizes_are_those_of_now(host: str, tmp_path: Path) -> None:
    path = tmp_path / "logs" / file_name()
    path.parent.mkdir()
    path.write_bytes(values(1))
    frames = tb2csv.open_logdir(f"ssh://open@{host}{path.parent}")
    path.write_bytes(values(3))
    assert frames.refresh()
    assert len(frames.scalars()) == 3


def test_a_missing_folder_is_an_error(host: str, tmp_path: Path) -> None:
    with pytest.raises(tb2csv.LogdirError, match="nothing"):
        tb2csv.ls(f"ssh://open@{host}{tmp_path}/nothing")


def test_a_refused_login_names_the_agent_and_hides_the_password(host: str, tmp_path: Path) -> None:
    with pytest.raises(tb2csv.LogdirError, match=r"refused .*ssh-agent") as caught:
        tb2csv.ls(f"ssh://closed:hidden@{host}{tmp_path}")
    assert "hidden" not in str(caught.value)
