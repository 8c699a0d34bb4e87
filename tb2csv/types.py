"""The types in the signatures of ``tb2csv``, for annotations.

``LogdirPath``, ``LogdirSource``, ``FileTarget`` and ``Patterns`` are types of arguments; the others are parts of
results and errors.
"""

from tb2csv.analysis.aggregates import AggregatedTag
from tb2csv.analysis.reduction import ReducedGroup
from tb2csv.event_files.event_file import FileStats, Fingerprint
from tb2csv.event_files.unlisted_damage import UnlistedDamage
from tb2csv.event_files.values import SessionMark
from tb2csv.file_conversion import FileTarget
from tb2csv.log_repair import RepairedFile
from tb2csv.logdir import EventFile, HasLogdir, LogdirPath, LogdirSource, Run
from tb2csv.messages import Advice, Message, Option, Spelling
from tb2csv.notes import NoteKind
from tb2csv.prediction.tables import PredictionTable
from tb2csv.report import RunReport, UndecodableEntry, UpdateSummary
from tb2csv.runs.step_gaps import StepGaps
from tb2csv.selection import Patterns
from tb2csv.size_limits import SizeLimits
from tb2csv.sources.source import Fault, FoundFile, OpenFile, Source, Version

__all__ = [
    "Advice",
    "AggregatedTag",
    "EventFile",
    "Fault",
    "FileStats",
    "FileTarget",
    "Fingerprint",
    "FoundFile",
    "HasLogdir",
    "LogdirPath",
    "LogdirSource",
    "Message",
    "NoteKind",
    "OpenFile",
    "Option",
    "Patterns",
    "PredictionTable",
    "ReducedGroup",
    "RepairedFile",
    "Run",
    "RunReport",
    "SessionMark",
    "SizeLimits",
    "Source",
    "Spelling",
    "StepGaps",
    "UndecodableEntry",
    "UnlistedDamage",
    "UpdateSummary",
    "Version",
]
