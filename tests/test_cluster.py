"""Conversions on a real Dask scheduler with real workers."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, simple_value, write_run
from installed import skip_module_without
from tables import read_tree

import tb2csv
from tb2csv import conversion_tasks, dask_cluster
from tb2csv.conversion_tasks import cut
from tb2csv.dask_cluster import DaskCluster
from tb2csv.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

skip_module_without("distributed")

ROOT = Path(__file__).resolve().parent.parent
#: The command ``dask``, which has no module of the same name.
DASK = [sys.executable, "-c", "from dask.__main__ import main; main()"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Processes:
    """A scheduler and its workers, which end with the test."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._all: list[subprocess.Popen[bytes]] = []
        self._variables = variables
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        wait_until(self.file.is_file)

    def start_worker(self, first_path: Path = ROOT) -> subprocess.Popen[bytes]:
        """Start a worker that looks for modules in ``first_path`` first."""
        local = self.folder / f"worker{len(self._all)}"
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(local)]
        worker = self._start("worker", *options, PYTHONPATH=str(first_path))
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        for process in reversed(self._all):
            process.kill()
            process.wait()

    def end_workers(self) -> None:
        """End the workers, and wait until the scheduler has seen it."""
        import distributed

        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()
        with distributed.Client(scheduler_file=str(self.file)) as client:
            wait_until(lambda: not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.workers)))

    def _start(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        command = [*DASK, *arguments, "--scheduler-file", str(self.file)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self._variables, **variables}
        log = (self.folder / f"{len(self._all)}.log").open("wb")
        with log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
        self._all.append(process)
        return process


def wait_until(condition: Any) -> None:
    while not condition():
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A scheduler with two workers."""
    processes = Processes(tmp_path_factory.mktemp("cluster"))
    processes.start_worker()
    processes.start_worker()
    yield processes
    processes.end()


def lone_scheduler(tmp_path_factory: pytest.TempPathFactory) -> Processes:
    return Processes(tmp_path_factory.mktemp("scheduler"), DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")


@pytest.fixture(scope="module")
def shared_scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    processes = lone_scheduler(tmp_path_factory)
    yield processes
    processes.end()


@pytest.fixture
def scheduler(shared_scheduler: Processes) -> Iterator[Processes]:
    """A scheduler without workers; those that a test starts end with it."""
    yield shared_scheduler
    shared_scheduler.end_workers()


@pytest.fixture
def mortal_scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A scheduler that the test may end."""
    processes = lone_scheduler(tmp_path_factory)
    yield processes
    processes.end()


@pytest.fixture
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a batch of each run."""
    monkeypatch.setattr(conversion_tasks, "_LEAST_COST", 1)
    monkeypatch.setattr(conversion_tasks, "_BATCHES", 1000)


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Write 40 runs of two tags, in folders within folders."""
    for number in range(40):
        events = [
            event(simple_value(tag, step / 8 + number), step=step, wall_time=100.0 + step)
            for step in range(20)
            for tag in ("loss", "accuracy")
        ]
        write_run(tmp_path / "logs" / f"group{number % 3}" / f"run{number}", *events)
    return tmp_path / "logs"


def stub_package(folder: Path, text: str) -> Path:
    package = folder / "stub" / "tb2csv"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text)
    return package.parent


LAYOUTS = [
    {},
    {"format": "jsonl"},
    {"format": "parquet", "tensors": "npy"},
    {"layout": "long"},
    {"layout": "tags", "format": "parquet"},
    {"layout": "long", "format": "csv.gz", "time": "iso"},
    {"layout": "wide", "merge_subruns": True, "time": "relative"},
    {"rows": tb2csv.RowSelection(every=3)},
]


@pytest.mark.usefixtures("_small_batches")
@pytest.mark.parametrize("options", LAYOUTS, ids=str)
def test_tables_of_a_cluster_equal_local_ones(cluster: Processes, tmp_path: Path, options: dict[str, Any]) -> None:
    logs = ROOT / "sample_logs"
    local = tb2csv.convert(logs, tmp_path / "local", **options)
    counted: list[int] = []
    report = tb2csv.convert(
        os.path.relpath(logs), tmp_path / "out", scheduler_file=cluster.file, progress=counted.append, **options
    )
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "local")
    assert report.to_dict() == local.to_dict()
    assert len(counted) > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "out"]


@pytest.mark.usefixtures("_small_batches")
@pytest.mark.parametrize("name", ["one.csv", "one.parquet"])
def test_one_file_of_a_cluster_equals_a_local_one(cluster: Processes, tmp_path: Path, logdir: Path, name: str) -> None:
    logdirs = [os.path.relpath(logdir / "group0"), logdir / "group1"]
    for out, options in (("cluster", {"scheduler_file": cluster.file}), ("local", {})):
        (tmp_path / out).mkdir()
        report = tb2csv.convert(logdirs, tmp_path / out / name, tag="loss", **options)
        assert (report.values_written, report.tables) == (27 * 20, 1)
    assert (tmp_path / "cluster" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.rglob(f"*{name[:3]}*")) == [name, name]


@pytest.mark.usefixtures("_small_batches")
def test_runs_of_a_killed_worker_are_converted_by_another(scheduler: Processes, tmp_path: Path, logdir: Path) -> None:
    victim = scheduler.start_worker()
    scheduler.start_worker()
    with DaskCluster(None, str(scheduler.file)) as connection:
        wait_until(lambda: len(connection._workers()) == 2)
    calls: list[int] = []

    def kill(count: int) -> None:
        calls.append(count)
        if len(calls) == 3:
            victim.send_signal(signal.SIGKILL)
            victim.wait()

    tb2csv.convert(logdir, tmp_path / "out", scheduler_file=scheduler.file, progress=kill)
    tb2csv.convert(logdir, tmp_path / "local")
    assert len(calls) == 40
    assert victim.returncode == -signal.SIGKILL
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "local")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "logs", "out"]


@pytest.mark.usefixtures("_small_batches")
def test_interrupt_ends_the_tasks_and_leaves_nothing(cluster: Processes, tmp_path: Path, logdir: Path) -> None:
    calls: list[int] = []

    def interrupt(count: int) -> None:
        calls.append(count)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tb2csv.convert(logdir, tmp_path / "out", scheduler_file=cluster.file, progress=interrupt)
    assert len(calls) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    with DaskCluster(None, str(cluster.file)) as connection:
        wait_until(lambda: not any(connection._client.processing().values()))


def test_cluster_conversions_are_brought_up_to_date_locally(cluster: Processes, tmp_path: Path, logdir: Path) -> None:
    out = tmp_path / "out"
    tb2csv.convert(logdir, out, scheduler_file=cluster.file)
    with pytest.raises(tb2csv.OutputError, match="cluster"):
        tb2csv.convert(logdir, out, scheduler_file=cluster.file)
    write_run(logdir / "late", event(simple_value("loss", 1.0), step=1))
    report = tb2csv.convert(logdir, out)
    assert report.update
    assert (report.update.values, report.update.grown, report.update.added) == (1, [], ["late"])
    tb2csv.convert(logdir, tmp_path / "local")
    assert read_tree(out) == read_tree(tmp_path / "local")


def test_address_is_a_scheduler_too(cluster: Processes, tmp_path: Path, logdir: Path) -> None:
    with DaskCluster(None, str(cluster.file)) as connection:
        address, client = connection._client.scheduler.address, connection._client
        tb2csv.convert(logdir, tmp_path / "by_address", scheduler=address)
        tb2csv.convert(logdir, tmp_path / "by_client", scheduler=client)
        assert client.status == "running"
    assert read_tree(tmp_path / "by_address") == read_tree(tmp_path / "by_client")


def test_worker_that_does_not_see_the_output_is_an_error(cluster: Processes, tmp_path: Path) -> None:
    with DaskCluster(None, str(cluster.file)) as connection:
        absent = conversion_tasks.ConversionTask(*[None] * 4, str(tmp_path / "absent"), 1)  # type: ignore[arg-type]
        packed = [pickle.dumps(absent)]
        [(_, answer)] = connection.run("tb2csv.conversion_tasks", "run_task", packed, str)
    error = pickle.loads(answer)
    assert isinstance(error, tb2csv.OutputError)
    assert "absent" in str(error)


def test_scheduler_without_workers_is_an_error(
    scheduler: Processes, tmp_path: Path, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_cluster, "PATIENCE", 3.0)
    with pytest.raises(ClusterError, match="no workers"):
        tb2csv.convert(logdir, tmp_path / "out", scheduler_file=scheduler.file)
    assert not (tmp_path / "out").exists()


def test_missing_scheduler_is_an_error(tmp_path: Path, logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "PATIENCE", 1.0)
    with pytest.raises(ClusterError):
        tb2csv.convert(logdir, tmp_path / "out", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ClusterError):
        tb2csv.convert(logdir, tmp_path / "out", scheduler="not an address")
    with pytest.raises(ClusterError):
        tb2csv.convert(logdir, tmp_path / "out", scheduler_file=tmp_path / "absent.json")
    assert not (tmp_path / "out").exists()


def test_client_of_an_impossible_address_leaves_no_thread() -> None:
    """A client that is left open may be closed in the thread that another client starts, which never ends then."""
    before = set(threading.enumerate())
    with pytest.raises(ClusterError), DaskCluster("not an address"):
        pass
    assert set(threading.enumerate()) <= before


@pytest.mark.usefixtures("_small_batches")
def test_lost_scheduler_ends_the_conversion(
    mortal_scheduler: Processes, tmp_path: Path, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_cluster, "PATIENCE", 5.0)
    mortal_scheduler.start_worker()
    file, end = mortal_scheduler.file, mortal_scheduler.end
    with DaskCluster(None, str(file), patience=60.0):
        pass  # the worker is there
    with pytest.raises(ClusterError, match="lost"):
        tb2csv.convert(logdir, tmp_path / "out", scheduler_file=file, progress=lambda _: end())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("raised", ["CommClosedError", "CancelledError", "OSError"])
def test_scheduler_that_is_lost_while_an_answer_is_fetched_is_named(raised: str) -> None:
    """The future is finished when its status is read, and its result cannot be fetched any more."""
    import distributed

    errors = {
        "CommClosedError": distributed.core.CommClosedError(),
        "CancelledError": distributed.utils.CancelledError(),
        "OSError": ConnectionResetError(),
    }

    class Lost:
        status = "finished"

        def result(self, timeout: float) -> bytes:
            self.status = "cancelled" if raised == "CancelledError" else "finished"
            raise errors[raised]

    with pytest.raises(ClusterError, match="The scheduler here or all of its workers were lost"):
        DaskCluster("here")._answer(Lost(), "the run north")


@pytest.mark.parametrize(
    ("package", "version"),
    [("__version__ = '0.0.1'\n", "0.0.1"), ("raise ImportError('not here')\n", "no tb2csv")],
    ids=["other version", "no package"],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_worker_with_another_version_is_an_error(
    scheduler: Processes,
    tmp_path: Path,
    logdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    version: str,
    is_late: bool,
) -> None:
    if is_late:  # a worker that joins later is not there when versions are compared
        monkeypatch.setattr(DaskCluster, "_check_versions", lambda _: None)
    scheduler.start_worker(stub_package(tmp_path, package))
    with pytest.raises(ClusterError) as caught:
        tb2csv.convert(logdir, tmp_path / "out", scheduler_file=scheduler.file)
    assert version in str(caught.value)
    assert tb2csv.__version__ in str(caught.value)


def test_batch_that_ends_its_workers_is_named(scheduler: Processes, tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text("import os\n\ndef end(task):\n    os._exit(1)\n")
    scheduler.start_worker(tmp_path)
    scheduler.start_worker(tmp_path)
    with DaskCluster(None, str(scheduler.file)) as connection, pytest.raises(ClusterError, match="the run north"):
        list(connection.run("ending", "end", [b""], lambda _: "the run north"))


def test_scheduler_excludes_other_options(tmp_path: Path, logdir: Path) -> None:
    with pytest.raises(tb2csv.OptionError):
        tb2csv.convert(logdir, tmp_path / "out", scheduler="tcp://127.0.0.1:9", scheduler_file="s.json")
    with pytest.raises(tb2csv.OptionError):
        tb2csv.convert(logdir, tmp_path / "out", scheduler="tcp://127.0.0.1:9", workers=2)


@pytest.mark.parametrize(("count", "size"), [(1, 0), (10_000, 11_000), (100_000, 0), (50, 1 << 30), (3, 1 << 30)])
def test_batches_are_about_a_hundred_and_none_is_tiny(count: int, size: int) -> None:
    batches = list(cut(range(count), [size] * count))
    assert [number for batch in batches for number in batch] == list(range(count))
    assert len(batches) <= 110
    # Only the last batch has less than 4 MiB, counting 16 KiB for a run.
    cost = size + (16 << 10)
    assert all((len(batch) + 1) * cost > (4 << 20) for batch in batches[:-1])
