"""``tb2csv diagnose``: report the training problems that a log shows."""

from __future__ import annotations

from typing import Annotated

import typer

from tb2csv.analysis.diagnosis.network import DEFAULT_STEPS
from tb2csv.analysis.diagnosis.rules import RULES, THRESHOLDS
from tb2csv.analysis.diagnosis.tag_families import FAMILIES
from tb2csv.cli import option_groups, options, table_output
from tb2csv.cli.terminal import EXIT_FOUND, error_messages, exit_status, opened_logdir, print_message, print_problems
from tb2csv.errors import LogdirError, OptionError
from tb2csv.selection import nearest

FamiliesOption = Annotated[
    list[str],
    typer.Option(
        "--as",
        metavar="FAMILY=GLOB",
        help=f"Assign tags to a family if their names do not show it; repeatable. FAMILY is one of "
        f"{', '.join(FAMILIES)}.",
    ),
]
StepsOption = Annotated[
    int,
    typer.Option(
        "--steps",
        min=1,
        metavar="N",
        help=f"Number of consecutive recorded steps a problem must last. Default: {DEFAULT_STEPS}.",
        show_default=False,
    ),
]
ThresholdOption = Annotated[
    list[str],
    typer.Option(
        "--threshold",
        metavar="NAME=NUMBER",
        help="Override a threshold of a rule; repeatable. Names and defaults: "
        + ", ".join(f"{name}={threshold.default:g}" for name, threshold in THRESHOLDS.items())
        + ".",
    ),
]


def diagnose(
    logdir: options.LogdirArgument,
    *,
    filters: option_groups.TagFilter,
    tags_as: FamiliesOption = [],
    steps: StepsOption = DEFAULT_STEPS,
    threshold: ThresholdOption = [],
    fail_on: Annotated[
        list[str],
        typer.Option(
            "--fail-on",
            metavar="RULE",
            autocompletion=options.one_of(RULES),
            help=f"Exit with status {EXIT_FOUND} if this rule finds a problem; repeatable.",
        ),
    ] = [],
    output: table_output.TableOutput,
    reading: option_groups.TableReading,
) -> None:
    """Diagnose training problems in the runs below LOGDIR, layer by layer.

    Finds vanishing and exploding gradients, dead and saturated layers, NaN, losses that diverge, spike, stall or
    overfit, learning rates of zero, and steps that go back. It reads losses, learning rates, and recorded gradients,
    weights, layer errors and outputs, as tensors, histograms or statistics; docs/diagnose.md explains every rule.
    Findings change the exit status only with --fail-on.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.analysis.diagnosis.diagnose import diagnose as diagnose_logdir

        output.check()
        thresholds = thresholds_of(threshold)
        _check_rules(fail_on)
        with opened_logdir(logdir, reading.max_expansion, shown=not reading.quiet) as (found, report_bytes):
            diagnosis = diagnose_logdir(
                found,
                selection=filters.selection,
                families=tags_as,
                thresholds=thresholds,
                steps=steps,
                workers=reading.workers,
                progress=report_bytes,
            )
        if not reading.quiet:
            print_problems(diagnosis.report)
        status = exit_status(diagnosis.report, strict=reading.strict)
        if diagnosis.coverage.is_empty() and diagnosis.findings.is_empty():
            message = (
                f"{found.path} has nothing to diagnose: no gradients, weights, layer errors, outputs or scalars; "
                "assign tags to a family with --as."
            )
            raise LogdirError(message)
        from tb2csv.cli.diagnosis_table import coverage_lines, print_findings

        if output.is_drawn:
            print_findings(diagnosis)
        if not reading.quiet:
            for line in coverage_lines(diagnosis):
                print_message(line)
        if not output.is_drawn:
            output.write(diagnosis.findings, quiet=reading.quiet)
        is_failed = not set(diagnosis.findings["rule"]).isdisjoint(fail_on)
        raise typer.Exit(EXIT_FOUND if is_failed else status)


def _check_rules(names: list[str]) -> None:
    for name in names:
        if name not in RULES:
            message = f"Unknown rule {name!r} for --fail-on; {nearest([name], RULES)}."
            raise OptionError(message)


def thresholds_of(given: list[str]) -> dict[str, float]:
    """Return the numbers of ``--threshold`` by name; ``diagnose`` refuses unknown names."""
    thresholds = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            thresholds[name] = float(number)
        except ValueError:
            message = f"--threshold {text} is not NAME=NUMBER; give, for example, {next(iter(THRESHOLDS))}=1."
            raise OptionError(message) from None
    return thresholds
