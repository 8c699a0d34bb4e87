"""The event files that TensorBoard shows and their runs, named as TensorBoard names them.

They are found as ``tb2csv convert`` finds them, so that an export equals the command line's result: below
``--logdir``, or below each folder of ``--logdir_spec``. TensorBoard's own list of runs is used only if TensorBoard was
started without a folder, because the list is updated late and repeats a folder for each link to it.

Source: ``_parse_event_files_spec`` in tensorboard/backend/event_processing/data_ingester.py, and
``AddRunsFromDirectory`` in plugin_event_multiplexer.py.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import LogdirError
from tb2csv.logdir import ROOT_RUN, Logdir, Run, discover
from tb2csv.sources.urls import is_url

if TYPE_CHECKING:
    from tb2csv.errors import Damage


class LogFolder(NamedTuple):
    """A folder of event files; ``name``, unless empty, is a prefix of the names of its runs."""

    path: str
    name: str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the path is a URL."""
        return is_url(self.path)


@dataclass(frozen=True)
class FoundRuns:
    """The runs that were found, and a sentence for each folder without runs."""

    logdir: Logdir
    notes: list[str]


class EventSources:
    """The event files of one TensorBoard process."""

    def __init__(self, context: Any) -> None:
        """Read the folders from TensorBoard's ``context``, a TBContext in which every field may be None."""
        #: The value of ``--logdir``, unchanged; empty if it was not given.
        self.given: str = context.logdir or ""
        spec = getattr(context.flags, "logdir_spec", None) or ""
        if self.given:
            self.folders: tuple[LogFolder, ...] = (LogFolder(_absolute(self.given)),)
        else:
            self.folders = tuple(parse_logdir_spec(spec)) if spec else ()
        self._multiplexer = None if self.folders else context.multiplexer

    @property
    def is_empty(self) -> bool:
        """Whether TensorBoard was started without event files, as with ``--db``."""
        return not self.folders and self._multiplexer is None

    def find(self) -> FoundRuns:
        """Return the present runs.

        Raises:
            LogdirError: there are none.
        """
        if self._multiplexer is not None:
            folders = [LogFolder(path, name) for name, path in dict(self._multiplexer.RunPaths()).items()]
            return _joined(folders, only_own=True)
        if len(self.folders) == 1 and self.folders[0].name is None:
            return FoundRuns(discover(self.folders[0].path), [])
        return _joined(self.folders, only_own=False)

    def hide_paths(self, message: str) -> str:
        """Return an error message without the absolute paths of these folders."""
        for folder in sorted(self.folders, key=lambda folder: -len(folder.path)):
            message = message.replace(folder.path, folder.name or "LOGDIR")
        return message


#: What TensorBoard takes for a URI in a ``--logdir_spec``; ``name::path`` is a name and a path.
_URI: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z.]*://")


def parse_logdir_spec(spec: str) -> list[LogFolder]:
    """Return the folders of a ``--logdir_spec``; if a path is given twice, the last name counts."""
    names: dict[str, str | None] = {}
    for part in spec.split(","):
        is_named = ":" in part and not part.startswith("/") and not os.path.splitdrive(part)[0]
        name, _, path = part.partition(":") if is_named and not _URI.match(part) else ("", "", part)
        if not _URI.match(path):
            path = os.path.realpath(os.path.expanduser(path))
        names[path] = name or None
    return [LogFolder(path, name) for path, name in names.items()]


def _absolute(logdir: str) -> str:
    """Return the absolute path of a logdir, which stays valid if the current directory changes."""
    if is_url(logdir):
        return logdir
    return os.path.abspath(os.path.expanduser(logdir))


def _joined(folders: tuple[LogFolder, ...] | list[LogFolder], *, only_own: bool) -> FoundRuns:
    """Return the runs of several folders; ``only_own`` leaves out runs below, and names the run like the folder."""
    runs: dict[str, Run] = {}
    damage: list[Damage] = []
    notes = []
    for folder in folders:
        name = folder.name or ""
        try:
            found = discover(folder.path)
        except LogdirError:
            notes.append(f"There are no event files in {f'the folder {name!r}' if name else 'one of the folders'}.")
            continue
        damage += found.damage
        own = (run for run in found.runs if run.name == ROOT_RUN)
        below = ((f"{name}/{run.name}" if name else run.name, run) for run in found.runs)
        named = ((name, run) for run in own) if only_own else below
        runs |= {run_name: _named(run, run_name, name) for run_name, run in named}
    if not runs:
        message = "There are no event files in any of TensorBoard's folders."
        raise LogdirError(message)
    path = ",".join(folder.path for folder in folders)
    return FoundRuns(Logdir(path, tuple(runs[name] for name in sorted(runs)), damage), notes)


def _named(run: Run, name: str, folder: str) -> Run:
    """Return a run with another name, and the name of its folder in the paths of its files."""
    files = (file._replace(path=f"{folder}/{file.path}" if folder else file.path) for file in run.files)
    return Run(name, tuple(files))
