"""``tb2csv plot``: draw curves, histograms and norms of tensors."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tb2csv.analysis.plots.plot import STYLES
from tb2csv.analysis.plots.themes import THEMES
from tb2csv.analysis.plots.x_axis import POSITIONS
from tb2csv.cli import group_options, option_groups, options, table_options
from tb2csv.cli.terminal import error_messages, plural, print_message, print_result
from tb2csv.errors import OptionError
from tb2csv.messages import command_line_spelling

_STYLE_NAMES = {name: name for styles in STYLES.values() for name in styles}

PlotKind = enum.Enum("PlotKind", {name: name for name in STYLES}, type=str)  # type: ignore[misc]
PlotStyle = enum.Enum("PlotStyle", _STYLE_NAMES, type=str)  # type: ignore[misc]
PlotTheme = enum.Enum("PlotTheme", {name: name for name in THEMES}, type=str)  # type: ignore[misc]
Along = enum.Enum("Along", {name: name for name in POSITIONS}, type=str)  # type: ignore[misc]


def plot(
    logdir: options.LogdirArgument,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write: .png, .svg, .pdf, .html or .jpg; or .csv, .json, .md or .tex for the values of the "
            "curves as a table.",
        ),
    ],
    *,
    filters: option_groups.TagFilter,
    kind: Annotated[
        PlotKind | None,
        typer.Option(
            "--kind",
            help="Kind of values to draw; tensors are drawn as norms. Default: the first of these that is selected.",
        ),
    ] = None,
    style: Annotated[
        PlotStyle | None,
        typer.Option(
            "--style",
            help="Scalars are drawn as curves or heatmap, histograms as ridges or heatmap, tensors as heatmap or "
            "curves; the first is the default.",
        ),
    ] = None,
    smooth: Annotated[
        float,
        typer.Option("--smooth", metavar="W", help="Smooth curves as TensorBoard does, with a weight from 0 to 0.999."),
    ] = 0.0,
    x: Annotated[
        Along,
        typer.Option("--x", help="The x axis: steps, the time since the run's first event, or wall time."),
    ] = Along["step"],
    log: Annotated[
        bool | None,
        typer.Option(
            "--log/--no-log",
            help="Make the y axis of curves logarithmic, or linear. Default: logarithmic if positive values span three "
            "powers of ten.",
        ),
    ] = None,
    all_points: Annotated[
        bool,
        typer.Option("--all-points", help="Show outliers of curves, which TensorBoard ignores by default as well."),
    ] = False,
    ylim: Annotated[
        str | None,
        typer.Option("--ylim", metavar="LOW,HIGH", help="Ends of the y axis of curves; either may be empty: 0, or ,1."),
    ] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="A line above all panels.")] = "",
    width: Annotated[
        float | None, typer.Option("--width", metavar="INCHES", help="Width of the whole picture.")
    ] = None,
    height: Annotated[
        float | None, typer.Option("--height", metavar="INCHES", help="Height of the whole picture.")
    ] = None,
    dpi: Annotated[
        int | None, typer.Option("--dpi", metavar="N", help="Pixels per inch. Default: 150, or 300 for paper.")
    ] = None,
    theme: Annotated[
        PlotTheme,
        typer.Option(
            "--theme", help="Colours and sizes: those of TensorBoard's light or dark theme, or of a figure in a paper."
        ),
    ] = PlotTheme["light"],
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="GLOB",
            help="Pattern for groups of runs, as in reduce: 'lr=*/seed_*' draws one curve and band for the seeds of "
            "each lr.",
        ),
    ] = None,
    band: Annotated[
        group_options.BandName | None,
        typer.Option(
            "--band",
            help="The band of a group: the mean with the standard deviation (std, the default), standard error, "
            "95 % bootstrap interval, or minimum and maximum; or the median with quartiles.",
        ),
    ] = None,
    align: group_options.AlignOption = None,
    nan: Annotated[
        group_options.NanPolicy | None,
        typer.Option("--nan", help="How NaN is handled in a group, as in reduce. Default: keep."),
    ] = None,
    min_step: options.MinStepOption = None,
    max_step: options.MaxStepOption = None,
    restarts: table_options.RestartsOption = table_options.Restarts["keep"],
    overwrite: options.OverwriteFileOption = False,
    reading: option_groups.TableReading,
) -> None:
    """Draw the selected tags and runs below LOGDIR, one panel per tag, one curve per run.

    Runs have the same colours as in TensorBoard. A smoothed curve is drawn over a faint one of the values. Nothing is
    sampled: a long curve shows all extremes. This command needs matplotlib, which the extra `plot` installs.
    """
    with error_messages(debug=reading.debug):
        from tb2csv.analysis.plots import plot as drawing
        from tb2csv.analysis.plots.drawing_options import Look
        from tb2csv.analysis.plots.grouped_series import grouping_of
        from tb2csv.analysis.plots.themes import theme_of
        from tb2csv.runs.row_selection import RowSelection

        ends = None if ylim is None else _ends(ylim)
        look = Look(theme_of(theme.value), title, width, height, dpi)
        drawing.check_request(output, smooth=smooth, x=x.value, look=look, log=log, ylim=ends, overwrite=overwrite)
        grouping_of(by, band=band and band.value, align=align, nan=nan and nan.value, x=x.value)
        frames, status = reading.frames(logdir, filters.selection)
        drawn = drawing.plot(
            frames,
            output,
            selection=filters.selection,
            rows=RowSelection(min_step, max_step, restarts=restarts.value),
            kind=kind and kind.value,
            style=style and style.value,
            smooth=smooth,
            x=x.value,
            log=log,
            by=by,
            band=band and band.value,
            align=align,
            nan=nan and nan.value,
            all_points=all_points,
            ylim=ends,
            title=title,
            width=width,
            height=height,
            dpi=dpi,
            theme=theme.value,
            overwrite=overwrite,
        )
        if not reading.quiet:
            for note in drawn.notes:
                print_message(f"tb2csv: {note.spelled(command_line_spelling)}")
            groups = f" of {plural(drawn.groups, 'group')}" if drawn.groups else ""
            print_result(
                f"{plural(drawn.values, 'value')} of {plural(drawn.tags, 'tag')} in {plural(drawn.runs, 'run')}"
                f"{groups}: see {output}"
            )
        raise typer.Exit(status)


def _ends(text: str) -> tuple[float | None, float | None]:
    """Return the ends of an axis: ``0,1``, or ``0,`` and ``,1`` for one of them.

    Raises:
        OptionError: the text has another form.
    """
    try:
        low, high = (float(part) if part.strip() else None for part in text.split(","))
    except ValueError as error:
        message = f"{text!r} is not two numbers; give LOW,HIGH, such as 0,1."
        raise OptionError(message) from error
    return low, high
