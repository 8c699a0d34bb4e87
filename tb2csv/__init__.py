"""Every number in your TensorBoard logs, as tables.

``convert`` writes tables, ``open_logdir`` gives them as frames, ``list_series`` and ``check`` look without decoding.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tb2csv.conversion import convert
    from tb2csv.converted_tables import ConvertedTables, read_csv_tables
    from tb2csv.dataframes import LogdirFrames, open_logdir
    from tb2csv.errors import Damage, DamagedError, DecodeError, LogdirError, OptionError, OutputError, Tb2csvError
    from tb2csv.inspection import check, list_series
    from tb2csv.report import Report, __version__
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.selection import Selection

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
    "list_series",
    "open_logdir",
    "read_csv_tables",
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
    "check": "inspection",
    "convert": "conversion",
    "list_series": "inspection",
    "open_logdir": "dataframes",
    "read_csv_tables": "converted_tables",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
