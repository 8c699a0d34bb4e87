"""``tb2csv mcp``: serve a log directory to an agent."""

from __future__ import annotations

from tb2csv.cli import options
from tb2csv.cli.terminal import error_messages


def mcp(
    logdir: options.LogdirArgument,
    workers: options.WorkersOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Serve LOGDIR to an agent by the Model Context Protocol, over standard input and output.

    Agents list runs and tags, read rows, compare and rank runs, diagnose trainings and run SQL. They cannot change
    anything, nor read other files. Clients start this command themselves; the extra mcp has to be installed.
    """
    with error_messages(debug=debug):
        from tb2csv.mcp_server.server import mcp as serve

        serve(logdir, workers=workers)
