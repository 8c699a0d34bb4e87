"""TensorBoard's data server (rustboard) on a log directory, without sampling."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest
import tensorboard_data_server
from tensorboard.data.server_ingester import ExistingServerDataIngester
from tensorboard.util.grpc_util import ChannelCredsType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tensorboard.data.provider import DataProvider


@contextlib.contextmanager
def data_server(logdir: Path, folder: Path, plugins: Iterable[str]) -> Iterator[DataProvider]:
    """Start the server, wait until it has loaded everything, and stop it in the end; ``folder`` gets its port file."""
    binary = tensorboard_data_server.server_binary()
    if binary is None:
        pytest.skip("the data server was not built for this platform")
    port_file = folder / "port"
    keep_all = ",".join(f"{plugin}=all" for plugin in sorted(set(plugins)))
    where = ["--logdir", str(logdir), "--port", "0", "--port-file", str(port_file)]
    command = [binary, *where, "--reload", "once", "--samples-per-plugin", keep_all, "--verbose"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert any("Finished load cycle" in line for line in server.stderr)
            address = f"localhost:{port_file.read_text().strip()}"
            ingester = ExistingServerDataIngester(address, channel_creds_type=ChannelCredsType.LOCAL)
            yield ingester.data_provider
        finally:
            server.terminate()
