"""Completion of commands, options, runs and tags in bash, zsh and fish.

typer finds what can be completed and installs the scripts. The scripts and the format of the answers are from here,
because names of tags have blanks and colons: bash splits a word at a colon and does not quote what it inserts, and
typer's scripts for bash and zsh lose such names (seen with typer 0.28, bash 5.2 and zsh 5.9).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from typer import _completion_classes, _completion_shared

from tb2csv.errors import OptionError, Tb2csvError
from tb2csv.selection import literal_pattern
from tb2csv.sources.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tb2csv.logdir import Logdir

_PROGRAM: Final = "tb2csv"

#: The environment variable that requests completions, and those with the command line up to the cursor and, for bash,
#: the characters at which it breaks words.
VARIABLE: Final = "_TB2CSV_COMPLETE"
_LINE: Final = "_TB2CSV_LINE"
_BREAKS: Final = "_TB2CSV_BREAKS"

_BASH: Final = """
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(env %(autocomplete_var)s=complete_bash _TB2CSV_LINE="${COMP_LINE:0:$COMP_POINT}" \\
        _TB2CSV_BREAKS="$COMP_WORDBREAKS" %(prog_name)s 2>/dev/null)
}

complete -o default -F %(complete_func)s %(prog_name)s
"""

# The words still have their quotes. compadd quotes what it inserts.
_ZSH: Final = """
#compdef %(prog_name)s

%(complete_func)s() {
  local -a lines values shown
  lines=("${(@f)$(env %(autocomplete_var)s=complete_zsh _TB2CSV_LINE="${(j: :)words[1,CURRENT]}" \\
    %(prog_name)s 2>/dev/null)}")
  local line
  for line in $lines; do
    values+=("${line%%%%$'\\t'*}")
    shown+=("${line/$'\\t'/  -- }")
  done
  if (( ${#values} )); then
    compadd -l -d shown -- $values
  else
    _files
  fi
}

compdef %(complete_func)s %(prog_name)s
"""

_FISH: Final = """
function %(complete_func)s
    set -l found (env %(autocomplete_var)s=complete_fish _TB2CSV_LINE=(commandline -cp | string collect) \\
        %(prog_name)s 2>/dev/null)
    if test (count $found) -gt 0
        printf '%%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command %(prog_name)s --no-files --arguments '(%(complete_func)s)'
"""

_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

#: Characters that are not just a part of a word to a shell.
_SPECIAL: Final = re.compile(r"([^\w@%+=:,./~-])", re.ASCII)
#: Within double quotes.
_SPECIAL_IN_QUOTES: Final = re.compile(r'([\\"$`])')


class Words:
    """The words of a command line up to the cursor, as a shell splits them.

    Attributes:
        complete: the words before the one at the cursor, without quotes.
        last: the word at the cursor, without quotes.
        raw: the same as it was typed.
        quote: the quote that is open at the cursor, or an empty text.
    """

    def __init__(self, line: str) -> None:
        """Split a line; it may end within quotes."""
        self.complete: list[str] = []
        self.last, self.raw, self.quote = "", "", ""
        is_escaped = False
        for letter in line:
            if letter.isspace() and not (self.quote or is_escaped):
                if self.raw:
                    self.complete.append(self.last)
                self.last, self.raw = "", ""
                continue
            self.raw += letter
            if is_escaped:
                # Within double quotes, a backslash counts only before some characters.
                self.last += letter if not self.quote or _SPECIAL_IN_QUOTES.match(letter) else f"\\{letter}"
                is_escaped = False
            elif letter == "\\" and self.quote != "'":
                is_escaped = True
            elif letter == self.quote:
                self.quote = ""
            elif letter in {"'", '"'} and not self.quote:
                self.quote = letter
            else:
                self.last += letter


def for_bash(value: str, words: Words, breaks: str) -> str:
    """Return what bash must insert for a completed value: quoted, without what is before its last word break."""
    if words.quote:
        quoted = value if words.quote == "'" else _SPECIAL_IN_QUOTES.sub(r"\\\1", value)
        return quoted.replace("'", "'\\''") if words.quote == "'" else quoted
    quoted = _SPECIAL.sub(r"\\\1", value)
    # bash replaces the part of the word after the last character at which it breaks words.
    kept = max((words.raw.rfind(each) for each in breaks if each in ":=@"), default=-1) + 1
    typed = _SPECIAL.sub(r"\\\1", words.last)
    return quoted[kept:] if kept and typed == words.raw else quoted


#: The words of the request before the one at the cursor, without the name of the program.
_given: Final[list[str]] = []


class _OwnFormat:
    """The parts that the completions for our scripts share."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words after the program's name, and the one at the cursor."""
        words = Words(os.environ.get(_LINE, ""))
        return words.complete[1:], words.last

    def _values(self) -> Iterator[tuple[str, str]]:
        """Yield the completions and their help; what a shell cannot show or insert is left out."""
        args, incomplete = self.get_completion_args()
        _given[:] = args
        for item in self.get_completions(args, incomplete):  # type: ignore[attr-defined]
            if str(item.value).isprintable():
                yield str(item.value), " ".join((item.help or "").split())


class _BashComplete(_OwnFormat, _completion_classes.BashComplete):
    source_template = _BASH

    def complete(self) -> str:
        words, breaks = Words(os.environ.get(_LINE, "")), os.environ.get(_BREAKS, "")
        return "\n".join(for_bash(value, words, breaks) for value, _ in self._values())


class _ZshComplete(_OwnFormat, _completion_classes.ZshComplete):
    source_template = _ZSH

    def complete(self) -> str:
        return "\n".join(f"{value}\t{text}" if text else value for value, text in self._values())


class _FishComplete(_OwnFormat, _completion_classes.FishComplete):
    source_template = _FISH

    def complete(self) -> str:
        return "\n".join(f"{value}\t{text}" if text else value for value, text in self._values())


_CLASSES: Final[dict[str, Callable[..., Any]]] = {"bash": _BashComplete, "zsh": _ZshComplete, "fish": _FishComplete}


def answer(command: Any, request: str) -> str:
    """Return the completions that the script of a shell requests with a text such as ``complete_bash``."""
    shell = request.rpartition("_")[2]
    return _CLASSES[shell](command, {}, _PROGRAM, VARIABLE).complete() if shell in _CLASSES else ""


def script() -> str:
    """Return the script for the shell that runs this process.

    Raises:
        OptionError: it is another shell.
    """
    return _completion_shared.get_completion_script(prog_name=_PROGRAM, complete_var=VARIABLE, shell=_own_shell())


def install() -> str:
    """Install the script for the shell that runs this process, and return a sentence on it.

    Raises:
        OptionError: it is another shell.
    """
    shell, path = _completion_shared.install(shell=_own_shell(), prog_name=_PROGRAM, complete_var=VARIABLE)
    return f"Completion for {shell} is installed in {path}; start a new shell to use it."


def _own_shell() -> str:
    shell = _completion_shared._get_shell_name()
    if shell not in _SCRIPTS:
        other = f"this is {shell}" if shell else "this shell is unknown"
        message = f"Completion is for {', '.join(_SCRIPTS)}, and {other}; run the command in one of them."
        raise OptionError(message)
    _completion_shared._completion_scripts.update(_SCRIPTS)
    return shell


# Names in a log


def run_names(ctx: Any, incomplete: str) -> list[str]:
    """Return patterns for the runs of the log directory on the command line that begin with a text."""
    found = _logdir(_parameters(ctx))
    return _patterns((run.name for run in found.runs) if found else (), incomplete)


def tag_names(ctx: Any, incomplete: str) -> list[str]:
    """Return patterns for the tags of the selected runs of the log directory that begin with a text."""
    from tb2csv.series_listing import ls

    given = _parameters(ctx)
    found = _logdir(given)
    if found is None:
        return []
    try:
        return _patterns((each.tag for each in ls(found, run=given.get("run") or None).series), incomplete)
    except Tb2csvError:  # no run matches
        return []


def _patterns(names: Iterable[str], incomplete: str) -> list[str]:
    return [each for each in dict.fromkeys(map(literal_pattern, names)) if each.startswith(incomplete)]


def _logdir(given: Mapping[str, Any]) -> Logdir | None:
    """Return the log directory; None if one is in a store, which may not answer for long.

    The last argument of some commands is not a log directory, and may be on the command line or not yet.
    """
    from tb2csv.logdir import discover

    last = [given[name] for name in ("out", "query") if given.get(name)]
    paths = [*(given.get("logdir") or ()), *last]
    if any(map(is_url, paths)):
        return None
    for some in (paths, paths[:-1]):
        try:
            return discover(some)
        except Tb2csvError:
            continue
    return None


def _parameters(ctx: Any) -> Mapping[str, Any]:
    """Return the arguments and options of a command that are complete.

    The parser stops at the option whose value is at the cursor, so they are parsed again without it.
    """
    args = _given[len(ctx.command_path.split()) - 1 :]
    if args and args[-1].startswith("-"):
        args = args[:-1]
    with ctx.command.make_context(ctx.info_name, args, parent=ctx.parent, resilient_parsing=True) as parsed:
        parameters: Mapping[str, Any] = parsed.params
    return parameters
