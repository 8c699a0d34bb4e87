"""Every number in your TensorBoard logs, as tables.

``convert`` writes tables, ``open_logdir`` gives them as frames, ``list_series`` and ``check`` look without decoding;
``summarize``, ``reduce_runs``, ``diagnose``, ``layer_error_table`` and ``plot`` tell what came of a training.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tb2csv import model_state, recorders  # noqa: F401 - attributes of this module, see __getattr__
    from tb2csv.analysis.diagnosis.diagnose import diagnose
    from tb2csv.analysis.layer_errors import layer_error_table
    from tb2csv.analysis.plots.plot import plot
    from tb2csv.analysis.reduction import reduce_runs
    from tb2csv.analysis.summaries import summarize
    from tb2csv.conversion import convert
    from tb2csv.converted_tables import ConvertedTables, read_csv_tables
    from tb2csv.dataframes import LogdirFrames, open_logdir
    from tb2csv.errors import Damage, DamagedError, DecodeError, LogdirError, OptionError, OutputError, Tb2csvError
    from tb2csv.report import Report, __version__
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.selection import Selection
    from tb2csv.series_listing import check, list_series

__all__ = [
    "ConvertedTables",
    "Damage",
    "DamagedError",
    "DecodeError",
    "LogdirError",
    "LogdirFrames",
    "OptionError",
    "OutputError",
    "Report",
    "RowSelection",
    "Selection",
    "Tb2csvError",
    "__version__",
    "check",
    "convert",
    "diagnose",
    "layer_error_table",
    "list_series",
    "open_logdir",
    "plot",
    "read_csv_tables",
    "reduce_runs",
    "summarize",
]

#: Where each name is. It is imported when it is asked for: TensorBoard imports this package at every start, to find
#: the Export tab, and must neither wait for numpy nor fail where a package is missing.
_MODULES: Final = {
    "ConvertedTables": "converted_tables",
    "Damage": "errors",
    "DamagedError": "errors",
    "DecodeError": "errors",
    "LogdirError": "errors",
    "LogdirFrames": "dataframes",
    "OptionError": "errors",
    "OutputError": "errors",
    "Report": "report",
    "RowSelection": "runs.row_selection",
    "Selection": "selection",
    "Tb2csvError": "errors",
    "__version__": "report",
    "check": "series_listing",
    "convert": "conversion",
    "diagnose": "analysis.diagnosis.diagnose",
    "layer_error_table": "analysis.layer_errors",
    "list_series": "series_listing",
    "open_logdir": "dataframes",
    "plot": "analysis.plots.plot",
    "read_csv_tables": "converted_tables",
    "reduce_runs": "analysis.reduction",
    "summarize": "analysis.summaries",
}


#: The packages for those who train, which need frameworks and are imported when they are used.
_PACKAGES: Final = ("model_state", "recorders")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
