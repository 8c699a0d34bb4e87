"""Requests for exports: read from JSON, checked against the index, and passed to ``convert``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders.tensors import TENSOR_STYLES
from tb2csv.file_conversion import OneFile
from tb2csv.layouts.layouts import LAYOUTS
from tb2csv.layouts.time_columns import TIME_STYLES
from tb2csv.runs.restarts import RESTART_POLICIES
from tb2csv.runs.row_selection import RowSelection
from tb2csv.selection import KINDS, Selection, literal_pattern
from tb2csv.sinks.formats import FORMATS
from tb2csv.tensorboard_plugin.web_api import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from tb2csv.late_modules import np
    from tb2csv.logdir import Logdir
    from tb2csv.tensorboard_plugin.index_snapshot import IndexSnapshot

#: The choices of each option; the first is the default.
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "layout": tuple(LAYOUTS),
    "format": tuple(FORMATS),
    "tensors": tuple(TENSOR_STYLES),
    "restarts": tuple(RESTART_POLICIES),
    "what": ("tables", "hparams"),
    "file": ("zip", "table", "xlsx"),
}

#: Kinds with files next to their tables, so that a single file is not the whole table.
_WITH_FILES: Final = frozenset({"images", "audio", "graphs", "blobs"})

Names = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export: the series (None for all) and the options, which are options of ``convert``."""

    runs: Names = None
    tags: Names = None
    kinds: Names = None
    what: str = "tables"
    archive: bool = True
    #: An archive of the tables, one table, or an Excel workbook.
    file: str = "zip"
    layout: str = "tree"
    format: str = "csv"
    tensors: str = "elements"
    time: tuple[str, ...] = ("epoch",)
    restarts: str = "keep"
    escape_formulas: bool = True
    sessions: bool = False
    merge_subruns: bool = False

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> ExportRequest:
        """Return a request from a JSON object.

        Raises:
            RequestError: the object is not valid.
        """
        unknown = sorted(set(body) - set(_READERS))
        if unknown:
            message = f"Unknown option {unknown[0]!r}; choose from {', '.join(_READERS)}."
            raise RequestError(400, "option", message)
        request = cls(**{name: _READERS[name](name, value) for name, value in body.items()})
        return replace(request, kinds=("hparams",)) if request.what == "hparams" else request

    def choose(self, index: IndexSnapshot, *, is_complete: bool) -> npt.NDArray[np.int64]:
        """Return the positions of the series in the index.

        An incomplete index may lack names, so an empty result is an error only if ``is_complete``.

        Raises:
            RequestError: a name is not in the index, nothing is selected, or several tables are selected for one file.
            OutputError: several kinds are selected for one table.
        """
        for what, names, known in (("run", self.runs, index.runs), ("tag", self.tags, index.tags)):
            unknown = sorted(set(names or ()) - set(known))
            if unknown:
                message = f"There is no {what} {unknown[0]!r} in the log directory; load the index again."
                raise RequestError(404, f"no_{what}", message)
        places = index.chosen(self.runs, self.tags, self.kinds)
        if not places.size and is_complete:
            raise RequestError(404, "nothing", "The selection has no values; choose another run or tag.")
        file = self.one_file
        if file and self.chosen_layout == file.content.layout:  # other layouts may leave kinds out
            file.content.check_kinds({index.series[place].kind for place in places.tolist()}, "The file")
        if not self.archive and self.what == "tables" and not file:
            self._check_single(index, places)
        return places

    def _check_single(self, index: IndexSnapshot, places: npt.NDArray[np.int64]) -> None:
        if places.size != 1:
            message = f"{places.size} series do not fit into one file; choose an archive."
            raise RequestError(400, "needs_archive", message)
        series = index.series[int(places[0])]
        if series.kind in _WITH_FILES or (series.kind == "tensors" and self.tensors == "npy"):
            message = f"The table of {series.tag!r} has files beside it; choose an archive."
            raise RequestError(400, "needs_archive", message)
        if sum(table.kind == series.kind for table, _ in series.tables) > 1:
            message = f"The tag {series.tag!r} has several tables because its type changes; choose an archive."
            raise RequestError(400, "needs_archive", message)

    def logdir(self, found: Logdir) -> Logdir:
        """Return the requested runs of ``found``."""
        if self.runs is None:
            return found
        wanted = frozenset(self.runs)
        return replace(found, runs=tuple(run for run in found.runs if run.name in wanted))

    @property
    def one_file(self) -> OneFile | None:
        """The file that has all tables, named by its ending only; None for an archive, and for the table of trials."""
        if self.file == "zip" or self.what == "hparams":
            return None
        if self.file == "xlsx":
            return OneFile.of(".xlsx")
        return OneFile.of(FORMATS[self.format].suffix, self.format)

    @property
    def chosen_layout(self) -> str:
        """The layout; the default is that of one file if there is one."""
        file = self.one_file
        return file.content.layout if file and self.layout == CHOICES["layout"][0] else self.layout

    @property
    def conversion(self) -> dict[str, Any]:
        """The request as arguments of ``convert``, except for the runs, which ``logdir`` selects."""
        return {
            "selection": Selection(tags=tuple(map(literal_pattern, self.tags or ())), kinds=self.kinds or ()),
            "layout": self.chosen_layout,
            "format": None if self.one_file and self.one_file.content.is_format_fixed else self.format,
            "tensors": self.tensors,
            "time": None if self.one_file and self.time == ("epoch",) else self.time,
            "rows": RowSelection(restarts=self.restarts, sessions=self.sessions),
            "escape_formulas": self.escape_formulas,
            "merge_subruns": self.merge_subruns,
        }


def _wrong(name: str, wanted: str) -> RequestError:
    return RequestError(400, "option", f"The option {name!r} has another type or value; give {wanted}.")


def _read_names(name: str, value: Any) -> Names:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _wrong(name, "a list of names, or null for all")
    return tuple(value)


def _read_kinds(name: str, value: Any) -> Names:
    kinds = _read_names(name, value)
    if not set(kinds or ()) <= set(KINDS):
        raise _wrong(name, f"some of {', '.join(KINDS)}")
    return kinds


def _read_choice(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in CHOICES[name]:
        raise _wrong(name, f"one of {', '.join(CHOICES[name])}")
    return value


def _read_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def _read_times(name: str, value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not value or not all(each in TIME_STYLES for each in value):
        raise _wrong(name, f"a list of some of {', '.join(TIME_STYLES)}")
    return tuple(dict.fromkeys(value))


_READERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "runs": _read_names,
    "tags": _read_names,
    "kinds": _read_kinds,
    "what": _read_choice,
    "archive": _read_flag,
    "file": _read_choice,
    "layout": _read_choice,
    "format": _read_choice,
    "tensors": _read_choice,
    "time": _read_times,
    "restarts": _read_choice,
    "escape_formulas": _read_flag,
    "sessions": _read_flag,
    "merge_subruns": _read_flag,
}
