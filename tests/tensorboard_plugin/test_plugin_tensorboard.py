"""The Export tab in TensorBoards as users start them: both data servers, prefixes, and a tb2csv that is broken."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
from event_files import event, scalar, tensor, write_run
from plugin_server import API, RunningTensorBoard, files_of_folder, tensorboard

import tb2csv
from tb2csv import convert

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"
DATA_SERVERS = {"rust": "true", "python": "false"}


@pytest.fixture(scope="module", params=DATA_SERVERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTensorBoard]:
    folder = tmp_path_factory.mktemp("tensorboard")
    options = ("--logdir", SAMPLE_LOGS, "--load_fast", DATA_SERVERS[request.param], "--path_prefix", "/some/prefix")
    options += ("--tb2csv_hosts", "proxy.example.org")
    with tensorboard(folder, *options) as running:
        running.until_loaded()
        yield running
        assert "In 3.0" not in running.log
        assert "Traceback" not in running.log


def test_the_tab_is_listed_and_active(running: RunningTensorBoard) -> None:
    listing = running.json("/data/plugins_listing")
    assert listing["tb2csv"]["enabled"] is True
    assert listing["tb2csv"]["tab_name"].strip() == "Export"
    assert listing["tb2csv"]["loading_mechanism"]["type"] == "IFRAME"


def test_the_page_loads_its_script(running: RunningTensorBoard) -> None:
    document = running.get("/data/plugin_entry.html?name=tb2csv").decode()
    assert "./static/index.js" in document
    assert b"export" in running.get("/data/plugin/tb2csv/static/index.js")


def test_the_archive_of_sample_logs_equals_the_output_of_convert(running: RunningTensorBoard, tmp_path: Path) -> None:
    convert(SAMPLE_LOGS, tmp_path / "out", escape_formulas=True)
    assert running.archive() == files_of_folder(tmp_path / "out")


def test_experiments_are_served_as_well(running: RunningTensorBoard) -> None:
    assert running.json(f"/experiment/defaultExperimentId{API}index")["runs"] == running.index()["runs"]


@pytest.mark.parametrize(("host", "code"), [("proxy.example.org", None), ("rebound.example.org", "host")])
def test_only_requests_for_known_hosts_are_answered(running: RunningTensorBoard, host: str, code: str | None) -> None:
    answer = running.json(f"{API}options", headers={"Host": host})
    assert answer.get("error", {}).get("code") == code


def test_errors_do_not_reveal_paths(running: RunningTensorBoard) -> None:
    error = running.json(f"{API}export", {"runs": ["/etc"]})["error"]
    assert error["code"] == "no_run"
    assert str(SAMPLE_LOGS) not in str(error)


def test_a_file_that_grows_is_exported_as_it_is_then(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    path = write_run(logs / "run", event(scalar("loss", 1), step=1))
    with tensorboard(tmp_path, "--logdir_spec", f"named:{logs}") as running:
        index = running.index()
        assert index["runs"] == ["named/run"]
        assert running.archive()["named/run/scalars/loss.csv"].count(b"\n") == 2
        grown = write_run(tmp_path / "other", event(scalar("loss", 1), step=1), event(scalar("loss", 2), step=2))
        path.write_bytes(grown.read_bytes())
        again = running.json(f"{API}index?known={index['version']}")
        assert again["series"]["points"] == [2]
        assert running.archive()["named/run/scalars/loss.csv"].count(b"\n") == 3


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose table is larger than what sockets hold."""
    logs = tmp_path_factory.mktemp("large") / "logs"
    write_run(logs, *(event(tensor("t", np.arange(300_000.0) + step), step=step) for step in range(4)))
    return logs


def test_stalled_clients_do_not_block_others(large: Path, tmp_path: Path) -> None:
    with tensorboard(tmp_path, "--logdir", large) as running, contextlib.ExitStack() as stalled:
        for _ in range(4):
            token = running.json(f"{API}export", {})["token"]
            stalled.enter_context(running.hanging_download(token))
            while running.json(f"{API}status/{token}")["state"] != "sending":
                time.sleep(0.05)
        assert running.archive()["tensors/t.csv"].count(b"\n") == 4 * 300_000 + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_tensorboard_ends_though_an_export_is_at_work(large: Path, tmp_path: Path, number: signal.Signals) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with tensorboard(tmp_path, "--logdir", large, TMPDIR=str(work)) as running:
        token = running.json(f"{API}export", {"format": "csv.gz"})["token"]
        while running.json(f"{API}status/{token}")["state"] != "running" or not list(work.glob("tb2csv-exports-*")):
            time.sleep(0.01)
        running.process.send_signal(number)
        assert running.process.wait() == 0
        assert "Traceback" not in running.log
    assert not list(work.glob("tb2csv-exports-*"))


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of so many runs that reading them takes a while."""
    logs = tmp_path_factory.mktemp("many") / "logs"
    first = write_run(
        logs / "0", *(event(scalar(f"t{tag}", step), step=step) for tag in range(5) for step in range(200))
    )
    for run in range(1, 1500):
        (logs / str(run)).mkdir()
        shutil.copy(first, logs / str(run))
    return logs


@pytest.mark.parametrize("exports", [1, 3], ids=["an export of many runs", "exports that wait"])
def test_tensorboard_ends_though_many_runs_are_exported(many_runs: Path, tmp_path: Path, exports: int) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with tensorboard(tmp_path, "--logdir", many_runs, TMPDIR=str(work)) as running:
        tokens = [running.json(f"{API}export", {})["token"] for _ in range(exports)]
        while not any(work.glob("tb2csv-exports-*/*/*")):
            time.sleep(0.01)
        if exports > 1:
            running.json(f"{API}cancel/{tokens[0]}", {})  # its folder is removed at the same time
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait() == 0
        assert "Traceback" not in running.log
        assert "Exception" not in running.log
    assert not list(work.glob("tb2csv-exports-*"))


def test_tensorboard_ends_though_the_index_is_being_made(many_runs: Path, tmp_path: Path) -> None:
    with tensorboard(tmp_path, "--logdir", many_runs) as running:
        assert running.json(f"{API}index")["state"] == "scanning"
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait() == 0
        assert "Traceback" not in running.log
        assert "Exception" not in running.log


#: What runs first in a Python that lacks something; the sources here must not replace what is missing.
BLOCKER = """
import sys
sys.meta_path[:] = [each for each in sys.meta_path if "Editable" not in getattr(each, "__name__", "")]
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in {0!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""

BROKEN = {
    "polars is missing": ({"polars"}, ()),
    "the plugin's module is gone": ((), ("tensorboard_plugin/plugin.py", "tensorboard_plugin/web_api.py")),
    "half of the package is gone": ((), ("errors.py", "logdir.py", "runs", "decoders")),
    "what only a request needs is gone": ((), ("selection.py",)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_tensorboard_works_if_tb2csv_is_broken(broken: str, tmp_path: Path) -> None:
    missing, removed = BROKEN[broken]
    site = tmp_path / "site"
    shutil.copytree(Path(tb2csv.__file__).parent, site / "tb2csv", ignore=shutil.ignore_patterns("__pycache__"))
    for name in removed:
        gone = site / "tb2csv" / name
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    (site / "sitecustomize.py").write_text(BLOCKER.format(set(missing)))
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    with tensorboard(tmp_path, "--logdir", SAMPLE_LOGS, PYTHONPATH=path) as running:
        running.until_loaded()
        assert "tf2" in running.json("/data/runs")
        assert running.json("/data/plugins_listing")["scalars"]["enabled"]
        assert running.json("/data/plugin/scalars/tags")["tf2"]["loss"]
        if "errors.py" not in removed and "tensorboard_plugin/plugin.py" not in removed:
            assert running.json("/data/plugins_listing")["tb2csv"]["enabled"]
        if missing:
            token = running.json(f"{API}export", {})["token"]
            while (status := running.json(f"{API}status/{token}"))["state"] in {"queued", "running"}:
                time.sleep(0.05)
            assert status["error"]["message"] == "polars cannot be imported; reinstall tb2csv."
        elif "selection.py" in removed:
            error = running.json(f"{API}index")["error"]
            message = "tb2csv does not work, because tb2csv.selection cannot be imported; reinstall it."
            assert error == {"code": "broken", "message": message}
        else:
            assert "TensorBoard starts without the Export tab" in running.log
            assert "tb2csv" not in running.json("/data/plugins_listing")
            with pytest.raises((HTTPError, URLError)):
                running.get(f"{API}index")
