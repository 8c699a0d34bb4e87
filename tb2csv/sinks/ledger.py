"""The ledger of a conversion: what an update must know, in an SQLite file in the output folder.

One run of ten thousand can change without the others being written again. The journal is the default one, because a
database in WAL mode cannot be read in a folder without the permission to write.

The output folder may come from a stranger. So the ledger must have exactly the tables that are created here, its folder
must not contain links, and every path from it is checked before it is used.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import sqlite3
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tb2csv.errors import OutputError, Tb2csvError
from tb2csv.messages import Option, advice
from tb2csv.sinks.private_folder import HOLDER, JOURNAL, LEDGER, PRIVATE, strange_private_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

#: Raise it if the format of the ledger or of the states in it changes.
_FORMAT: Final = 5

#: The number in the file that marks a ledger, ``tb2c`` in ASCII.
_APPLICATION: Final = 0x74623263

_FACTS: Final = "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
#: With row numbers, because SQLite gives each large row of a table without them pages of its own.
_RUNS: Final = "CREATE TABLE runs (name TEXT PRIMARY KEY, files TEXT, report TEXT, tables TEXT, state TEXT)"
#: The rest of the tables of runs that have very many, because one text would take more memory than their conversion.
_MORE_TABLES: Final = "CREATE TABLE more_tables (run TEXT, part INTEGER, tables TEXT, PRIMARY KEY (run, part))"

#: What the ledger must have, and nothing else: views or triggers could run instead.
_SCHEMA: Final = {
    ("table", "facts", _FACTS),
    ("table", "runs", _RUNS),
    ("table", "more_tables", _MORE_TABLES),
    ("index", "sqlite_autoindex_runs_1", None),
    ("index", "sqlite_autoindex_more_tables_1", None),
}

#: How long to wait for a process that is just being refused by the lock, in milliseconds.
_PATIENCE: Final = 10_000


class LedgerRow(NamedTuple):
    """What the ledger has of a run; see ``Ledger``. The report and the state are data for JSON.

    The tables are one JSON text or more, each of which is made when it is written.
    """

    name: str
    files: str
    report: Any
    tables: Iterable[str]
    state: Any


class Ledger:
    """The ledger of one output folder. While it is open, it is locked against other processes.

    For each run it has its files and their versions, the report and the tables of its conversion, and the state with
    which reading continues. ``facts`` has the rest, by name. Every method raises OutputError if the ledger cannot be
    read or written.
    """

    def __init__(self, out: Path, connection: sqlite3.Connection) -> None:
        """Use an open connection to the ledger of the output folder ``out``."""
        self._out = out
        self._connection = connection
        self._is_holder_written = False

    @classmethod
    def exists(cls, out: Path) -> bool:
        """Return whether an output folder has a ledger."""
        return os.path.lexists(out / LEDGER)

    @classmethod
    def create(cls, out: Path) -> Self:
        """Create an empty ledger in a new folder. It is not forced to the disk."""
        (out / PRIVATE).mkdir(exist_ok=True)
        (out / LEDGER).touch()  # with the permissions of the umask; SQLite's own would be narrower
        connection = sqlite3.connect(out / LEDGER, isolation_level=None)
        ledger = cls(out, connection)
        with ledger.errors():
            connection.executescript(
                f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA application_id = {_APPLICATION};"
                f"PRAGMA user_version = {_FORMAT}; BEGIN EXCLUSIVE; {_FACTS}; {_RUNS}; {_MORE_TABLES};"
            )
        return ledger

    @classmethod
    def open(cls, out: Path) -> Self:
        """Open and lock the ledger of an output folder.

        Raises:
            OutputError: another process has locked it, or it is damaged or of another version.
        """
        if strange := strange_private_file(out):
            raise OutputError(f"{out} cannot be brought up to date, because tb2csv did not write {strange}", _REPLACE)
        try:
            # Workers do not use the ledger, but the last user of an iterator may be another thread.
            connection = sqlite3.connect(out / LEDGER, isolation_level=None, timeout=0, check_same_thread=False)
        except sqlite3.Error as error:
            raise OutputError(f"{out} cannot be brought up to date ({error})", _REPLACE) from error
        ledger = cls(out, connection)
        try:
            with ledger.errors():
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.execute("PRAGMA cell_size_check = ON")
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # stay locked between transactions
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
            ledger.check()
            if os.path.lexists(out / JOURNAL):  # of a process that died; a commit removes it
                ledger.put_fact("recovered", value=True)
                ledger.commit()
            ledger.write_holder()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def check(self) -> None:
        """Raise OutputError unless this is a ledger of this version."""
        with self.errors():
            ((application,),) = self._connection.execute("PRAGMA application_id")
            ((version,),) = self._connection.execute("PRAGMA user_version")
            schema = {*self._connection.execute("SELECT type, name, sql FROM sqlite_master")}
        if application == _APPLICATION and version != _FORMAT:
            raise OutputError(f"{self._out} was written by another version of tb2csv", _REPLACE)
        if application != _APPLICATION or schema != _SCHEMA:
            raise damaged(self._out)

    def write_holder(self) -> None:
        """Write who has locked the ledger, which only the message to others needs."""
        holder = {"process": os.getpid(), "machine": platform.node()}
        self._is_holder_written = True  # in part, if the disk is full
        with contextlib.suppress(OSError):
            (self._out / HOLDER).write_text(json.dumps(holder), "utf-8")

    def fact(self, name: str) -> Any:
        """Return a fact, or None."""
        with self.errors():
            row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return json.loads(row[0]) if row else None

    def put_fact(self, name: str, value: Any) -> None:
        """Set a fact; ``value`` is data for JSON."""
        with self.errors():
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, _encode(value)))

    def remove_facts(self, names: Iterable[str]) -> None:
        """Remove some facts."""
        with self.errors():
            self._connection.executemany("DELETE FROM facts WHERE name = ?", ((name,) for name in names))

    def files(self) -> dict[str, str]:
        """Return the files and their versions, by run."""
        with self.errors():
            return dict(self._connection.execute("SELECT name, files FROM runs"))

    def reports(self) -> Iterator[tuple[str, Any]]:
        """Yield each run and its report."""
        return self._decoded("SELECT name, report FROM runs")

    def tables(self, names: Iterable[str]) -> Iterator[tuple[str, Iterator[Any]]]:
        """Yield each of some runs and its tables, in the parts in which they were put."""
        for name in names:
            yield name, self._parts(name)

    def _parts(self, name: str) -> Iterator[Any]:
        for query in (
            "SELECT name, tables FROM runs WHERE name = ?",
            "SELECT run, tables FROM more_tables WHERE run = ? ORDER BY part",
        ):
            yield from (tables for _, tables in self._decoded(query, name))

    def _decoded(self, query: str, *arguments: str) -> Iterator[tuple[str, Any]]:
        """Yield the names and the data that a query selects."""
        with self.errors():
            rows = self._connection.execute(query, arguments)
        while True:
            with self.errors():
                row = rows.fetchone()
                if row is None:
                    return
                name, text = row
                if type(name) is not str:
                    raise damaged(self._out)
                decoded = json.loads(text)
            yield name, decoded

    def state(self, name: str) -> Any:
        """Return the state of a run, or None if reading cannot be continued."""
        with self.errors():
            (state,) = self._connection.execute("SELECT state FROM runs WHERE name = ?", (name,)).fetchone()
            return json.loads(state)

    def put_runs(self, rows: Iterable[LedgerRow]) -> None:
        """Set what the ledger has of some runs."""
        with self.errors():
            divided = {name for (name,) in self._connection.execute("SELECT DISTINCT run FROM more_tables")}
            encoded = (self._put_more_tables(row, row.name in divided) for row in rows)
            self._connection.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)", encoded)

    def _put_more_tables(self, row: LedgerRow, is_divided: bool) -> tuple[str, str, str, str, str]:
        """Put all texts of the tables of a run but the first, and return what is put with the first."""
        name, files, report, tables, state = row
        if is_divided:
            self._connection.execute("DELETE FROM more_tables WHERE run = ?", (name,))
        texts = iter(tables)
        first = next(texts)
        for part, text in enumerate(texts):
            self._connection.execute("INSERT INTO more_tables VALUES (?, ?, ?)", (name, part, text))
        return name, files, _encode(report), first, _encode(state) if state else "null"

    def put_files(self, files: Mapping[str, str]) -> None:
        """Set the versions of the files of some runs, whose bytes are the same."""
        with self.errors():
            self._connection.executemany(
                "UPDATE runs SET files = ? WHERE name = ?", ((new, run) for run, new in files.items())
            )

    def remove_runs(self, names: Iterable[str]) -> None:
        """Remove some runs."""
        with self.errors():
            for name in names:
                self._connection.execute("DELETE FROM runs WHERE name = ?", (name,))
                self._connection.execute("DELETE FROM more_tables WHERE run = ?", (name,))

    def lengths(self) -> Iterator[tuple[str, int]]:
        """Yield the path of each table and its committed length in bytes."""
        with self.errors():
            joined = [(path, length) for path, (_, _, length, _) in (self.fact("joined") or {}).items()]
            queries = "SELECT name, tables FROM runs", "SELECT run, tables FROM more_tables"
            every = itertools.chain.from_iterable(map(self._decoded, queries))
            of_runs = [pair for _, tables in every for pair in tables.get("lengths", {}).items()]
        for path, length in (*joined, *of_runs):
            if type(length) is not int or length < 0:
                raise damaged(self._out)
            yield path, length

    def rollback(self) -> None:
        """Drop changes that are not committed, and stay locked."""
        with self.errors():
            if self._connection.in_transaction:  # a failed commit may have ended it
                self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN EXCLUSIVE")

    def commit(self) -> None:
        """Make all changes permanent, and stay locked."""
        with self.errors():
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN EXCLUSIVE")

    def close(self) -> None:
        """Drop changes that are not committed, and unlock the folder."""
        if self._is_holder_written:
            self._is_holder_written = False
            with contextlib.suppress(OSError):
                (self._out / HOLDER).unlink(missing_ok=True)
        self._connection.close()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of SQLite, and of data that are not as they were put, into an OutputError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            reason = str(error)
            if "locked" in reason:
                message = f"{self._out} is being updated by {_holder(self._out)}; wait until it is done."
                raise OutputError(message) from error
            if "readonly" in reason or "unable to open" in reason:
                raise OutputError(f"{self._out} cannot be written ({reason}); check its permissions.") from error
            if "full" in reason or "disk I/O" in reason:
                raise OutputError(f"The ledger of {self._out} could not be written ({reason}).") from error
            raise damaged(self._out) from error
        except Tb2csvError:
            raise
        except (sqlite3.Error, *_WRONG_DATA) as error:
            raise damaged(self._out) from error


_WRONG_DATA: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError, OverflowError, struct.error)

#: An encoder that is made once; ``json.dumps`` with these arguments would make one for each call.
_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

#: The advice if the ledger is of no use.
_REPLACE: Final = advice("{} to convert everything anew", Option("overwrite", value=True))


def damaged(out: Path) -> OutputError:
    """Return the error for a ledger with anything that tb2csv did not write."""
    return OutputError(f"{out} cannot be brought up to date, because its ledger is damaged", _REPLACE)


@contextlib.contextmanager
def locked_against_updates(out: Path) -> Iterator[None]:
    """Keep others from updating an output folder that is about to be replaced; a folder without a ledger is not locked.

    Raises:
        OutputError: another process is updating it.
    """
    ledger = None
    try:
        if Ledger.exists(out) and strange_private_file(out) is None:
            ledger = Ledger.open(out)
    except OutputError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError) and "locked" in str(error.__cause__):
            raise
    try:
        yield
    finally:
        if ledger:
            ledger.close()


def _holder(out: Path) -> str:
    try:
        holder = json.loads((out / HOLDER).read_text("utf-8"))
        return f"process {int(holder['process'])} on {ascii(str(holder['machine'])[:80])[1:-1]}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
