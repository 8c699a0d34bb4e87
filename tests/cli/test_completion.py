"""Completion in real shells: what they insert is what a command gets, whatever the names in the log are."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import environment
from event_files import event, scalar, write_run
from hypothesis import given
from hypothesis import strategies as st

from tb2csv.cli.completion import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells of Unix")

TAGS = (
    "train/loss",
    "val: loss",
    "a:b/c:d",
    "it's",
    'say "$x"',
    "`date`",
    "100%",
    "größe",
    "[x]*",
    "a=b",
    "~",
    "$HOME",
)
RUNS = ("run one", "2024:01", "other")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a log directory, and with the program in ``bin``."""
    for run in RUNS:
        write_run(tmp_path / "logs" / run, event(*(scalar(tag, 1.0) for tag in TAGS)))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tb2csv"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tb2csv "$@"\n')
    program.chmod(0o755)
    return tmp_path


def environment_of(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return environment(HOME=str(folder), PATH=path, PYTHONPATH=paths, LC_ALL="C.UTF-8", PS1="ready$ ", TERM="dumb")


def needs(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")


def run_in(shell: str, commands: str, folder: Path) -> str:
    """Return what commands print that a shell runs, and that come from its standard input."""
    needs(shell)
    done = subprocess.run(
        [shell], input=commands, cwd=folder, env=environment_of(folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# A terminal, on which a key completes

_PROMPT = "ready$ "
#: The program of an interactive shell, and how it reads the script.
_SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(tb2csv --show-completion)"),
    "zsh": (
        ["zsh", "-f", "-i", "+o", "promptsp"],
        "autoload -Uz compinit; compinit -u -D; tb2csv --show-completion > script; source ./script",
    ),
}
#: The program shows its arguments from now on; completion calls the real one, which is on the path.
_SHOW = "tb2csv() { printf '<%s>\\n' \"$@\"; printf 'E%s\\n' ND; }; printf 'E%s\\n' ND"


class Terminal:
    """A shell on a pseudo-terminal, with the completion of tb2csv."""

    def __init__(self, shell: str, folder: Path) -> None:
        import pty  # not everywhere

        needs(shell)
        command, script = _SHELLS[shell]
        self._main, terminal = pty.openpty()
        env = environment_of(folder) | {"COLUMNS": "2000", "INPUTRC": "/dev/null"}
        self._process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)
        self._read_until(_PROMPT)
        self.enter(f"{script}; {_SHOW}\n")

    def enter(self, keys: str) -> list[str]:
        """Type a line, and return the arguments that the program then gets."""
        os.write(self._main, keys.encode())
        shown = self._read_until(f"END\n{_PROMPT}")
        return [line[1:-1] for line in shown.splitlines() if line.startswith("<") and line.endswith(">")]

    def _read_until(self, end: str) -> str:
        text = ""
        while not text.endswith(end):
            text += os.read(self._main, 1 << 16).decode()
            text = text.replace("\r", "").replace("\x1b[?2004h", "").replace("\x1b[?2004l", "").replace("\x1b[K", "")
        return text

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._main)


@pytest.fixture(params=[*_SHELLS])
def terminal(request: pytest.FixtureRequest, folder: Path) -> Iterator[Terminal]:
    opened = Terminal(request.param, folder)
    yield opened
    opened.close()


#: What is typed before the key, and the arguments that the program gets.
TYPED = [
    ("conv", ["convert"]),
    ("ls logs --tag train", ["ls", "logs", "--tag", "train/loss"]),
    ("ls logs --tag val", ["ls", "logs", "--tag", "val: loss"]),
    ("ls logs --tag 'val: l", ["ls", "logs", "--tag", "val: loss"]),
    ('ls logs --tag "val: l', ["ls", "logs", "--tag", "val: loss"]),
    ("ls logs --tag a:b/", ["ls", "logs", "--tag", "a:b/c:d"]),
    ("ls logs --tag it", ["ls", "logs", "--tag", "it's"]),
    ("ls logs --tag say", ["ls", "logs", "--tag", 'say "$x"']),
    ("ls logs --tag gr", ["ls", "logs", "--tag", "größe"]),
    ("ls logs --tag a=", ["ls", "logs", "--tag", "a=b"]),
    ("ls logs --run run", ["ls", "logs", "--run", "run one"]),
    ("ls logs --exclude-run 2024:", ["ls", "logs", "--exclude-run", "2024:01"]),
    ("best logs --by train", ["best", "logs", "--by", "train/loss"]),
    ("ls logs/2024:01 'logs/run one' --run 'run o", ["ls", "logs/2024:01", "logs/run one", "--run", "run one"]),
    ("convert logs out --format par", ["convert", "logs", "out", "--format", "parquet"]),
    ("sql logs --format par", ["sql", "logs", "--format", "parquet"]),
    ("diagnose logs --fail-on dead_l", ["diagnose", "logs", "--fail-on", "dead_layer"]),
    ("convert logs out --layout lo", ["convert", "logs", "out", "--layout", "long"]),
    ("ls lo", ["ls", "logs"]),
    ("state ex", ["state", "export"]),
]


@pytest.mark.slow
def test_what_a_shell_inserts_is_what_the_program_gets(terminal: Terminal) -> None:
    for typed, arguments in TYPED:
        assert [each.rstrip("/") for each in terminal.enter(f"tb2csv {typed}\t\n")] == arguments, typed


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["tb2csv ls logs --tag ", "tb2csv ls logs --run '2024:01' --tag "])
def test_fish_completes_tags_and_runs(typed: str, folder: Path) -> None:
    """fish quotes what it inserts by itself."""
    (folder / "typed").write_text(typed)
    (folder / "show.fish").write_text("tb2csv --show-completion | source\ncomplete -C (cat typed | string collect)\n")
    assert sorted(run_in("fish", "source show.fish\n", folder).splitlines()) == sorted(
        tag.replace("[", "[[]").replace("*", "[*]") for tag in TAGS
    )


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_the_shell_that_runs(shell: str, folder: Path) -> None:
    shown = run_in(shell, "tb2csv --install-completion\n", folder)
    assert f"Completion for {shell} is installed in {folder}/" in shown
    path = Path(shown.partition(" in ")[2].partition(";")[0])
    assert path.read_text().strip() == run_in(shell, "tb2csv --show-completion\n", folder).strip()


@pytest.mark.slow
def test_other_shells_are_refused(folder: Path) -> None:
    needs("dash")
    done = subprocess.run(
        ["dash", "-c", "tb2csv --show-completion; exit $?"],
        cwd=folder,
        env=environment_of(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "tb2csv: Completion is for bash, zsh, fish, and this is dash; run the command in one of them.\n"
    )


# Words

WORDS = st.lists(st.text(st.sampled_from("ab '\"\\$:=\t*"), min_size=1), min_size=1)


@given(WORDS)
def test_words_are_split_as_a_shell_does(words: list[str]) -> None:
    """shlex, which quotes and splits, is the oracle."""
    line = shlex.join(words)
    found = Words(line)
    assert [*found.complete, found.last] == words == shlex.split(line)
    assert found.quote == ""
    assert line.endswith(found.raw)


@pytest.mark.parametrize(
    ("line", "complete", "last", "quote"),
    [
        ("tb2csv ls ", ["tb2csv", "ls"], "", ""),
        ("tb2csv ls 'a b", ["tb2csv", "ls"], "a b", "'"),
        ('tb2csv ls "a \\"b', ["tb2csv", "ls"], 'a "b', '"'),
        ('tb2csv ls "a\\b', ["tb2csv", "ls"], "a\\b", '"'),
        ("tb2csv ls a\\ b", ["tb2csv", "ls"], "a b", ""),
        ("tb2csv '' x", ["tb2csv", ""], "x", ""),
        ("tb2csv x'y z'w", ["tb2csv"], "xy zw", ""),
    ],
)
def test_the_last_word_may_be_unfinished(line: str, complete: list[str], last: str, quote: str) -> None:
    words = Words(line)
    assert (words.complete, words.last, words.quote) == (complete, last, quote)
