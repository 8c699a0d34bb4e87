"""Work on a Dask cluster: tasks and results as bytes, in the order in which they end.

Dask keeps a future pending forever if there are no workers or the scheduler is lost, so the time without either is
limited here. The function that workers call is sent by value, and imports tb2csv when it is called: then a worker
without the package answers, and does not end.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from tb2csv.errors import ClusterError, MissingExtraError
from tb2csv.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

#: How long to wait for a scheduler, and for the first worker or another one after all are lost, in seconds.
PATIENCE: Final = 60.0

#: How often the cluster is checked, and signals are handled, in seconds.
_SECONDS_BETWEEN_LOOKS: Final = 2.0
_SECONDS_BETWEEN_SIGNALS: Final = 0.05

#: The first item of what a worker answers.
_DONE: Final = "done"


class DaskCluster:
    """A connection to the scheduler of a cluster, a context manager."""

    def __init__(self, scheduler: Any = None, scheduler_file: str | None = None, patience: float | None = None) -> None:
        """Name the scheduler: by its address, by a client that is connected to it, or by its file.

        Raises:
            MissingExtraError: distributed is not installed.
            ClusterError: the file does not exist.
        """
        try:
            importlib.import_module("distributed")
        except ImportError:
            raise MissingExtraError("A conversion on a cluster", "distributed", "dask") from None
        if scheduler_file is not None and not Path(scheduler_file).is_file():  # Dask would wait for it forever
            message = f"There is no scheduler file {scheduler_file}; start a Dask scheduler that writes it."
            raise ClusterError(message)
        self._scheduler = scheduler
        self._file = scheduler_file
        self._patience = PATIENCE if patience is None else patience
        self._is_own = isinstance(scheduler, str) or scheduler is None
        self._name = scheduler_file or (scheduler if isinstance(scheduler, str) else "the cluster")
        self._client: Any = None

    def __enter__(self) -> Self:
        """Connect to the scheduler, wait for a worker, and compare the versions of tb2csv.

        Raises:
            ClusterError: there is no scheduler or no worker, or versions differ.
        """
        self._level = logging.getLogger("distributed").level
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its messages have tracebacks; ours say the same
        try:
            if self._is_own:
                timeout = f"{self._patience}s"
                self._client = _client_class()(
                    self._scheduler, scheduler_file=self._file, timeout=timeout, set_as_default=False
                )
            else:
                self._client = self._scheduler
            self._wait_for_worker()
            self._check_versions()
        except (OSError, ValueError) as error:
            self.__exit__()
            message = f"There is no Dask scheduler at {self._name} ({error}); check the address."
            raise ClusterError(message) from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection, unless the caller made it."""
        if self._is_own and self._client is not None:
            with contextlib.suppress(Exception):  # a lost scheduler does not answer
                self._client.close(timeout=_SECONDS_BETWEEN_LOOKS)
        logging.getLogger("distributed").setLevel(self._level)

    def run(
        self, module: str, function: str, tasks: Sequence[bytes], describe: Callable[[int], str]
    ) -> Iterator[tuple[int, bytes]]:
        """Yield the number and the result of each task as it ends; tasks that have not ended are cancelled at the end.

        A task may be done several times, because workers can be lost.

        Args:
            module: the module of the function.
            function: the name of the function, from bytes to bytes.
            tasks: the arguments.
            describe: returns what a task works on, for messages.

        Raises:
            ClusterError: all workers or the scheduler are lost, or workers end while they do a task.
        """
        entry = _entry()
        ended: SimpleQueue[int] = SimpleQueue()
        pending: dict[int, Any] = {}
        try:
            for number, task in enumerate(tasks):
                # Not pure: Dask would not call a function again with the arguments of an earlier call.
                future = self._client.submit(entry, __version__, module, function, task, pure=False, retries=0)
                future.add_done_callback(lambda _, number=number: ended.put(number))
                pending[number] = future
            seen = time.monotonic()
            looked = seen
            while pending:
                try:
                    number = ended.get(timeout=_SECONDS_BETWEEN_SIGNALS)
                except Empty:
                    now = time.monotonic()
                    if now - looked > _SECONDS_BETWEEN_LOOKS:
                        looked = now
                        if self._workers():
                            seen = now
                        elif now - seen > self._patience:
                            raise self._lost() from None
                    continue
                answer = self._answer(pending[number], describe(number))
                if answer is None:  # its worker was lost with the result, and it is done again
                    pending[number].add_done_callback(lambda _, number=number: ended.put(number))
                    continue
                del pending[number]
                yield number, answer
        finally:
            if pending:
                with contextlib.suppress(Exception):  # a lost scheduler has nothing to cancel
                    self._client.cancel(list(pending.values()))

    def _answer(self, future: Any, what: str) -> bytes | None:
        """Return what a worker answered; None if the answer was lost."""
        from distributed import KilledWorker
        from distributed import TimeoutError as DaskTimeoutError

        if future.status == "cancelled":
            raise self._lost()
        try:
            answer = future.result(timeout=self._patience)
        except DaskTimeoutError:
            return None
        except KilledWorker as error:
            message = f"Every worker that converted {what} ended while it did so; it may need more memory."
            raise ClusterError(message) from error
        except Exception as error:
            if future.status != "error":  # it is not an error of the task: the connection was lost just now
                raise self._lost() from error
            message = f"A worker could not convert {what} ({type(error).__name__}: {error})."
            raise ClusterError(message) from error
        value: bytes
        kind, value, worker = answer
        if kind != _DONE:
            raise _other_version({worker: value})
        return value

    def _workers(self) -> list[str]:
        """Return the addresses of the workers; none if the scheduler cannot be reached."""
        try:
            return list(self._client.nthreads())
        except Exception:  # noqa: BLE001 - Dask raises many kinds
            return []

    def _wait_for_worker(self) -> None:
        until = time.monotonic() + self._patience
        while not self._workers():
            if time.monotonic() > until:
                message = f"The scheduler {self._name} has had no workers for {self._patience:.0f} s; start some."
                raise ClusterError(message)
            time.sleep(_SECONDS_BETWEEN_SIGNALS)

    def _check_versions(self) -> None:
        """Compare the versions of Python and tb2csv; workers that join later compare them at each task."""
        workers = self._client.get_versions(packages=["tb2csv"])["workers"]
        own = "{}.{}".format(*sys.version_info)
        for worker, facts in workers.items():
            python = ".".join(str(facts["packages"]["python"]).split(".")[:2])
            if python != own:
                message = f"The worker {worker} has Python {python}, and this machine {own}; use one version for all."
                raise ClusterError(message)
        others = {worker: facts["packages"]["tb2csv"] for worker, facts in workers.items()}
        if others := {worker: version for worker, version in others.items() if version != __version__}:
            raise _other_version(others)

    def _lost(self) -> ClusterError:
        message = f"The scheduler {self._name} or all of its workers were lost; nothing was changed, so start again."
        return ClusterError(message)


def _client_class() -> Any:
    """Return Dask's client, made to close itself if it cannot connect.

    Dask leaves such a client open until it is collected as garbage, in any thread. If that is the thread that another
    client has just started, both wait for one another (distributed 2026.8).
    """
    from distributed import Client

    unannotated: Any = Client

    class ClosingClient(unannotated):  # type: ignore[misc]
        def start(self, **options: Any) -> None:
            try:
                super().start(**options)
            except BaseException:
                self.close(timeout=_SECONDS_BETWEEN_LOOKS)
                raise

    return ClosingClient


def _other_version(workers: dict[str, Any]) -> ClusterError:
    worker, version = next(iter(workers.items()))
    has = f"tb2csv {version}" if version else "no tb2csv"
    return ClusterError(
        f"The worker {worker} has {has}, but this machine has tb2csv {__version__}; install the same version on both."
    )


def _entry() -> Callable[..., tuple[str, Any, str]]:
    """Return the function that workers call. cloudpickle sends a nested function by value."""

    def call(version: str, module: str, function: str, task: bytes) -> tuple[str, Any, str]:
        import importlib

        from distributed import get_worker

        worker = get_worker().address
        try:
            found = importlib.import_module("tb2csv").__version__
        except ImportError:
            found = None
        if found != version:
            return "version", found, worker
        return "done", getattr(importlib.import_module(module), function)(task), worker

    return call
