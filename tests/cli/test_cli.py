"""The command line: what it prints and where, how it ends, and that a refusal is one sentence and changes nothing."""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import Ran, environment, run_here, run_process
from event_files import event, file_name, flip, hparams_start, records, scalar, simple_value, tensor, text, write_run
from tables import read_tree

import tb2csv
from tb2csv.cli import COMMANDS, app
from tb2csv.event_files.scanners import default_scanner
from tb2csv.logdir import EventFile
from tb2csv.selection import KINDS, SECONDARY_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux")
Run = "Callable[..., Ran]"

REPORT_KEYS = {
    "tool",
    "version",
    "values_read",
    "values_written",
    "values_filtered",
    "values_undecodable",
    "values_empty",
    "tables",
    "runs",
    "sources",
    "damage_count",
    "damage",
    "undecodable",
    "notes",
}
SOURCE_KEYS = {
    "path",
    "run",
    "bytes",
    "records",
    "record_bytes",
    "damaged_records",
    "lost_bytes",
    "incomplete_tail_bytes",
}
DAMAGE_KEYS = {"path", "offset", "length", "kind", "detail", "lost", "exceeds_limit"}
UNDECODABLE_KEYS = {"run", "tag", "step", "detail", "exceeds_limit"}
SERIES_KEYS = [
    "run",
    "tag",
    "kind",
    "plugin_name",
    "points",
    "first_step",
    "last_step",
    "first_wall_time",
    "last_wall_time",
]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    return lambda *arguments: run_here(capsys, *arguments)


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Return two runs: three points of a loss and a note; and one point of another loss."""
    folder = tmp_path / "logs"
    events = [event(scalar("loss", 1 / step), step=step, wall_time=1000.5 + step) for step in (1, 2, 3)]
    write_run(folder / "train", *events, event(text("note", "hi"), step=3, wall_time=1004.0))
    write_run(folder / "valid", event(simple_value("val/loss", 0.5), step=3, wall_time=1005.0))
    return folder


@pytest.fixture
def damaged(logdir: Path) -> Path:
    """Return the log directory with the payload of the last value of a run damaged."""
    path = logdir / "valid" / file_name()
    data = path.read_bytes()
    path.write_bytes(flip(data, len(data) - 6))
    return logdir


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results" / "out"


def assert_refused(ran: Ran, *words: str, status: int = 1) -> None:
    """Assert that a command ended with one sentence on standard error."""
    assert ran.status == status
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("tb2csv: ")
    assert line.endswith(".")
    for word in words:
        assert word in line
    assert "unexpected error" not in line


# Version and help


def test_version_names_the_scanner(run: Callable[..., Ran]) -> None:
    expected = f"tb2csv {tb2csv.__version__} ({default_scanner().name} scanner)\n"
    assert run("--version") == run("-V") == Ran(0, expected, "")


@pytest.mark.parametrize("scanner", ["reference", "no such"])
def test_the_environment_chooses_the_scanner(scanner: str) -> None:
    ran = run_process("--version", env={"TB2CSV_SCANNER": scanner})
    if scanner == "reference":
        assert ran == Ran(0, f"tb2csv {tb2csv.__version__} (reference scanner)\n", "")
    else:
        assert_refused(ran, "The scanner 'no such' is not installed")


@pytest.mark.slow
def test_the_script_and_the_module_are_the_same(logdir: Path) -> None:
    script = shutil.which("tb2csv", path=str(Path(sys.executable).parent))
    assert script, "tb2csv is not installed"
    for arguments in (["--version"], ["--help"], ["ls", str(logdir)], ["ls"]):
        done = subprocess.run([script, *arguments], env=environment(), capture_output=True, text=True, check=False)
        assert Ran(done.returncode, done.stdout, done.stderr) == run_process(*arguments)


RUNS = ["--run", "--exclude-run", "--workers", "--max-expansion"]
SHARED = [*RUNS, "--strict", "--json", "--quiet", "-q", "--debug", "--help", "-h"]
SHAPES = ["--layout", "--format", "--header", "--on-duplicate", "--time", "--relative-to", "--escape-formulas"]
FILES = ["--x", "--align", "--csv-dialect"]
ROWS = ["--min-step", "--max-step", "--every", "--last", "--restarts", "--sessions", "--merge-subruns"]
FILTERS = ["--tag", "--kind", "--exclude-tag"]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "convert",
            [*SHARED, *FILTERS, *SHAPES, *ROWS, *FILES, "--tensors", "--overwrite", "--scheduler", "--scheduler-file"],
        ),
        ("ls", [*SHARED, *FILTERS]),
        ("check", SHARED),
    ],
)
def test_help_lists_every_option(
    command: str, options: list[str], run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ran = run(command, "--help")
    assert (ran.status, ran.stderr) == (0, "")
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", ran.stdout.partition("Options")[2])) == set(options)
    assert "LOGDIR" in ran.stdout
    assert ("OUT" in ran.stdout) == (command == "convert")
    assert run(command, "-h") == ran
    if "--kind" in options:
        assert set(KINDS) - set(SECONDARY_KINDS) <= set(re.findall(r"\w+", ran.stdout)), "those come with others"


def test_help_lists_every_command(run: Callable[..., Ran]) -> None:
    ran = run("--help")
    assert ran.status == 0
    assert all(command in ran.stdout for command in ("convert", "ls", "check"))


def test_a_command_does_not_wait_for_the_others() -> None:
    code = (
        "import sys; from tb2csv.cli import COMMANDS, load_commands; load_commands('convert');"
        "print([name for name in COMMANDS if 'tb2csv.cli.' + name.replace('-', '_') in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "['convert']\n"


def test_the_options_of_a_command_are_made_once() -> None:
    code = (
        "import sys, typer.main; made = []; make = typer.main.get_click_param;"
        "typer.main.get_click_param = lambda param: [made.append(param.name), make(param)][1];"
        "from tb2csv.cli import app; app(['ls', '--help'], standalone_mode=False); print(made.count('exclude_run'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "1"


@pytest.mark.parametrize("arguments", ["--version", "--help", "convert --help", "ls LOGS", "check LOGS"])
def test_a_command_that_needs_no_frames_does_not_import_polars(arguments: str) -> None:
    sample_logs = str(Path(__file__).parents[2] / "sample_logs")
    words = [sample_logs if word == "LOGS" else word for word in arguments.split()]
    ran = run_process(*words, env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert ("numpy" in imported) == arguments.endswith("LOGS")
    assert "polars" not in imported
    # Not logging, which earlier versions of other packages import.
    others = ("concurrent.futures", "tb2csv.atomic_files", "tb2csv.layouts", "tb2csv.sinks")
    assert not (arguments.endswith("LOGS") and imported.intersection(others)), (
        "they write nothing, and start few threads"
    )


@pytest.mark.slow
def test_an_update_of_an_unchanged_log_does_not_import_numpy_or_polars(tmp_path: Path) -> None:
    arguments = ("convert", str(Path(__file__).parents[2] / "sample_logs"), str(tmp_path / "out"), "--json")
    first = run_process(*arguments)
    again = run_process(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines() if "import time:" in line}
    assert "sqlite3" in imported
    assert not imported & {"numpy", "polars"}
    report = json.loads(again.stdout)
    assert report.pop("update")["values"] == 0
    assert report == json.loads(first.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["conversion", "series_listing", "tensorboard_plugin.export_service", "following.follow"]
)
def test_polars_is_imported_at_its_first_use(module: str) -> None:
    code = (
        f"import sys, tb2csv.{module}; print('polars' in sys.modules);"
        "from tb2csv.late_modules import pl; import polars; print(pl.DataFrame is polars.DataFrame)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["convert", "summary"])
def test_polars_without_its_library_is_one_sentence(tmp_path: Path, command: str) -> None:
    """polars imports all the same, and only warns."""
    write_run(tmp_path / "log" / "run", event(scalar("loss", 0.5)))
    code = "import sys; sys.modules['polars._plr'] = None; from tb2csv.cli import main; main()"
    arguments = [command, str(tmp_path / "log"), str(tmp_path / "out")][: 2 if command == "summary" else 3]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False, text=True)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tb2csv: ")]
    assert done.returncode == 1
    assert "polars cannot load its compiled library" in line
    assert "memory" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_threads_may_be_the_first_to_use_polars() -> None:
    code = (
        "import numpy as np; from concurrent.futures import ThreadPoolExecutor; from tb2csv.late_modules import pl;"
        "frames = ThreadPoolExecutor(8).map(lambda number: pl.DataFrame({'value': np.full(1, number)}), range(100));"
        "print(sum(int(frame['value'][0]) for frame in frames))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == [str(sum(range(100)))]


def assert_misunderstood(ran: Ran, *words: str) -> None:
    """Assert that a command line was not understood, and that one sentence says so."""
    assert (ran.status, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("tb2csv: ")
    assert line[-1] in ".?"
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        ("convrt logs out", "convert"),
        ("layer_errors logs", "layer-errors"),
        ("state exprt model", "export"),
        ("ls logs --kinds scalars", "--kind"),
        ("convert logs out --laout long", "--layout"),
        ("state export model --ouput x", "--output"),
        ("ls logs --kind scalar", "scalars"),
        ("convert logs out --layout tre", "tree"),
        ("state export model -o x --style elemnts", "elements"),
    ],
)
def test_a_mistyped_name_proposes_the_nearest(run: Callable[..., Ran], arguments: str, nearest: str) -> None:
    assert_misunderstood(run(*arguments.split()), f"did you mean {nearest!r}?")


@pytest.mark.parametrize("arguments", ["nothing", "ls logs --qqq", "state qqq", "ls logs --kind qqq"])
def test_a_name_that_resembles_nothing_has_no_proposal(run: Callable[..., Ran], arguments: str) -> None:
    ran = run(*arguments.split())
    assert_misunderstood(ran)
    assert "did you mean" not in ran.stderr


def test_a_log_directory_without_a_command_proposes_one(
    run: Callable[..., Ran], logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(logdir.parent))
    assert_misunderstood(run(logdir, "out"), f"did you mean tb2csv convert {logdir} out?")
    assert_misunderstood(run("~/logs", "out", "--tag", "loss"), "did you mean tb2csv convert ~/logs out --tag loss?")
    assert_misunderstood(run("s3://bucket/logs"), "did you mean tb2csv ls s3://bucket/logs?")


def test_a_pattern_that_the_shell_has_replaced_is_recognised(
    run: Callable[..., Ran], logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(logdir)
    assert_misunderstood(run("state", "export", "train", "valid", "-o", "x"), "quote the pattern")
    ran = run("state", "export", "train", "none", "-o", "x")
    assert_misunderstood(ran, "'none'", "state export --help")
    assert "pattern" not in ran.stderr
    ran = run("ls", ".", "--tag", "train", "valid")  # the second name is that of another log directory
    assert (ran.status, ran.stdout) == (1, "")
    assert "valid is in ." in ran.stderr
    assert "quote the pattern" in ran.stderr


@pytest.mark.parametrize("arguments", [["convert"], ["convert", "logs"], ["sql", "logs"]], ids=str)
def test_a_missing_last_argument_is_named(run: Callable[..., Ran], arguments: list[str]) -> None:
    last = {"convert": "OUT", "sql": "QUERY"}[arguments[0]]
    assert_misunderstood(run(*arguments), f"takes LOGDIR... {last}, and not all of them are given")


def test_the_home_folder_may_be_a_tilde(
    run: Callable[..., Ran], logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell leaves it alone within quotes, and some do in ``--output=~/x``."""
    monkeypatch.setenv("HOME", str(logdir.parent))
    assert run("convert", "~/logs", "~/results/out").status == 0
    assert (out / "index.csv").exists()
    assert run("summary", "~/logs", "--output=~/results/summary.csv").status == 0
    assert (out.parent / "summary.csv").exists()


@pytest.mark.parametrize("command", [[], ["ls"], ["state", "diff"]])
def test_help_is_a_command_as_well(run: Callable[..., Ran], command: list[str]) -> None:
    assert run("help", *command) == run(*command, "--help")


@pytest.mark.parametrize("group", [[], ["state"]])
def test_no_command_shows_the_help(run: Callable[..., Ran], group: list[str]) -> None:
    ran = run(*group)
    assert (ran.status, ran.stderr) == (2, "")
    assert ran.stdout.rstrip() == run(*group, "--help").stdout.rstrip()


def test_the_status_without_a_command_is_not_left_to_typer() -> None:
    assert not app.info.no_args_is_help


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["ls"],
        ["convert", "logs"],
        ["ls", "logs", "--no-such-option"],
        ["ls", "logs", "--kind", "no such kind"],
        ["ls", "logs", "--workers", "0"],
        ["ls", "logs", "--workers", "-1"],
        ["ls", "logs", "--workers", "many"],
        ["ls", "logs", "--workers"],
        ["convert", "logs", "out", "--tensors", "no such style"],
        ["state", "from-logs", "--step", "1", "-o", "out"],
        ["state", "export", "model"],
    ],
)
def test_wrong_usage_is_one_sentence_with_status_2(
    run: Callable[..., Ran], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_misunderstood(run(*arguments))
    assert not list(tmp_path.iterdir())


# ls


def test_ls_prints_a_table(run: Callable[..., Ran], logdir: Path) -> None:
    assert run("ls", logdir) == Ran(
        0,
        "run    tag       kind     plugin_name  points  first_step  last_step\n"
        "train  loss      scalars  scalars           3           1          3\n"
        "train  note      text     text              1           3          3\n"
        "valid  val/loss  scalars  scalars           1           3          3\n",
        "",
    )


def test_ls_prints_json(run: Callable[..., Ran], logdir: Path) -> None:
    ran = run("ls", "--json", logdir)
    rows = json.loads(ran.stdout)
    assert (ran.status, ran.stderr) == (0, "")
    assert [list(row) for row in rows] == [SERIES_KEYS] * 3
    assert list(rows[0].values()) == ["train", "loss", "scalars", "scalars", 3, 1, 3, 1001.5, 1003.5]


def test_ls_prints_json_of_times_that_are_not_numbers(run: Callable[..., Ran], tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    write_run(tmp_path / "logs", *(event(scalar("a", 1.0), wall_time=time) for time in (nan, inf)))
    (row,) = json.loads(run("ls", "--json", tmp_path / "logs").stdout)
    assert (row["first_wall_time"], row["last_wall_time"]) == (None, None)


def test_ls_lists_selected_series_only(run: Callable[..., Ran], logdir: Path) -> None:
    def tags(*options: str) -> list[str]:
        return [row["tag"] for row in json.loads(run("ls", "--json", logdir, *options).stdout)]

    assert tags("--run", "t*") == ["loss", "note"]
    assert tags("--exclude-run", "train") == ["val/loss"]
    assert tags("--tag", "*loss") == ["loss", "val/loss"]
    assert tags("--tag", "note", "--tag", "val/*") == ["note", "val/loss"]
    assert tags("--exclude-tag", "note", "--run", "train") == ["loss"]
    assert tags("--kind", "text") == ["note"]
    assert tags("--kind", "text", "--kind", "scalars", "--exclude-tag", "loss") == ["note", "val/loss"]


def test_ls_strict_fails_on_damage(run: Callable[..., Ran], damaged: Path) -> None:
    lenient = run("ls", damaged)
    strict = run("ls", "--strict", damaged)
    assert (lenient.status, strict.status) == (3, 1)
    assert strict.stdout == lenient.stdout
    assert strict.stderr.startswith(lenient.stderr)
    assert f"tb2csv: 1 damaged stretch, the first in valid/{file_name()}." in strict.stderr


def on_a_terminal(columns: int, *arguments: object) -> str:
    """Return what a command shows on a terminal of this width."""
    import pty  # not everywhere

    main, terminal = pty.openpty()
    try:
        command = [sys.executable, "-m", "tb2csv", *map(str, arguments)]
        env = environment(COLUMNS=str(columns))
        subprocess.run(command, env=env, stdout=terminal, stderr=subprocess.PIPE, check=True)
        os.close(terminal)
        return os.read(main, 100_000).decode()
    finally:
        os.close(main)


@linux_only
@pytest.mark.slow
def test_ls_cuts_long_names_on_a_terminal_only(tmp_path: Path) -> None:
    tag = "start" + "x" * 150 + "end"
    write_run(tmp_path / "logs" / "train", event(scalar(tag, 1.0), scalar("loss", 1.0)))
    assert tag in run_process("ls", tmp_path / "logs").stdout
    for columns in (80, 100):
        lines = on_a_terminal(columns, "ls", tmp_path / "logs").splitlines()
        assert [len(lines[0]), max(map(len, lines))] == [columns, columns]
        assert re.search(r"train  startx+…x+end  scalars", lines[1])
        assert re.search(r"train  loss +scalars", lines[2])
    assert tag in on_a_terminal(300, "ls", tmp_path / "logs")
    assert "startx…xxend" in on_a_terminal(20, "ls", tmp_path / "logs"), "there is a least width"


def test_names_cannot_write_to_the_terminal(run: Callable[..., Ran], tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;title\x07\r\n\u202e"
    path = write_run(tmp_path / "logs" / f"run{evil}", event(scalar(f"tag{evil}", 1.0)))
    path.write_bytes(path.read_bytes() + b"garbage of some length")
    for command in ("ls", "check", "convert"):
        ran = run(command, tmp_path / "logs", *([tmp_path / "out"] if command == "convert" else []))
        assert ran.status == 3
        printed = ran.stdout + ran.stderr
        assert not set(printed) & set("\x1b\x07\r\u202e")
        assert "\\x1b[2J" in printed


# check


def test_check_prints_a_line(run: Callable[..., Ran], logdir: Path) -> None:
    size = sum(path.stat().st_size for path in logdir.rglob("*tfevents*"))
    line = f"2 event files, {size} bytes, 7 records: 0 damaged stretches, 0 bytes lost\n"
    assert run("check", logdir) == Ran(0, line, "")


def test_check_reports_damage(run: Callable[..., Ran], damaged: Path) -> None:
    size = sum(path.stat().st_size for path in damaged.rglob("*tfevents*"))
    last = records((damaged / "valid" / file_name()).read_bytes())[-1]
    length = last.stop - last.start
    ran = run("check", damaged)
    assert ran.status == 3
    assert ran.stdout == (
        f"valid/{file_name()}: {length} bytes lost; no gap in regular steps shows that values are missing\n"
        f"2 event files, {size} bytes, 6 records: 1 damaged stretch, {length} bytes lost\n"
    )
    assert ran.stderr == (
        f"valid/{file_name()}: byte {last.start}: {length} bytes lost: "
        f"the payload of {length - 16} bytes does not match its checksum\n"
    )


def test_check_prints_json(run: Callable[..., Ran], damaged: Path) -> None:
    ran = run("check", "--json", damaged)
    report = json.loads(ran.stdout)
    assert (ran.status, ran.stderr) == (3, "")
    assert set(report) == {*REPORT_KEYS, "values_missing", "gaps"}
    assert [set(source) for source in report["sources"]] == [SOURCE_KEYS] * 2
    assert [set(damage) for damage in report["damage"]] == [DAMAGE_KEYS]
    assert (report["tool"], report["version"], report["values_read"]) == ("tb2csv", tb2csv.__version__, 4)
    for source in report["sources"]:
        parts = ("record_bytes", "lost_bytes", "incomplete_tail_bytes")
        assert source["bytes"] == sum(source[part] for part in parts)
        assert source["bytes"] == (damaged / source["path"]).stat().st_size


def test_check_writes_nothing(run: Callable[..., Ran], damaged: Path) -> None:
    before = read_tree(damaged.parent)
    run("check", damaged)
    run("ls", damaged)
    assert read_tree(damaged.parent) == before


def test_check_strict_fails_on_damage(run: Callable[..., Ran], damaged: Path, logdir: Path) -> None:
    ran = run("check", "--strict", "--quiet", damaged)
    assert_refused(ran, "1 damaged stretch,", f"valid/{file_name()}")
    (logdir / "valid" / file_name()).unlink()
    assert run("check", "--strict", "--quiet", logdir) == Ran(0, "", "")


# convert


def test_convert_prints_where_the_tables_are(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    assert run("convert", logdir, out) == Ran(0, f"5 values of 2 runs in 3 tables: see {out}/index.csv\n", "")
    assert set(read_tree(out)) == {
        "index.csv",
        "datapackage.json",
        "train/scalars/loss.csv",
        "train/text/note.csv",
        "valid/scalars/val/loss.csv",
    }


def test_convert_reports_what_was_filtered_out(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    ran = run("convert", logdir, out, "--tag", "loss")
    assert ran == Ran(0, f"3 values of 1 run in 1 table, 2 values left out: see {out}/index.csv\n", "")


def test_convert_prints_json(run: Callable[..., Ran], damaged: Path, out: Path) -> None:
    write_run(damaged / "odd", event(tensor("bad", [1.0, 2.0]), step=7))
    path = damaged / "odd" / file_name()
    path.write_bytes(path.read_bytes())
    ran = run("convert", "--json", damaged, out)
    report = json.loads(ran.stdout)
    assert (ran.status, ran.stderr) == (3, "")
    assert set(report) == REPORT_KEYS
    assert report["values_read"] == report["values_written"] == 5
    assert report["tables"] == len(list(out.rglob("*.csv"))) - 1
    assert [entry["run"] for entry in report["runs"]] == ["odd", "train", "valid"]


def test_json_lists_what_was_kept_undecoded(run: Callable[..., Ran], tmp_path: Path, out: Path) -> None:
    bad = tensor("bad", [1.0, 2.0])
    bad.tensor.tensor_content = b"odd"
    write_run(tmp_path / "logs", event(bad, step=7))
    report = json.loads(run("convert", "--json", tmp_path / "logs", out).stdout)
    (entry,) = report["undecodable"]
    assert set(entry) == UNDECODABLE_KEYS
    assert (entry["run"], entry["tag"], entry["step"]) == (".", "bad", 7)
    assert (report["values_read"], report["values_written"], report["values_undecodable"]) == (1, 0, 1)


@pytest.mark.slow
def test_json_is_ascii_if_the_output_is_not_utf8(tmp_path: Path) -> None:
    tag = "Verlust/größe 损失 😀"
    write_run(tmp_path / "logs", event(scalar(tag, 1.0)))
    for encoding in ("utf-8", "ascii", "cp1252"):
        ran = run_process("ls", "--json", tmp_path / "logs", env={"PYTHONIOENCODING": encoding})
        assert (ran.status, ran.stderr) == (0, "")
        assert json.loads(ran.stdout)[0]["tag"] == tag
        assert ran.stdout.isascii() == (encoding != "utf-8")
        assert run_process("ls", tmp_path / "logs", env={"PYTHONIOENCODING": encoding}).status == 0


@pytest.mark.parametrize("command", ["convert", "check"])
def test_quiet_prints_nothing(run: Callable[..., Ran], damaged: Path, out: Path, command: str) -> None:
    arguments = [damaged, *([out] if command == "convert" else [])]
    assert run(command, "--quiet", *arguments) == Ran(3, "", "")
    assert out.exists() == (command == "convert")


def test_quiet_prints_errors(run: Callable[..., Ran], tmp_path: Path, out: Path) -> None:
    assert_refused(run("convert", "-q", tmp_path / "missing", out), "There is no folder")


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize(("columns", "has_speed"), [("40", False), ("100", True)])
def test_progress_goes_to_a_terminal_only_and_fits_it(logdir: Path, columns: str, *, has_speed: bool) -> None:
    import pty  # not everywhere

    main, terminal = pty.openpty()
    try:
        command = [sys.executable, "-m", "tb2csv", "check", str(logdir)]
        env = {name: value for name, value in environment().items() if name not in {"TERM", "NO_COLOR"}}
        done = subprocess.run(
            command,
            env=env | {"TERM": "xterm", "COLUMNS": columns},
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            check=False,
        )
        os.close(terminal)
        shown = os.read(main, 100_000)
    finally:
        os.close(main)
    assert done.returncode == 0
    assert done.stdout.startswith("2 event files")
    assert b"reading" in shown
    assert (b"bytes" in shown or b"kB" in shown) == has_speed
    assert run_process("check", logdir).stderr == ""


# Refusals: one sentence, and nothing is written


def test_a_missing_log_directory_is_an_error(run: Callable[..., Ran], tmp_path: Path, out: Path) -> None:
    for command in (["ls"], ["check"], ["convert", out]):
        assert_refused(
            run(command[0], tmp_path / "missing", *command[1:]), f"There is no folder {tmp_path / 'missing'}"
        )
    assert list(out.parent.iterdir()) == []


def test_a_folder_without_event_files_is_an_error(run: Callable[..., Ran], tmp_path: Path, out: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "model.ckpt").write_text("")
    assert_refused(run("convert", tmp_path / "logs", out), "no event files", "only 1 other file (such as model.ckpt)")
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
@pytest.mark.parametrize("place", [".", "out", "train/out", "train"])
def test_output_in_the_log_directory_is_refused(
    run: Callable[..., Ran], logdir: Path, place: str, options: list[str]
) -> None:
    before = read_tree(logdir)
    assert_refused(run("convert", logdir, logdir / place, *options))
    assert read_tree(logdir) == before


def test_output_that_contains_the_log_directory_is_refused(run: Callable[..., Ran], logdir: Path) -> None:
    before = read_tree(logdir)
    assert_refused(run("convert", logdir, logdir.parent, "--overwrite"), "logs")
    assert read_tree(logdir) == before


def test_output_that_is_not_empty_is_refused(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert_refused(run("convert", logdir, out), "is not empty", "choose another folder")
    assert read_tree(out) == {"notes.txt": b"mine"}


def test_conversion_is_replaced_by_an_equal_one(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    assert run("convert", logdir, out).status == 0
    before = read_tree(out)
    assert run("convert", logdir, out, "--overwrite").status == 0
    assert read_tree(out) == before


def test_output_that_is_a_file_is_refused(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    out.write_text("mine")
    assert_refused(run("convert", logdir, out, "--overwrite"), "is a file")
    assert out.read_text() == "mine"


def test_overwrite_refuses_what_is_not_a_conversion(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    assert_refused(run("convert", logdir, out, "--overwrite"), "thesis.tex", "which tb2csv did not write")
    assert read_tree(out) == {"thesis.tex": b"mine"}


def test_overwrite_refuses_foreign_files(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    run("convert", logdir, out)
    (out / "train" / "notes.txt").write_text("mine")
    before = read_tree(out)
    assert_refused(run("convert", logdir, out, "--overwrite"), "train/notes.txt")
    assert read_tree(out) == before


def test_an_unreadable_file_is_named_and_the_rest_converted(
    run: Callable[..., Ran], logdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = EventFile.open

    def refuse(file: EventFile, *arguments: int) -> object:
        if file.path.startswith("valid/"):
            raise PermissionError(13, "Permission denied")
        return opened(file, *arguments)

    monkeypatch.setattr(EventFile, "open", refuse)
    for command in (["ls"], ["check"], ["convert", out]):
        ran = run(command[0], logdir, *command[1:])
        assert ran.status == 3
        assert ran.stderr == f"valid/{file_name()}: the file cannot be read: Permission denied\n"
    assert (out / "train" / "scalars" / "loss.csv").exists()


def test_filters_that_match_nothing_are_an_error(run: Callable[..., Ran], logdir: Path, out: Path) -> None:
    assert_refused(run("convert", logdir, out, "--run", "trian"), "No run of", "'train'")
    assert_refused(run("ls", logdir, "--run", "trian"), "No run of", "'train'")
    assert_refused(run("check", logdir, "--run", "trian"), "No run of", "'train'")
    assert_refused(run("convert", logdir, out, "--exclude-run", "*"), "Every run of", "'train'", "'valid'")
    assert_refused(run("convert", logdir, out, "--tag", "los"), "No tag matches 'los'", "'loss'")
    assert_refused(run("convert", logdir, out, "--kind", "audio"), "no values of the kind audio")
    assert list(out.parent.iterdir()) == []


def test_strict_writes_nothing_on_damage(run: Callable[..., Ran], damaged: Path, out: Path) -> None:
    ran = run("convert", "--strict", damaged, out)
    last = records((damaged / "valid" / file_name()).read_bytes())[-1]
    assert_refused(
        ran, f"valid/{file_name()} is damaged at byte {last.start} (", "without --strict the rest is converted"
    )
    assert list(out.parent.iterdir()) == []
    (damaged / "valid" / file_name()).unlink()
    assert run("convert", "--strict", damaged, out).status == 0


@pytest.mark.slow
def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    ran = run_process("ls", "--debug", tmp_path / "missing")
    assert ran.status == 1
    assert "Traceback" in ran.stderr
    assert "LogdirNotFoundError" in ran.stderr
    assert "Traceback" not in run_process("ls", tmp_path / "missing").stderr


def test_an_unexpected_error_asks_to_be_reported(
    run: Callable[..., Ran], logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        detail = "oops"
        raise ZeroDivisionError(detail)

    monkeypatch.setattr("tb2csv.series_listing.check", fail)
    ran = run("check", logdir)
    assert (ran.status, ran.stdout) == (1, "")
    assert ran.stderr == (
        "tb2csv: unexpected error, please report it with the output of --debug: ZeroDivisionError: oops\n"
    )


# Standard output that cannot be written


def many_tags(folder: Path) -> Path:
    write_run(folder, event(*(scalar(f"a tag with a long name number {number}", 1.0) for number in range(3000))))
    return folder


@linux_only
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_pipe_closed_early_ends_a_command_quietly(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "tb2csv", "ls", str(many_tags(tmp_path / "logs")), *options]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@linux_only
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls"], "Standard output cannot be written (No space left on device)."),
        (
            ["convert", "-", "--kind=scalars"],
            "The output cannot be written (No space left on device); choose another place.",
        ),
    ],
)
def test_a_full_standard_output(logdir: Path, arguments: list[str], message: str) -> None:
    name, *out = arguments
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "tb2csv", name, str(logdir), *out]
        done = subprocess.run(command, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"tb2csv: {message}\n")


@linux_only
@pytest.mark.slow
def test_a_closed_standard_output(logdir: Path, out: Path) -> None:
    for command in (f"ls '{logdir}'", f"convert '{logdir}' '{out}'"):
        shell = ["/bin/sh", "-c", f"'{sys.executable}' -m tb2csv {command} >&-"]
        done = subprocess.run(shell, env=environment(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert (out / "index.csv").exists()


@linux_only
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
@pytest.mark.slow
def test_a_closed_standard_error(damaged: Path, out: Path, closed: str) -> None:
    commands = {
        f"ls '{damaged}'": 3,
        f"check '{damaged}'": 3,
        f"convert '{damaged}' '{out}'": 3,
        f"ls '{damaged}/missing'": 1,
        "ls": 2,
    }
    for command, status in commands.items():
        shell = ["/bin/sh", "-c", f"'{sys.executable}' -m tb2csv {command} {closed}"]
        done = subprocess.run(shell, env=environment(), capture_output=True, text=True, check=False)
        assert (command, done.returncode, done.stderr) == (command, status, "")
        assert bool(done.stdout) == (status == 3 and ">&- " not in closed)
    assert (out / "index.csv").exists()


# A full disk


def large_log(folder: Path) -> Path:
    """Write a log that takes room in any format: its numbers cannot be compressed."""
    for number in range(3):
        numbers = random.Random(number)
        events = [event(scalar("loss", numbers.random()), step=i, wall_time=numbers.random()) for i in range(5000)]
        write_run(folder / f"run{number}", *events)
    return folder


@linux_only
@pytest.mark.parametrize("old", ["", "old"])
@pytest.mark.slow
def test_a_file_that_grows_too_large(logdir: Path, out: Path, tmp_path: Path, old: str) -> None:
    import resource  # not everywhere

    before = {}
    if old:
        tb2csv.convert(logdir, out)
        before = read_tree(out)
    ran = run_process(
        *("convert", "--overwrite", large_log(tmp_path / "large"), out),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    assert_refused(ran, f"could not be written to {out}", "File too large", "nothing was changed")
    assert [path.name for path in out.parent.iterdir()] == ["out"] * bool(old)
    assert not old or read_tree(out) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 128 KiB, if this user may."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run([shutil.which("umount") or "umount", str(place)], check=True)


@pytest.mark.parametrize(
    "shape", ["--format=csv", "--format=csv.gz", "--format=parquet", "--format=arrow", "--layout=long"]
)
@pytest.mark.slow
def test_a_full_disk(small_disk: Path, logdir: Path, tmp_path: Path, shape: str) -> None:
    tb2csv.convert(logdir, small_disk / "out")
    before = read_tree(small_disk)
    ran = run_process("convert", "--overwrite", shape, large_log(tmp_path / "large"), small_disk / "out")
    assert_refused(ran, "could not be written", "No space left on device", "nothing was changed")
    assert read_tree(small_disk) == before
    assert [path.name for path in small_disk.iterdir()] == ["out"]


# An interrupt


#: Says when the first table is being written, and takes its time for each.
_SLOWLY = """
import signal, sys, time
from tb2csv.cli import main
from tb2csv.sinks.append_writer import AppendWriter
signal.signal(signal.SIGINT, signal.default_int_handler)
append = AppendWriter.append
def slowly(*arguments):
    append(*arguments)
    print("writing", flush=True)
    time.sleep(0.1)
AppendWriter.append = slowly
main()
"""


@pytest.mark.slow
@linux_only
def test_an_ignored_hangup_does_not_stop_a_conversion(logdir: Path, out: Path) -> None:
    command = [sys.executable, "-c", _SLOWLY, "convert", str(logdir), str(out)]
    with subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGHUP)
        process.communicate()
    assert process.returncode == 0
    assert (out / "index.csv").exists()


@linux_only
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("old", ["", "old"])
@pytest.mark.slow
def test_an_interrupt_leaves_nothing(
    tmp_path: Path, out: Path, request: pytest.FixtureRequest, sent: signal.Signals, status: int, old: str
) -> None:
    # Under nohup, this process ignores the signal, and so do its children.
    request.addfinalizer(functools.partial(signal.signal, sent, signal.signal(sent, signal.default_int_handler)))
    before = {}
    if old:
        tb2csv.convert(write_run(tmp_path / old, event(scalar("old", 1.0))), out)
        before = read_tree(out)
    for number in range(300):
        write_run(tmp_path / "many" / str(number), event(scalar("loss", 1.0)))
    command = [sys.executable, "-c", _SLOWLY, "convert", "--overwrite", str(tmp_path / "many"), str(out)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "writing\n"
        assert any(path.name.endswith(".tmp") for path in out.parent.iterdir())
        process.send_signal(sent)
        _, errors = process.communicate()
    said = "tb2csv: interrupted; nothing was changed.\n" if sent == signal.SIGINT else ""
    assert (process.returncode, errors) == (status, said)
    assert [path.name for path in out.parent.iterdir()] == ["out"] * bool(old)
    assert not old or read_tree(out) == before


def test_ls_does_not_pad_by_one_long_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [simple_value(f"tag{number}", 1.0) for number in range(100)]
    write_run(tmp_path, event(*values, simple_value("x" * 100_000, 1.0)))
    shown = run_here(capsys, "ls", tmp_path).stdout
    assert "x" * 100_000 in shown
    assert len(shown) < 100_000 + 102 * 400
    assert len({line.index("scalars") for line in shown.splitlines() if "tag1" in line}) == 1


@pytest.mark.parametrize("command", ["summary", "best --by loss", "hparams", "metrics --tag loss"])
def test_a_dash_is_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    trial = hparams_start({"lr": 0.1})
    write_run(tmp_path / "logs", event(trial), *(event(simple_value("loss", 1.0 / step), step=step) for step in (1, 2)))
    name, *options = command.split()
    plain = run_here(capsys, name, tmp_path / "logs", *options)
    assert plain.status == 0
    assert run_here(capsys, name, tmp_path / "logs", *options, "-o", "-") == plain
    as_json = run_here(capsys, name, tmp_path / "logs", *options, "-o", "-", "--format", "json")
    assert json.loads(as_json.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_a_note_that_several_runs_share_is_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = tmp_path / "logs"
    for run in ("a", "it's 1", "it's 2", "it's 3"):
        for session in (1, 2):
            value = event(simple_value("loss", 1.0), step=session, wall_time=float(session))
            write_run(logs / run, value, name=file_name(session), wall_time=float(session))
    write_run(logs / "no steps 1", *(event(simple_value("loss", 1.0)) for _ in range(3)))
    write_run(logs / "no steps 2", *(event(simple_value("loss", 1.0)) for _ in range(4)))
    done = run_here(capsys, "convert", logs, tmp_path / "out")
    sessions, likewise, *others = done.stderr.splitlines()
    assert sessions == "run 'a' has 2 sessions, as after a restart; see --restarts and --sessions"
    assert likewise == """… and likewise 3 more runs: "it's 1", "it's 2", "it's 3\""""
    assert [line.partition(":")[0] for line in others] == ["run 'no steps 1'", "run 'no steps 2'"]
    report = json.loads(run_here(capsys, "convert", logs, tmp_path / "again", "--json").stdout)
    assert len(report["notes"]) == 6


@pytest.mark.parametrize(
    "command",
    ["follow logs - --until-idle 1s", "repair logs -", "reduce logs - --by *", "state from-logs logs --step 0 -o -"],
)
def test_a_dash_is_not_the_name_of_a_file_or_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    write_run(tmp_path / "logs" / "a", event(simple_value("loss", 1.0), tensor("weights/w", [1.0, 2.0])))
    monkeypatch.chdir(tmp_path)
    message = "tb2csv: This output cannot go to standard output; give a name, or ./- if that is its name."
    done = run_here(capsys, *command.split())
    assert (done.status, done.stderr.splitlines()[-1]) == (1, message)
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    assert tb2csv.convert("logs", Path("-"), tag="loss").values_written == 1


@pytest.mark.parametrize(
    ("given", "command"), [("convert logs out --tag", "convert"), ("state export x -o", "state export")]
)
def test_an_option_without_a_value_names_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str], given: str, command: str
) -> None:
    done = run_here(capsys, *given.split())
    assert done.status == 2
    assert done.stderr.endswith(f" {command} --help.\n")


@pytest.mark.slow
def test_help_fills_the_lines_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    for command in COMMANDS:
        described = run_here(capsys, command, "--help").stdout.partition("\u256d")[0]  # before the first frame
        for paragraph in re.split(r"\n *\n", described):
            lines = [line for line in paragraph.splitlines() if line.strip()]
            for line, after in itertools.pairwise(lines):
                assert len(line.rstrip()) + len(after.split()[0]) >= 78, (command, line)
