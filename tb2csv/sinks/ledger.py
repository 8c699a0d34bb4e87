"""The ledger of a conversion: what an update must know, in an SQLite file in the output folder.

One run of ten thousand can change without the others being written again. The journal is the default one, because a
database in WAL mode cannot be read in a folder without the permission to write.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import OutputError
from tb2csv.messages import Option, advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

#: The folder in the output folder with everything that is not a table; its name starts with a dot, as no table's does.
PRIVATE: Final = ".tb2csv"
LEDGER: Final = f"{PRIVATE}/ledger.sqlite"
_HOLDER: Final = f"{PRIVATE}/holder.json"

#: Raise it if the format of the ledger or of the states in it changes.
_FORMAT: Final = 1

_TABLES: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE runs (name TEXT PRIMARY KEY, files TEXT, result TEXT, state TEXT) WITHOUT ROWID;
"""


class LedgerRow(NamedTuple):
    """What the ledger has of a run; see ``Ledger``."""

    name: str
    files: str
    result: Any
    state: Any


class Ledger:
    """The ledger of one output folder. While it is open, it is locked against other processes.

    For each run it has its files and their versions, the result of its conversion, and the state with which reading
    continues. ``facts`` has the rest, by name.
    """

    def __init__(self, out: Path, connection: sqlite3.Connection) -> None:
        """Use an open connection to the ledger of the output folder ``out``."""
        self._out = out
        self._connection = connection

    @classmethod
    def exists(cls, out: Path) -> bool:
        """Return whether an output folder has a ledger."""
        return os.path.isfile(out / LEDGER)

    @classmethod
    def create(cls, out: Path) -> Self:
        """Create an empty ledger in a folder that has none."""
        (out / PRIVATE).mkdir(exist_ok=True)
        (out / LEDGER).touch()  # with the permissions of the umask; SQLite's own would be narrower
        connection = sqlite3.connect(out / LEDGER, isolation_level=None)
        connection.executescript(_TABLES)
        connection.execute("BEGIN IMMEDIATE")
        ledger = cls(out, connection)
        ledger.put_fact("format", _FORMAT)
        return ledger

    @classmethod
    def open(cls, out: Path) -> Self:
        """Open and lock the ledger of an output folder.

        Raises:
            OutputError: another process has locked it, or it is damaged or of another version.
        """
        try:
            connection = sqlite3.connect(out / LEDGER, isolation_level=None, timeout=0)
            ledger = cls(out, connection)
            connection.execute("BEGIN IMMEDIATE")
            if ledger.fact("format") != _FORMAT:
                raise OutputError(f"{out} was written by another version of tb2csv", _REPLACE)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise OutputError(f"{out} is being updated by {_holder(out)}; wait until it is done.") from error
            raise OutputError(f"{out} cannot be brought up to date ({error})", _REPLACE) from error
        except (sqlite3.DatabaseError, ValueError) as error:
            raise OutputError(f"{out} cannot be brought up to date, because its ledger is damaged", _REPLACE) from error
        holder = {"process": os.getpid(), "machine": socket.gethostname()}
        with contextlib.suppress(OSError):  # only the message to others needs it
            (out / _HOLDER).write_text(json.dumps(holder), "utf-8")
        return ledger

    def fact(self, name: str) -> Any:
        """Return a fact, or None."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def put_fact(self, name: str, value: Any) -> None:
        """Set a fact; ``value`` is data for JSON."""
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def files(self) -> dict[str, str]:
        """Return the files and their versions, by run."""
        return dict(self._connection.execute("SELECT name, files FROM runs"))

    def results(self) -> Iterator[tuple[str, Any]]:
        """Yield each run and its result."""
        for name, result in self._connection.execute("SELECT name, result FROM runs"):
            yield name, json.loads(result)

    def state(self, name: str) -> Any:
        """Return the state of a run, or None if reading cannot be continued."""
        (state,) = self._connection.execute("SELECT state FROM runs WHERE name = ?", (name,)).fetchone()
        return json.loads(state)

    def put_runs(self, rows: Iterable[LedgerRow]) -> None:
        """Set what the ledger has of some runs."""
        encoded = ((row.name, row.files, json.dumps(row.result), json.dumps(row.state)) for row in rows)
        self._connection.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", encoded)

    def put_files(self, files: Mapping[str, str]) -> None:
        """Set the versions of the files of some runs, whose bytes are the same."""
        self._connection.executemany(
            "UPDATE runs SET files = ? WHERE name = ?", ((new, run) for run, new in files.items())
        )

    def remove_runs(self, names: Iterable[str]) -> None:
        """Remove some runs."""
        self._connection.executemany("DELETE FROM runs WHERE name = ?", ((name,) for name in names))

    def lengths(self) -> dict[str, int]:
        """Return the committed length in bytes of each table, by its path."""
        joined = {path: length for path, (_, _, length, _) in (self.fact("joined") or {}).items()}
        return joined | {path: length for _, result in self.results() for path, length in result["lengths"].items()}

    def rollback(self) -> None:
        """Drop changes that are not committed, and stay locked."""
        self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make all changes permanent, and stay locked."""
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Drop changes that are not committed, and unlock the folder."""
        self._connection.close()


#: The advice if the ledger is of no use.
_REPLACE: Final = advice("{} to convert everything anew", Option("overwrite", value=True))


def _holder(out: Path) -> str:
    try:
        holder = json.loads((out / _HOLDER).read_text("utf-8"))
        return f"process {holder['process']} on {holder['machine']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
