"""Groups of options: a command has one parameter for a group, and typer an option for each of its fields."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from tb2csv.cli import options
from tb2csv.cli.terminal import exit_status, opened_logdir, print_problems
from tb2csv.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tb2csv.dataframes import LogdirFrames


def ungrouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the fields of each group as parameters of its own, in the place of the group."""
    parameters = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {
        name: each.annotation for name, each in parameters.items() if is_dataclass(each.annotation)
    }

    @functools.wraps(command)
    def call(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        command(**given)

    flat = [one for name, each in parameters.items() for one in (_fields(groups[name]) if name in groups else [each])]
    # Only a parameter with a keyword may lack a default after one that has a default.
    flat = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in flat]
    call.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in flat}
    return call


def _fields(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default_factory() if callable(each.default_factory) else each.default,
            annotation=hints[each.name],
        )
        for each in fields(group)
    ]


# Every command waits for these classes, and takes half the time without the methods that it does not need.
@dataclass(eq=False, repr=False)
class RunFilter:
    """The runs that a command reads."""

    run: options.RunOption = field(default_factory=list)
    exclude_run: options.ExcludeRunOption = field(default_factory=list)

    @property
    def selection(self) -> Selection:
        """These runs as a Selection."""
        return Selection(self.run, exclude_runs=self.exclude_run)


@dataclass(eq=False, repr=False)
class TagFilter:
    """The runs and tags that a command reads."""

    run: options.RunOption = field(default_factory=list)
    tag: options.TagOption = field(default_factory=list)
    exclude_run: options.ExcludeRunOption = field(default_factory=list)
    exclude_tag: options.ExcludeTagOption = field(default_factory=list)

    @property
    def selection(self) -> Selection:
        """These runs and tags as a Selection."""
        return Selection(self.run, self.tag, exclude_runs=self.exclude_run, exclude_tags=self.exclude_tag)


@dataclass(eq=False, repr=False)
class SeriesFilter:
    """The runs, tags and kinds that a command reads."""

    run: options.RunOption = field(default_factory=list)
    tag: options.TagOption = field(default_factory=list)
    kind: options.KindOption = field(default_factory=list)
    exclude_run: options.ExcludeRunOption = field(default_factory=list)
    exclude_tag: options.ExcludeTagOption = field(default_factory=list)

    @property
    def selection(self) -> Selection:
        """These runs, tags and kinds as a Selection."""
        kinds = [each.value for each in self.kind]
        return Selection(self.run, self.tag, kinds, self.exclude_run, self.exclude_tag)


@dataclass(eq=False, repr=False)
class TableReading:
    """Options of a command that reads a log directory to make one table or picture."""

    strict: options.StrictOption = False
    quiet: options.QuietOption = False
    workers: options.WorkersOption = None
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION
    debug: options.DebugOption = False

    def frames(self, logdir: list[str], selection: Selection | None = None) -> tuple[LogdirFrames, int]:
        """Scan a log directory and print the problems of the selected runs; return its frames, and the exit status.

        Raises:
            LogdirError: there is nothing to read.
            DamagedError: bytes are damaged, and ``strict`` is true.
        """
        from tb2csv.dataframes import open_logdir

        with opened_logdir(logdir, self.max_expansion, shown=not self.quiet) as (found, report_bytes):
            frames = open_logdir(found, workers=self.workers, progress=report_bytes)
        report = frames.report
        if selection is not None:
            report.runs = [each for each in report.runs if selection.includes_run(each.run)]
        if not self.quiet:
            print_problems(report)
        return frames, exit_status(report, strict=self.strict)


@dataclass(eq=False, repr=False)
class ReportReading:
    """Options of a command that reads a log directory to print a report."""

    strict: options.StrictOption = False
    json: options.JsonOption = False
    quiet: options.QuietOption = False
    workers: options.WorkersOption = None
    max_expansion: options.ExpansionOption = options.DEFAULT_EXPANSION
    debug: options.DebugOption = False

    @property
    def shows_progress(self) -> bool:
        """Whether a progress bar may be shown."""
        return not (self.quiet or self.json)
