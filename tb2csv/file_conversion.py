"""The conversion of a log directory into one file, such as a table or an archive."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tb2csv.atomic_files import check_place, private_folder, whole_file
from tb2csv.errors import OptionError, OutputError, check_choice, check_flag
from tb2csv.file_contents import CONTENTS, Converted, ExcelCsv, OneTable
from tb2csv.folder_conversion import FolderConversion
from tb2csv.layouts.output import SeveralKindsError
from tb2csv.messages import Option, advice
from tb2csv.runs.selected_runs import count_runs
from tb2csv.sinks.excel_csv import CSV_DIALECTS
from tb2csv.sinks.file_folder import FileFolder
from tb2csv.sinks.formats import FORMATS, choose_format
from tb2csv.sources.urls import is_writable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.file_contents import FileContent
    from tb2csv.folder_conversion import ConversionSettings
    from tb2csv.logdir import Logdir
    from tb2csv.report import Report
    from tb2csv.run_conversion import LogRuns
    from tb2csv.sinks.store_file import StoreFile

#: A path, or a binary file that is open for writing.
FileTarget: TypeAlias = "str | os.PathLike[str] | IO[bytes]"

#: Endings of files that are not written; a folder of such a name would surprise its user.
_OTHER_ENDINGS: Final = (
    *(".json", ".tsv", ".txt", ".ods", ".xls", ".xlsm", ".feather", ".ndjson", ".sqlite", ".db", ".h5", ".pkl"),
    *(".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z"),
)


class OneFile(NamedTuple):
    """A file to convert a log directory into."""

    out: FileTarget
    content: FileContent
    #: The format of the tables.
    format: str

    @classmethod
    def of(cls, out: FileTarget, format: str | None = None, csv_dialect: str | None = None) -> OneFile | None:
        """Return the file that ``out`` names, or None if it is a folder.

        Args:
            out: a path or URL, or a file to write to.
            format: the name of the format of the tables; None chooses that of the ending, or CSV.
            csv_dialect: one of CSV_DIALECTS, or None for the format ``csv``.

        Raises:
            OptionError: the ending is that of another format, or of a file that cannot be written; or the dialect is
                unknown, or the file is not CSV.
        """
        found = cls._of(out, format)
        if csv_dialect is None:
            return found
        check_choice("dialect", csv_dialect, CSV_DIALECTS)
        if found is None or found.format != "csv" or not isinstance(found.content, OneTable):
            raise OptionError(
                "Only one table in CSV has a dialect",
                advice("give the name of a .csv file"),
                advice("leave out {}", "csv_dialect"),
            )
        content = ExcelCsv(CSV_DIALECTS[csv_dialect])
        return cls(out, content, content.format)

    @classmethod
    def _of(cls, out: FileTarget, format: str | None) -> OneFile | None:
        if not isinstance(out, (str, os.PathLike)):
            _check_binary(out)
            return cls(out, OneTable(), format or "csv")
        name = os.fspath(out).lower()
        for ending, content in CONTENTS.items():
            if name.endswith(ending):
                if format is not None and content.is_format_fixed:
                    raise OptionError(
                        f"{out} has a format of its own", advice("leave out {}", Option("format", format))
                    )
                return cls(out, content, format or content.format)
        if format is not None and name.endswith(choose_format(format).suffix):
            return cls(out, OneTable(), format)
        found = next((known for known, each in FORMATS.items() if name.endswith(each.suffix)), None)
        if found is None:
            _refuse_other_endings(out)
            return None
        if format is not None:
            raise OptionError(
                f"{out} has the ending of the format {found}", advice("leave out {}", Option("format", format))
            )
        return cls(out, OneTable(), found)

    @property
    def name(self) -> str:
        """The file in messages."""
        return os.fspath(self.out) if isinstance(self.out, (str, os.PathLike)) else "The output"

    def check(self, *, overwrite: bool) -> None:
        """Raise early what ``convert`` would raise for the file, whatever the tables.

        Raises:
            MissingExtraError: a package is missing.
            OutputError: the file exists and may not be replaced, cannot be written, or would be an event file.
        """
        self.content.check()
        if not isinstance(self.out, (str, os.PathLike)):
            return
        if "tfevents" in Path(self.out).name:
            message = f"{self.name} has the name of an event file, so it would be read as one; choose another name."
            raise OutputError(message)
        if store := _store_file(self.out, overwrite=overwrite):
            store.check()
        else:
            check_place(self.out, overwrite=overwrite)

    def convert(self, settings: ConversionSettings, found: Logdir, runs: LogRuns, *, overwrite: bool) -> Report:
        """Convert the runs, and write the file.

        Raises:
            OutputError: the tables do not fit into the file, or it cannot be written.
            Tb2csvError: as ``FolderConversion.update``.
        """
        with self._opened(overwrite=overwrite) as (private, file):
            try:
                with FileFolder(private, self.name) as folder:
                    conversion = FolderConversion(settings, folder)
                    report = conversion.update(found, runs)
            except SeveralKindsError:
                counted = count_runs(found, settings.selection, workers=settings.workers)
                kinds = {stats.series.kind for stats in counted.selected_series(counted.results)}
                self.content.check_kinds(kinds, self.name)
                raise
            place = private / "tables"
            self.content.write(Converted(place, list(conversion.entries), conversion.stored, report, self.name), file)
        return report

    @contextlib.contextmanager
    def _opened(self, *, overwrite: bool) -> Iterator[tuple[Path, Path]]:
        """Yield a private folder, and a file in it to fill, which is the output unless the block raises."""
        if store := _store_file(self.out, overwrite=overwrite):
            with store.filled() as file:
                yield file.parent, file
            return
        if isinstance(self.out, (str, os.PathLike)):
            with whole_file(self.out, overwrite=overwrite) as file:
                yield file.parent, file
            return
        with private_folder(tempfile.gettempdir(), "tb2csv-output-") as private:
            yield private, private / "new"
            with (private / "new").open("rb") as file:
                _copy(file, self.out)


def _check_binary(out: object) -> None:
    """Check that ``out``, which is not a path, is a file for bytes."""
    if isinstance(out, io.TextIOBase):
        message = "The output is open for text; open it for bytes, as with mode 'wb'."
        raise OptionError(message)
    if not hasattr(out, "write"):
        message = f"{out!r} is not an output; give a path, or a file that is open for writing bytes."
        raise OptionError(message)


def _copy(file: IO[bytes], out: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(file, out)
        out.flush()
    except BrokenPipeError:  # its reader has ended, which only the caller can judge
        raise
    except OSError as error:
        message = f"The output cannot be written ({error.strerror or error}); choose another place."
        raise OutputError(message) from error


def _store_file(out: FileTarget, *, overwrite: bool) -> StoreFile | None:
    """Return the object that a URL names, or None for what is not one in a store that can be written to."""
    check_flag("overwrite", overwrite)
    if not isinstance(out, str) or not is_writable(out):
        return None
    from tb2csv.sinks.store_file import StoreFile  # few conversions need it

    return StoreFile(out, overwrite=overwrite)


def _refuse_other_endings(out: str | os.PathLike[str]) -> None:
    name = os.fspath(out).lower()
    if name.endswith(_OTHER_ENDINGS) and not Path(out).is_dir():
        known = ", ".join(dict.fromkeys([*(each.suffix for each in FORMATS.values()), *CONTENTS]))
        raise OptionError(
            f"{out} has an ending that is not that of a format; choose from {known}, or end the name of a folder with /"
        )
