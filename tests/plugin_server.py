"""The Export tab without a browser: its routes in this process, and TensorBoards of their own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from argparse import Namespace
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tables import read_tree
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from tb2csv.tensorboard_plugin.loader import ExportLoader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tb2csv.tensorboard_plugin.export_jobs import ExportJob, ExportJobs
    from tb2csv.tensorboard_plugin.plugin import ExportPlugin

API = "/data/plugin/tb2csv/api/"


def context_of(
    logdir: object = "", *, spec: str = "", more_flags: Mapping[str, object] | None = None, **more: Any
) -> TBContext:
    """Return the context that TensorBoard gives its plugins with these options."""
    flags = Namespace(logdir=str(logdir), logdir_spec=spec, **(more_flags or {}))
    return TBContext(logdir=str(logdir), flags=flags, **{"sampling_hints": {}, **more})


class Tab:
    """The tab in this process."""

    def __init__(self, context: TBContext, path_prefix: str = "") -> None:
        plugin = ExportLoader().load(context)
        assert plugin is not None
        self.plugin: ExportPlugin = plugin
        with warnings.catch_warnings():  # of a package that TensorBoard brings along
            warnings.simplefilter("ignore")
            from tensorboard.backend import application
        wsgi = application.TensorBoardWSGI([plugin], path_prefix, context.data_provider)
        self.client = Client(wsgi)
        self.root = path_prefix + API

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(self.root + path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self.client.post(
            self.root + path, **{"data": json.dumps(body), "content_type": "application/json", **more}
        )

    def index(self) -> Any:
        """Return the index once all is read."""
        known = ""
        while True:
            index = self.get(f"index?known={known}").json
            if index.get("state") != "scanning":
                return index
            known = index["version"]

    def export(self, **body: Any) -> str:
        """Begin an export and return its token."""
        response = self.post("export", body)
        assert response.status_code == 200, response.json
        token: str = response.json["token"]
        return token

    def archive(self, **body: Any) -> dict[str, bytes]:
        """Export, and return the files of the archive."""
        response = self.get(f"download/{self.export(**body)}")
        assert response.status_code == 200
        return files_of_zip(response.data)

    def status(self, token: str) -> Any:
        return self.get(f"status/{token}").json

    @property
    def jobs(self) -> ExportJobs:
        return self.plugin._served()._jobs

    def job(self, token: str) -> ExportJob:
        return self.jobs.find(token)

    def close(self) -> None:
        self.plugin._served().close()


def files_of_zip(data: bytes) -> dict[str, bytes]:
    """Return the files in an archive, by their paths in its one folder."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[0].endswith("/")
        assert all(name.startswith(names[0]) for name in names)
        return {name.removeprefix(names[0]): archive.read(name) for name in names[1:]}


def files_of_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of a conversion, by their paths; an archive must not have its ledger."""
    return read_tree(folder)


class ServedTab:
    """The tab of a TensorBoard that is asked through sockets."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> bytes:
        with urlopen(self.url + path) as response:
            data: bytes = response.read()
            return data

    def json(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        headers = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self.url + path, data, headers)) as response:
                return json.load(response)
        except HTTPError as error:
            return json.load(error)

    def index(self) -> Any:
        while (index := self.json(f"{API}index"))["state"] == "scanning":
            time.sleep(0.05)
        return index

    def archive(self, **body: Any) -> dict[str, bytes]:
        token = self.json(f"{API}export", body)["token"]
        return files_of_zip(self.get(f"{API}download/{token}"))

    def hanging_download(self, token: str) -> socket.socket:
        """Ask for an export and read one byte of the answer."""
        place = urlsplit(self.url)
        assert place.hostname
        connection = socket.create_connection((place.hostname, place.port or 80))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = f"{place.path}{API}download/{token}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
        assert connection.recv(1) == b"H"
        return connection


class RunningTensorBoard(ServedTab):
    """A TensorBoard in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        super().__init__(url)
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def until_loaded(self) -> None:
        """Wait until TensorBoard itself has read something."""
        while not self.json("/data/runs"):
            time.sleep(0.1)


class _KeepingLoader(ExportLoader):
    """Keeps what it loaded, to be closed as at the end of a process."""

    loaded: ExportPlugin

    def load(self, context: TBContext) -> ExportPlugin | None:
        plugin = super().load(context)
        assert plugin is not None
        self.loaded = plugin
        return plugin


@contextlib.contextmanager
def tensorboard_here(logdir: Path) -> Iterator[ServedTab]:
    """Serve a log directory with TensorBoard's own server, in threads of this process."""
    loader = _KeepingLoader()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard import default, program

        board = program.TensorBoard(plugins=[*default.get_static_plugins(), loader])
        options = ("--host", "127.0.0.1", "--port", "0", "--load_fast", "false")
        board.configure(("tensorboard", "--logdir", str(logdir), *options, "--reload_interval", "0"))
        server = board._make_server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ServedTab(server.get_url().rstrip("/"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        loader.loaded._served().close()


@contextlib.contextmanager
def tensorboard(folder: Path, *arguments: object, **environment: str) -> Iterator[RunningTensorBoard]:
    """Start TensorBoard as a user does; its log goes to ``folder``."""
    log = folder / "tensorboard.log"
    command = [sys.executable, "-m", "tensorboard.main", "--host", "127.0.0.1", "--port", "0", *map(str, arguments)]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env={**os.environ, **environment},
        )
    try:
        found = None
        while found is None:
            found = re.search(r"(http://127\.0\.0\.1:\d+\S*)", log.read_text(encoding="utf-8"))
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        yield RunningTensorBoard(process, found[1].rstrip("/"), log)
    finally:
        process.terminate()
        process.wait()
