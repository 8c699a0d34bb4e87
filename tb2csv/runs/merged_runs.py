"""A run together with the sub-runs that its writer made, read as one run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tb2csv.logdir import Run
from tb2csv.runs.decoded_rows import UndecodableValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from tb2csv.event_files.event_file import FileStats
    from tb2csv.runs.decoded_rows import Rows, SeriesAccount
    from tb2csv.runs.run_reader import RunReader
    from tb2csv.runs.scanned_run import RowReader
    from tb2csv.runs.step_orders import StepOrder
    from tb2csv.runs.subruns import Subrun
    from tb2csv.runs.time_series import TimeSeries

#: Tells which run a row came from, at the end of every table of a log whose sub-runs were merged.
ORIGINAL_RUN: Final = "original_run"


class MergedRun:
    """Reads a run and its sub-runs one after the other, as a RunReader reads one run."""

    def __init__(self, name: str, readers: Sequence[RunReader | RowReader]) -> None:
        """Read with ``readers``, the run's own first; those of sub-runs name their series after the run already."""
        self.run = Run(name, tuple(file for reader in readers for file in reader.run.files))
        self._readers = readers

    @property
    def series(self) -> list[SeriesAccount]:
        """The accounts of all series, in the order of their runs."""
        return [account for reader in self._readers for account in reader.series]

    def original_runs(self) -> Iterator[tuple[SeriesAccount, str]]:
        """Yield the accounts of all series, and the run that each was written to."""
        for reader in self._readers:
            for account in reader.series:
                yield account, reader.run.name

    @property
    def files(self) -> list[FileStats]:
        """The accounts of all files, in the order of their runs."""
        return [account for reader in self._readers for account in reader.files]

    @property
    def empty(self) -> Counter[str]:
        """How many values of each selected tag hold nothing."""
        return sum((reader.empty for reader in self._readers), Counter())

    @property
    def values_read(self) -> int:
        """How many values have been read."""
        return sum(reader.values_read for reader in self._readers)

    @property
    def values_filtered(self) -> int:
        """How many of them are not selected."""
        return sum(reader.values_filtered for reader in self._readers)

    @property
    def started(self) -> float:
        """The wall time of the first event of all in seconds since the epoch; infinity where it is not known."""
        return min(reader.started for reader in self._readers)

    @property
    def session_count(self) -> int:
        """How many sessions the run has that was restarted most often; sub-runs are no restarts."""
        return max(reader.session_count for reader in self._readers)

    def step_orders(self) -> Iterator[tuple[TimeSeries, StepOrder]]:
        """Yield the series that have been decoded with their contents, and the order of their steps."""
        for reader in self._readers:
            yield from reader.step_orders()

    def signature(self, number: int) -> str:
        """Return what the columns of the tables of a series depend on, by its number in ``series``."""
        for reader in self._readers:
            if number < len(reader.series):
                return reader.signature(number)
            number -= len(reader.series)
        raise IndexError(number)

    def decode(self, *, with_contents: bool = False) -> Iterator[Rows | UndecodableValue]:
        """Yield the rows of all selected series, run by run, with a column that tells the run."""
        import polars as pl

        first: dict[tuple[bytes, str], str] = {}
        for reader in self._readers:
            variants = _Variants(reader, first)
            column = pl.lit(reader.run.name, dtype=pl.String).alias(ORIGINAL_RUN)
            for decoded in reader.decode(with_contents=with_contents):
                item = variants.settle(decoded)
                if isinstance(item, UndecodableValue):
                    yield item
                else:
                    yield item._replace(piece=replace(item.piece, frame=item.piece.frame.with_columns(column)))


class _Variants:
    """Tells the series of several runs apart that have one tag but other columns, as a RunReader does those of one.

    A sub-run's series may become one of a tag that the run, or another sub-run of it, has already.
    """

    def __init__(self, reader: RunReader | RowReader, first: dict[tuple[bytes, str], str]) -> None:
        """Know no series of ``reader``; ``first`` is what the columns depend on of each tag's first series, by kind."""
        self._reader = reader
        self._first = first
        self._settled = 0

    def settle(self, item: Rows | UndecodableValue) -> Rows | UndecodableValue:
        """Give the series up to the last of an item their variants, and return the item of these.

        Those behind it may be half known: another thread meets them, while it scans the next chunk.
        """
        accounts = self._reader.series[self._settled :]
        if not accounts:
            return item
        series = [item.series] if isinstance(item, UndecodableValue) else [account.series for account in item.series]
        wanted = {id(each) for each in series}
        stop = max((number for number, account in enumerate(accounts, 1) if id(account.series) in wanted), default=0)
        for account in accounts[:stop]:
            if account.is_selected:  # others have no tables
                self._give_variant(account, self._reader.signature(self._settled))
            self._settled += 1
        if isinstance(item, UndecodableValue) and stop:
            return item._replace(series=accounts[stop - 1].series)
        return item

    def _give_variant(self, account: SeriesAccount, signature: str) -> None:
        series = account.series
        first = self._first.setdefault((series.tag_bytes, series.kind), signature)
        account.series = replace(series, variant="" if signature == first else signature)


def with_parents(trials: pl.DataFrame, parents: Mapping[str, str]) -> pl.DataFrame:
    """Return the table of trials with the runs that they were merged into, and where each was in ``original_run``."""
    import polars as pl

    names = trials["run"]
    runs = pl.Series("run", [parents.get(name, name) for name in names], dtype=pl.String)
    return trials.with_columns(runs).insert_column(1, names.alias(ORIGINAL_RUN))


def families(runs: Sequence[Run], subruns: Mapping[str, Subrun]) -> dict[str, list[Run]]:
    """Return the runs by the name of the one that they are merged into, which comes first where it is among them."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        subrun = subruns.get(run.name)
        if subrun:
            found.setdefault(subrun.parent, []).append(run)
        else:
            found.setdefault(run.name, []).insert(0, run)
    return dict(sorted(found.items()))
