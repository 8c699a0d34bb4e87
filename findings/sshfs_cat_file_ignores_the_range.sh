#!/usr/bin/env bash
# sshfs's cat_file ignores start and end, and its open files have neither a size nor readinto.
# One expects: four bytes for start=2, end=6, as from other file systems of fsspec; a file that io.BufferedReader takes.
# What happens: the whole file comes, without an error; the file has read and seek alone, which do as they should.
# Seen with: sshfs 2026.8.0, asyncssh 2.24.1, fsspec 2026.9.0.
# Consequence: compare the length of an answer with that of the range, and read by seek and read.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sshfs==2026.8.0 asyncssh==2.24.1 fsspec==2026.9.0
cd "$work"
printf 0123456789 > log
cat > server.py <<'PYTHON'
import asyncio

import asyncssh


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False


async def main():
    keys = [asyncssh.generate_private_key("ssh-ed25519")]
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, sftp_factory=True, server_host_keys=keys)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


asyncio.run(main())
PYTHON
venv/bin/python -W ignore - <<'PYTHON'
import os
import subprocess
import sys

from sshfs import SSHFileSystem

with subprocess.Popen([sys.executable, "server.py"], stdout=subprocess.PIPE, text=True) as server:
    port = int(server.stdout.readline())
    host = SSHFileSystem("127.0.0.1", port=port, username="user", known_hosts=None, client_keys=None, agent_path=None)
    path = os.path.abspath("log")
    whole = host.cat_file(path, start=2, end=6)
    with host.open(path) as file:
        file.seek(2)
        part = file.read(4)
        missing = [name for name in ("size", "readinto") if not hasattr(file, name)]
    server.terminate()
print(f"cat_file(start=2, end=6): {whole!r}; seek(2), read(4): {part!r}; the file lacks {missing}")
sys.exit((whole, part, missing) != (b"0123456789", b"2345", ["size", "readinto"]))
PYTHON
