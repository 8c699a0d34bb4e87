"""Logs on SSH hosts: asyncssh's own SFTP server, and OpenSSH's if it is installed."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from event_files import event, event_file, file_name, simple_value
from installed import skip_module_without
from remote_logs import assert_converts_as_local, write_logs

import tb2csv

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@dataclass(frozen=True)
class Host:
    """A server on this machine, and a user who gets in without a password, by a key or by name alone."""

    address: str
    user: str
    key: str | None

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@{self.address}{path}"


@contextlib.contextmanager
def asyncssh_server() -> Iterator[Host]:
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", _SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield Host(f"127.0.0.1:{server.stdout.readline().strip()}", "open", None)
        server.terminate()


@contextlib.contextmanager
def openssh_server(folder: Path) -> Iterator[Host]:
    """Start sshd as the user of the tests, who logs in by a new key."""
    import asyncssh

    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program or not (os.getuid() or Path("/run/sshd").is_dir()):
        pytest.skip("sshd is not installed, or has no /run/sshd, which it needs for the superuser")
    for name in ["host_key", "user_key"]:
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
        (folder / name).chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/user_key.pub\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nPidFile none\n"
        "Subsystem sftp internal-sftp\n"
    )
    log = folder / "log"
    # -D stays in the foreground, and -E names the log; sshd needs its absolute path, because it starts itself again.
    with subprocess.Popen([program, "-D", "-E", log, "-f", folder / "config"]) as server:
        while "listening" not in (log.read_text() if log.exists() else ""):
            assert server.poll() is None, log.read_text()
            time.sleep(0.01)
        yield Host(f"127.0.0.1:{port}", getpass.getuser(), str(folder / "user_key"))
        server.terminate()


@pytest.fixture(scope="module", params=["asyncssh", "openssh"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with asyncssh_server() if request.param == "asyncssh" else openssh_server(tmp_path_factory.mktemp("ssh")) as host:
        yield host


@pytest.fixture
def host(server: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    import fsspec

    # As in a configuration file of fsspec: the server has a new key each time.
    options = {"known_hosts": None, "client_keys": server.key, "agent_path": None}
    monkeypatch.setitem(fsspec.config.conf, "ssh", options)
    return server


def values(count: int) -> bytes:
    return event_file([event(simple_value("loss", step), step=step, wall_time=step) for step in range(count)])


@pytest.mark.slow
def test_tables_equal_those_of_the_folder(host: Host, tmp_path: Path) -> None:
    logdir = write_logs(tmp_path / "logs")
    assert_converts_as_local(host.url(logdir), logdir, tmp_path)


@pytest.mark.slow
def test_a_large_file_is_read_in_ranges(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "logs" / file_name()
    path.parent.mkdir()
    data = event_file([event(simple_value("x" * 1000, step), step=step) for step in range(20_000)])
    path.write_bytes(data)
    (run,) = tb2csv.discover(host.url(path.parent)).runs
    with run.files[0].open() as file:
        assert (file.size, file.read_at(12 << 20, 5)) == (len(data), data[12 << 20 : (12 << 20) + 5])
    assert tb2csv.check(host.url(path.parent)).values_read == 20_000


def test_sizes_are_those_of_now(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "logs" / file_name()
    path.parent.mkdir()
    path.write_bytes(values(1))
    frames = tb2csv.open_logdir(host.url(path.parent))
    path.write_bytes(values(3))
    assert frames.refresh()
    assert len(frames.scalars()) == 3


def test_a_missing_folder_is_an_error(host: Host, tmp_path: Path) -> None:
    with pytest.raises(tb2csv.LogdirError, match="nothing"):
        tb2csv.ls(host.url(tmp_path / "nothing"))


def test_a_refused_login_names_the_agent_and_hides_the_password(host: Host, tmp_path: Path) -> None:
    with pytest.raises(tb2csv.LogdirError, match=r"refused .*ssh-agent") as caught:
        tb2csv.ls(f"ssh://closed:hidden@{host.address}{tmp_path}")
    assert "hidden" not in str(caught.value)
