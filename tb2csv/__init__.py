"""Every number in your TensorBoard logs, as tables.

``convert`` writes tables, ``list_series`` and ``check`` look without writing.
"""

from tb2csv.conversion import convert
from tb2csv.errors import Damage, DamagedError, DecodeError, LogdirError, OutputError, Tb2csvError
from tb2csv.inspection import check, list_series
from tb2csv.report import Report, __version__
from tb2csv.selection import Selection

__all__ = [
    "Damage",
    "DamagedError",
    "DecodeError",
    "LogdirError",
    "OutputError",
    "Report",
    "Selection",
    "Tb2csvError",
    "__version__",
    "check",
    "convert",
    "list_series",
]
