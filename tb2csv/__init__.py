"""Every number in your TensorBoard logs, as tables.

``convert`` writes tables, ``follow`` does so while a training writes. ``open_logdir`` gives them as frames,
``open_tables`` opens a conversion again. ``ls`` and ``check`` read a log without decoding values, and ``repair`` writes
its sound records to clean event files. ``metrics``, ``summary``, ``best``, ``hparams``, ``sql``, ``reduce``, ``plot``,
``diagnose`` and ``layer_errors`` analyse a training, and ``mcp`` lets agents do so. ``tb2csv.recorders`` records one,
and ``tb2csv.model_state`` writes the state of models as tables.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tb2csv import model_state as model_state
    from tb2csv import recorders as recorders
    from tb2csv import types as types
    from tb2csv.analysis.diagnosis.diagnose import Diagnosis, diagnose
    from tb2csv.analysis.epoch_metrics import EpochMetrics, metrics
    from tb2csv.analysis.hparams import hparams
    from tb2csv.analysis.layer_errors import LayerErrorTable, layer_errors
    from tb2csv.analysis.plots.plot import Plot, plot
    from tb2csv.analysis.reduction import ReductionReport, reduce
    from tb2csv.analysis.sql import sql
    from tb2csv.analysis.summaries import Summary, summary
    from tb2csv.analysis.table_text import table_text
    from tb2csv.conversion import convert
    from tb2csv.converted_tables import ConvertedTables, open_tables
    from tb2csv.dataframes import LogdirFrames, open_logdir
    from tb2csv.errors import (
        ClusterError,
        Damage,
        DamagedError,
        DecodeError,
        LogdirError,
        LogdirNotFoundError,
        MissingExtraError,
        NameNotFoundError,
        OptionError,
        OutputError,
        Tb2csvError,
    )
    from tb2csv.following.follow import follow
    from tb2csv.following.follow_update import FollowUpdate
    from tb2csv.log_repair import RepairReport, repair
    from tb2csv.logdir import Logdir, discover
    from tb2csv.mcp_server.server import mcp
    from tb2csv.notes import Note
    from tb2csv.prediction.predict import predict
    from tb2csv.ranking.best import Ranking, best
    from tb2csv.report import Report
    from tb2csv.run_frames import RunFrames
    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.scanned_logdir import HparamsTable
    from tb2csv.selection import Selection
    from tb2csv.series_info import SeriesInfo
    from tb2csv.series_listing import CheckReport, Listing, check, ls
    from tb2csv.state_from_logs import recorded_state
    from tb2csv.version import __version__

__all__ = [
    "CheckReport",
    "ClusterError",
    "ConvertedTables",
    "Damage",
    "DamagedError",
    "DecodeError",
    "Diagnosis",
    "EpochMetrics",
    "FollowUpdate",
    "HparamsTable",
    "LayerErrorTable",
    "Listing",
    "Logdir",
    "LogdirError",
    "LogdirFrames",
    "LogdirNotFoundError",
    "MissingExtraError",
    "NameNotFoundError",
    "Note",
    "OptionError",
    "OutputError",
    "Plot",
    "Ranking",
    "ReductionReport",
    "RepairReport",
    "Report",
    "RowSelection",
    "RunFrames",
    "Selection",
    "SeriesInfo",
    "Summary",
    "Tb2csvError",
    "__version__",
    "best",
    "check",
    "convert",
    "diagnose",
    "discover",
    "follow",
    "hparams",
    "layer_errors",
    "ls",
    "mcp",
    "metrics",
    "open_logdir",
    "open_tables",
    "plot",
    "predict",
    "recorded_state",
    "reduce",
    "repair",
    "sql",
    "summary",
    "table_text",
]

#: The module of each name, which is imported when the name is used: TensorBoard imports this package at every start to
#: find the Export tab, and must not wait for numpy, or fail if a package is missing.
_MODULES: Final = {
    "CheckReport": "series_listing",
    "ClusterError": "errors",
    "ConvertedTables": "converted_tables",
    "Damage": "errors",
    "DamagedError": "errors",
    "DecodeError": "errors",
    "Diagnosis": "analysis.diagnosis.diagnose",
    "EpochMetrics": "analysis.epoch_metrics",
    "FollowUpdate": "following.follow_update",
    "HparamsTable": "scanned_logdir",
    "LayerErrorTable": "analysis.layer_errors",
    "Listing": "series_listing",
    "Logdir": "logdir",
    "LogdirError": "errors",
    "LogdirFrames": "dataframes",
    "LogdirNotFoundError": "errors",
    "MissingExtraError": "errors",
    "NameNotFoundError": "errors",
    "Note": "notes",
    "OptionError": "errors",
    "OutputError": "errors",
    "Plot": "analysis.plots.plot",
    "Ranking": "ranking.best",
    "ReductionReport": "analysis.reduction",
    "RepairReport": "log_repair",
    "Report": "report",
    "RowSelection": "runs.row_selection",
    "RunFrames": "run_frames",
    "Selection": "selection",
    "SeriesInfo": "series_info",
    "Summary": "analysis.summaries",
    "Tb2csvError": "errors",
    "__version__": "version",
    "best": "ranking.best",
    "check": "series_listing",
    "convert": "conversion",
    "diagnose": "analysis.diagnosis.diagnose",
    "discover": "logdir",
    "follow": "following.follow",
    "hparams": "analysis.hparams",
    "layer_errors": "analysis.layer_errors",
    "ls": "series_listing",
    "mcp": "mcp_server.server",
    "metrics": "analysis.epoch_metrics",
    "open_logdir": "dataframes",
    "open_tables": "converted_tables",
    "plot": "analysis.plots.plot",
    "predict": "prediction.predict",
    "recorded_state": "state_from_logs",
    "reduce": "analysis.reduction",
    "repair": "log_repair",
    "sql": "analysis.sql",
    "summary": "analysis.summaries",
    "table_text": "analysis.table_text",
}

#: Public modules that are imported when they are used; frameworks may be needed for some.
_PACKAGES: Final = ("model_state", "recorders", "types")

#: Earlier names, which work until the next version.
_RENAMED: Final = {
    "layer_error_table": "layer_errors",
    "list_series": "ls",
    "read_csv_tables": "open_tables",
    "reduce_runs": "reduce",
    "summarize": "summary",
}


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name not in {"keras", "tensorflow"}:
                raise
            from tb2csv.errors import MissingExtraError

            raise MissingExtraError(f"{__name__}.{name}", error.name, "tensorflow") from error
    if name in _RENAMED:
        import warnings

        message = f"{__name__}.{name} is now {__name__}.{_RENAMED[name]}; the earlier name goes with the next version."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return __getattr__(_RENAMED[name])
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    # Without recorders: help() reads every attribute that is listed here, and recorders cannot be imported without
    # TensorFlow.
    return [*__all__, "model_state", "types"]
