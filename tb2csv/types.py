"""The types that signatures of ``tb2csv`` mention and that a program seldom makes itself.

They are for annotations: ``LogdirSource`` and ``Patterns`` are arguments, the others are parts of results and errors.
"""

from tb2csv.analysis.aggregates import AggregatedTag
from tb2csv.analysis.reduction import ReducedGroup
from tb2csv.event_files.event_file import FileStats, Fingerprint
from tb2csv.event_files.values import SessionMark
from tb2csv.logdir import EventFile, EventFileSource, HasLogdir, LogdirSource, Run
from tb2csv.messages import Advice, Message, Option, Spelling
from tb2csv.notes import NoteKind
from tb2csv.report import RunReport, UndecodableEntry
from tb2csv.selection import Patterns

__all__ = [
    "Advice",
    "AggregatedTag",
    "EventFile",
    "EventFileSource",
    "FileStats",
    "Fingerprint",
    "HasLogdir",
    "LogdirSource",
    "Message",
    "NoteKind",
    "Option",
    "Patterns",
    "ReducedGroup",
    "Run",
    "RunReport",
    "SessionMark",
    "Spelling",
    "UndecodableEntry",
]
