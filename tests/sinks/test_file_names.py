"""File names: different names never share a file, and no file is anything but a plain file below the output folder."""

from __future__ import annotations

import itertools
import re
import sys
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tb2csv.sinks import file_names
from tb2csv.sinks.file_names import RESERVED_ENDINGS, encode_segment

KINDS = (
    *("scalars", "histograms", "histogram_stats", "tensors", "text", "images", "audio", "hparams"),
    *("plugin_contents", "pr_curves", "graphs", "custom_scalars", "meshes", "blobs"),
)
DEVICES = {
    *("con", "prn", "aux", "nul", "conin$", "conout$"),
    *(port + digit for port in ("com", "lpt") for digit in "0123456789¹²³"),
}
#: Unicode's Default_Ignorable_Code_Point, and interlinear annotation.
INVISIBLE = (
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
#: What tb2csv appends to the path of a tag, files first.
FILE_ENDINGS = (
    *(
        ".csv",
        ".stats.csv",
        ".nodes.csv",
        ".contents.csv",
        ".undecodable.csv",
        ".parquet",
        ".csv.gz",
        ".csv.zst",
        ".arrow",
    ),
    *(".json", ".jsonl", ".jsonl.zst"),
)
FOLDER_ENDING = ".files"
CUT = re.compile(r"~[0-9a-f]{16}\Z")
SHORTENED = re.compile(r"~[0-9a-f]{24}\Z")
CLASH = re.compile(r"~[0-9a-f]{12}\Z")


def run_path(run: str) -> PurePosixPath:
    return PurePosixPath(file_names.run_path(run))


def tag_path(tag: str) -> PurePosixPath:
    return PurePosixPath(file_names.tag_path(tag))


class UniqueNames:
    """The registry, with paths for text."""

    def __init__(self) -> None:
        self._names = file_names.UniqueNames()

    def claim(self, path: PurePosixPath, original: str) -> PurePosixPath:
        return PurePosixPath(self._names.claim("" if path == PurePosixPath() else str(path), original))


# Pieces that some rule looks at, so that random names meet the rules and each other.
PIECES = (
    *("", "a", "A", "b", "loss", "Loss", "é", "e\u0301", "É", "ſ", "s", "K", "\u212a", "k", "ß", "SS", "ﬁles", "日本"),
    *(".", "..", "...", " ", "\xa0", "%", "%2E", "%25", "%empty", "empty", "~", "~0123456789abcdef", "~1", "-", "\\"),
    *("con", "NUL", "com1", "LPT³", "conin$", "$", "c", "on", "aux.txt", "index.csv"),
    *("hparams.csv", "datapackage.json", "ſcalars", "👩", "\uffff"),
    *(".csv", ".CSV", ".cſv", ".stats", ".files", ".ﬁles", ".parquet", ".gz", ".tmp", "csv", "scalars", "Text"),
    *("=", "lr=0.1", "[", "]", "{1,2}"),
    *("\0", "\n", "\x7f", "\x85", "\u2028", "\u202e", "\u200d", "\ufeff", "\ud800", "\udfff", "\ufe0f", "≮"),
    *("x" * 150, "é" * 80, "日" * 60, "?" * 60, "\u202e" * 20),
)
CHARACTERS = st.characters(exclude_categories=())
SEGMENTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(CHARACTERS, max_size=4)), max_size=6).map("".join)
NAMES = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join)
VARIANTS = (
    *(str.upper, str.lower, str.swapcase, str.casefold, str.title, encode_segment),
    *(lambda name, schema=schema: unicodedata.normalize(schema, name) for schema in ("NFC", "NFD", "NFKC")),
    *(lambda name: name + "/", lambda name: "/" + name, lambda name: name + ".csv", lambda name: name.rstrip("/. ")),
)


@st.composite
def similar_names(draw: st.DrawFn) -> list[str]:
    """Names of which some differ only in case, normalisation, an ending, or in being encoded already."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6))
    for name in tuple(names):
        names.extend(variant(name) for variant in draw(st.lists(st.sampled_from(VARIANTS), max_size=4)))
    return list(dict.fromkeys(draw(st.permutations(names))))


def as_macos_sees_it(path: object) -> str:
    """Return the identity of a path if neither case nor normalisation counts."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(path)).casefold())


def decoded(segment: str) -> str:
    """Return the name that a segment encodes, by the escapes that URLs use."""
    return "" if segment == "%empty" else unquote_to_bytes(segment).decode("utf-8", "surrogatepass")


def assert_safe(segment: str, limit: int = 200) -> None:
    """Hold a file or folder name against what Linux, macOS and Windows demand."""
    assert segment
    assert len(segment.encode()) <= limit, "strict UTF-8, so without surrogates, and short"
    assert not set(segment) & set('<>:"/\\|?*'), "refused by Windows"
    assert not set(segment) & set("[]{}*?"), "a pattern to DuckDB, ClickHouse or polars"
    for schema in ("NFC", "NFD"):
        assert not set(unicodedata.normalize(schema, segment)) & set('<>:"/\\|?*')
    assert not {unicodedata.category(character) for character in segment} & {"Cc", "Cs", "Zl", "Zp"}
    assert not re.search(INVISIBLE, segment)
    assert segment.strip() == segment
    assert not segment.startswith(".")
    assert not segment.endswith(".")
    assert segment.partition(".")[0].rstrip(" ").casefold() not in DEVICES
    assert not as_macos_sees_it(segment).endswith(RESERVED_ENDINGS)
    name, *hashes = segment.split("~")
    assert re.fullmatch(r"(?:%[0-9A-F]{2}|[^%])+|%empty", name), "every % starts an escape in upper case"
    assert all(re.fullmatch(r"[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{24}", digits) for digits in hashes), "a bare ~ is ours"


# What becomes of names, to be read.
SEGMENT_EXAMPLES = {
    "loss": "loss",
    "learning rate": "learning rate",
    "lr=0.001,bs=(32)": "lr=0.001,bs=(32)",
    "layer[1]": "layer%5B1%5D",
    "[ab]*{1..3}": "%5Bab%5D%2A%7B1..3%7D",
    "Übung 日本語": "Übung 日本語",
    "😀": "😀",
    "": "%empty",
    "%empty": "%25empty",
    ".": "%2E",
    "..": "%2E%2E",
    "...": "%2E%2E%2E",
    ".hidden": "%2Ehidden",
    "v1.": "v1%2E",
    "v1. .": "v1%2E%20%2E",
    " x ": "%20x%20",
    "\u3000x": "%E3%80%80x",
    "100%": "100%25",
    "a%2Fb": "a%252Fb",
    "~user": "%7Euser",
    "weight:0": "weight%3A0",
    "C:\\temp": "C%3A%5Ctemp",
    "a/b": "a%2Fb",
    '<a>|"b"?*': "%3Ca%3E%7C%22b%22%3F%2A",
    "a\0b\nc\x7f\x85": "a%00b%0Ac%7F%C2%85",
    "a\u2028b": "a%E2%80%A8b",
    "abc\u202egpj": "abc%E2%80%AEgpj",
    "zero\u200bwidth": "zero%E2%80%8Bwidth",
    "❤\ufe0f": "❤%EF%B8%8F",
    "\ud800": "%ED%A0%80",
    "a≮b": "a%E2%89%AEb",
    "\uf03a": "%EF%80%BA",
    "\uffff": "%EF%BF%BF",
    "con": "%63on",
    "CON": "%43ON",
    "con.txt": "%63on.txt",
    "con .txt": "%63on .txt",
    "nul.tar.x": "%6Eul.tar.x",
    "COM0": "%43OM0",
    "lpt³": "%6Cpt³",
    "CONIN$": "%43ONIN$",
    "conv1": "conv1",
    "com10": "com10",
    "console.log": "console.log",
    "x.csv": "x%2Ecsv",
    "x.CSV": "x%2ECSV",
    "x.cſv": "x%2Ecſv",
    "x.ﬁles": "x%2Eﬁles",
    ".csv": "%2Ecsv",
    "x.stats": "x%2Estats",
    "x.stats.csv": "x.stats%2Ecsv",
    "x.csv.bak": "x.csv.bak",
    "xcsv": "xcsv",
    "aux.csv": "%61ux%2Ecsv",
    "x" * 200: "x" * 200,
}


@pytest.mark.parametrize(("name", "segment"), SEGMENT_EXAMPLES.items())
def test_a_name_becomes_a_segment(name: str, segment: str) -> None:
    """The table above is what users see; it may not change without a word to them."""
    assert encode_segment(name) == segment
    assert_safe(segment)


@pytest.mark.parametrize(
    ("tag", "path"),
    {
        "loss": "loss",
        "train/loss": "train/loss",
        "v1.5": "v1.5",
        "": "%empty",
        "/": "%empty/%empty",
        "/etc/passwd": "%empty/etc/passwd",
        "a//b": "a/%empty/b",
        "a/": "a/%empty",
        "../../x": "%2E%2E/%2E%2E/x",
        "a/./b": "a/%2E/b",
        "C:/x": "C%3A/x",
        "x.files/0.png": "x%2Efiles/0.png",
        "scalars/a": "scalars/a",
        "step=5/loss": "step%3D5/loss",
        "x/lr=0.1": "x/lr=0.1",
        "a==b/=/=c": "a%3D%3Db/%3D/=c",
    }.items(),
)
def test_a_tag_becomes_a_path(tag: str, path: str) -> None:
    """A slash starts a folder, and no tag leads out of its own."""
    assert str(tag_path(tag)) == path


@pytest.mark.parametrize(
    ("run", "path"),
    {
        ".": ".",
        "": "%empty",
        "./train": "%2E/train",
        "..": "%2E%2E",
        "train": "train",
        "2024-01-31_12:00/train": "2024-01-31_12%3A00/train",
        "train/scalars": "train/%73calars",
        "Scalars/eval": "%53calars/eval",
        "ſcalars": "%C5%BFcalars",
        "pr_curves": "%70r_curves",
        "my scalars": "my scalars",
        "index.csv": "index%2Ecsv",
        "hparams.csv": "hparams%2Ecsv",
        "datapackage.json": "datapackage%2Ejson",
        "lr=0.1/seed=0": "lr%3D0.1/seed%3D0",
        "STEP=5,bs=[32]": "STEP%3D5,bs%3D%5B32%5D",
        "=": "%3D",
    }.items(),
)
def test_a_run_becomes_a_path(run: str, path: str) -> None:
    """The root run is the output folder itself, and folders of kinds are kept free."""
    assert run_path(run) == PurePosixPath(path)


def test_folders_without_tables_keep_equals_signs() -> None:
    """TensorBoard shows the folder of an event file as the name of its run."""
    assert file_names.run_path("lr=0.1/a:b", holds_tables=False) == "lr=0.1/a%3Ab"


@given(NAMES)
@example("=" * 300 + "/x")
@example("/".join(["a=" * 50] * 50))
def test_no_folder_looks_like_a_partition(name: str) -> None:
    """Not even one that was cut."""
    assert "=" not in str(run_path(name))
    assert "=" not in str(tag_path(name).parent)


@pytest.mark.parametrize("kind", KINDS)
def test_no_run_has_the_folder_of_a_kind(kind: str) -> None:
    """Otherwise its tables would be among those of another run."""
    for name in (kind, kind.upper(), f"train/{kind}", f"{kind}/train"):
        assert kind not in str(run_path(name)).lower().split("/")


def test_reserved_endings_are_those_of_the_formats() -> None:
    for ending in (*FILE_ENDINGS, FOLDER_ENDING):
        assert {"." + part for part in ending.split(".")[1:]} <= set(RESERVED_ENDINGS)
    assert all(re.fullmatch(r"\.[a-z0-9]+", ending) for ending in RESERVED_ENDINGS)


@pytest.mark.slow
def test_every_character_is_safe_and_letters_stay_readable() -> None:
    """The whole of Unicode's first plane, and something of the others: tags, variation selectors, musical controls."""
    fillers = "\u115f\u1160\u3164\uffa0"
    for character in map(chr, (*range(0x10000), 0x1BCA0, 0x1D173, 0x1F600, 0x1FFFE, 0xE0001, 0xE0100, 0x10FFFF)):
        segment = encode_segment(f"a{character}b")
        assert_safe(segment)
        assert decoded(segment) == f"a{character}b"
        if unicodedata.category(character)[0] in "LN" and character not in fillers:
            assert segment == f"a{character}b"


@given(SEGMENTS)
@example("con" + " " * 300 + ".txt")
@example("." * 300)
@example("x" * 197 + ".csv")
@example("a" + " ." * 200_000 + "a")
def test_every_segment_is_safe(name: str) -> None:
    """Whatever the name."""
    segment = encode_segment(name)
    assert_safe(segment)
    assert segment == encode_segment(name), "stateless"


@given(SEGMENTS)
def test_unquoting_a_segment_gives_its_name_back(name: str) -> None:
    """A segment that was not cut gives its name back, so that two names cannot share it."""
    segment = encode_segment(name)
    if "~" not in segment:
        assert decoded(segment) == name
    else:
        assert CUT.search(segment)
        start = decoded(CUT.sub("", segment))
        assert name.startswith(start)
        assert len(start) < len(name)


@given(similar_names())
@pytest.mark.slow
def test_names_never_share_a_segment_or_a_path(names: list[str]) -> None:
    """Tags, runs and single segments: as many outputs as inputs."""
    assert len({encode_segment(name) for name in names}) == len(names)
    assert len({tag_path(name) for name in names}) == len(names)
    assert len({run_path(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "character", ["x", "é", "日", "😀", "?", "\x80", "\u202e", "\uffff", "\U000e0001", "x?", "é\u202e"]
)
def test_a_long_name_is_cut_between_characters(character: str) -> None:
    """At every alignment, and a hash keeps names apart that start alike."""
    for shift, end in itertools.product(range(14), ("", "a", "b")):
        name = "x" * shift + character * 210 + end
        segment = encode_segment(name)
        assert_safe(segment)
        assert CUT.search(segment)
        assert len(segment.encode()) > 200 - 12, "less than one character goes to waste"
        assert name.startswith(decoded(CUT.sub("", segment)))
    assert encode_segment(character * 210 + "a") != encode_segment(character * 210 + "b")


def test_shortened_names_end_in_their_sha256() -> None:
    """The digits come from outside: ``printf 'x%.0s' $(seq 201) | sha256sum``."""
    assert encode_segment("x" * 201) == "x" * 183 + "~" + SHA256_OF_201_X[:16]


SHA256_OF_201_X = "84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed"


@given(NAMES)
@example("/" * 1000)
@example("a/" * 40 + "b")
@example("/".join(["é" * 99] * 9))
def test_every_path_stays_below_its_folder(name: str) -> None:
    """Never absolute, never upwards, never too long or too deep, for tags and for runs."""
    for path in (tag_path(name), run_path(name)):
        assert not path.is_absolute()
        assert not PureWindowsPath(str(path)).anchor
        assert ".." not in path.parts
        assert len(path.parts) <= 40
        assert len(str(path).encode()) <= 400
        for segment in path.parts:
            assert_safe(segment)
        windows = PureWindowsPath("C:/out") / str(path)
        assert windows.parts == ("C:\\", "out", *path.parts)
    assert not {as_macos_sees_it(segment) for segment in run_path(name).parts} & set(KINDS)
    assert tag_path(name).parts


@pytest.mark.parametrize(
    "tag",
    [
        "a/" * 40 + "b",
        "/" * 40,
        "/".join(["x" * 100] * 4),
        "/".join(["日" * 66, "é" * 100, "x"]),
        "x" * 300 + "/m/y" + "/m" * 40,
    ],
)
def test_a_path_too_long_or_too_deep_is_shortened(tag: str) -> None:
    """It keeps its start and its last name, and a hash keeps it apart from tags that share both."""
    path = tag_path(tag)
    assert SHORTENED.search(path.name)
    first, *rest = tag.split("/")
    assert decoded(CUT.sub("", path.parts[0])) == first[: 183 if len(first) > 200 else None]
    assert rest[-1].startswith(decoded(SHORTENED.sub("", path.name)))
    middles = ("m/" * 38 + "1", "m/" * 38 + "2", "m/" * 38 + "1/", "m" * 999 + "/1", "m" * 999 + "/2", "m/" * 999)
    assert len({tag_path(f"{first}/{middle}/{rest[-1]}") for middle in middles}) == len(middles)


def test_paths_at_the_limits_are_left_alone() -> None:
    """40 segments and 400 bytes still fit."""
    deep = "/".join("a" * 40)
    long = "x" * 200 + "/" + "y" * 199
    assert str(tag_path(deep)) == deep
    assert str(tag_path(long)) == long
    assert str(tag_path(deep + "/a")) != deep + "/a"
    assert str(tag_path(long + "y")) != long + "y"


@given(st.sets(NAMES | st.just("."), min_size=1, max_size=5), st.sets(NAMES, min_size=1, max_size=5))
@example(
    {".", "scalars", "Scalars", "a", "a/scalars", "a/scalars/text"}, {"x", "scalars/x", "text/x", "stats", "x.stats"}
)
@pytest.mark.slow
def test_runs_and_tags_never_mix(runs: set[str], tags: set[str]) -> None:
    """The first folder of a kind in a path ends the run, and every table of every run has its own path."""
    tables: dict[PurePosixPath, tuple[str, str, str, str]] = {}
    for run, kind, tag, ending in itertools.product(runs, ("scalars", "text"), tags, (".csv", ".stats.csv")):
        path = run_path(run) / kind / f"{tag_path(tag)}{ending}"
        first_kind = next(at for at, segment in enumerate(path.parts) if as_macos_sees_it(segment) in KINDS)
        assert path.parts[:first_kind] == run_path(run).parts
        assert tables.setdefault(path, (run, kind, tag, ending)) == (run, kind, tag, ending)
    assert not {as_macos_sees_it(path.parts[0]) for path in tables} & {"index.csv", "datapackage.json", "hparams.csv"}


def test_clashing_names_become_different_paths() -> None:
    """The first stays as it is, a folder keeps its spelling, and the answer to a claim never changes."""
    names = UniqueNames()
    assert names.claim(PurePosixPath("Loss/a"), "Loss/a") == PurePosixPath("Loss/a")
    assert names.claim(PurePosixPath("loss/b"), "loss/b") == PurePosixPath("loss/b")
    told_apart = names.claim(PurePosixPath("loss/a"), "loss/a")
    assert str(told_apart.parent) == "loss"
    assert re.fullmatch(r"a~[0-9a-f]{12}", told_apart.name)
    assert names.claim(PurePosixPath("loss/a"), "loss/a") == told_apart
    assert names.claim(PurePosixPath("Loss/a"), "Loss/a") == PurePosixPath("Loss/a")
    assert names.claim(PurePosixPath("LOSS/A"), "LOSS/A") not in {told_apart, PurePosixPath("LOSS/A")}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "A"),
        ("é", "e\u0301"),
        ("É", "é"),
        ("ß", "SS"),
        ("K", "\u212a"),
        ("ς", "Σ"),
        ("ﬁ", "FI"),
        ("ǅ", "ǆ"),
        ("é/x", "É/X"),
        ("ᾴ", "α\u0345\u0301"),
        ("ΐ", "Ι\u0308\u0301"),
    ],
)
def test_names_that_are_equal_to_some_file_system_clash(one: str, other: str) -> None:
    """Whichever comes first stays, and the other's hash does not depend on whom it met."""
    names, reverse = UniqueNames(), UniqueNames()
    assert names.claim(PurePosixPath(one), one) == PurePosixPath(one)
    assert reverse.claim(PurePosixPath(other), other) == PurePosixPath(other)
    told_apart = names.claim(PurePosixPath(other), other)
    assert CLASH.search(told_apart.name)
    assert str(told_apart)[:-13] == other
    third = UniqueNames()
    third.claim(PurePosixPath(other), "somebody else")
    assert third.claim(PurePosixPath(other), other) == told_apart


def test_a_claimed_hash_path_does_not_cause_a_clash() -> None:
    """Even if the very path that the hash would give was claimed before."""
    names = UniqueNames()
    names.claim(PurePosixPath("a"), "a")
    told_apart = names.claim(PurePosixPath("A"), "A")
    names = UniqueNames()
    names.claim(PurePosixPath("a"), "a")
    names.claim(told_apart, "squatter")
    again = names.claim(PurePosixPath("A"), "A")
    assert as_macos_sees_it(again) not in {"a", as_macos_sees_it(told_apart)}
    assert names.claim(PurePosixPath("A"), "A") == again


def test_an_earlier_conversion_is_continued_with_its_paths() -> None:
    """What was written is claimed as it was written; the order in which tags then come does not matter."""
    earlier = UniqueNames()
    written = {tag: earlier.claim(tag_path(tag), tag) for tag in ("loss", "Loss", "LOSS")}
    later = UniqueNames()
    for tag in ("LOSS", "Loss", "loss"):
        later.claim(written[tag], tag)
    assert {tag: later.claim(tag_path(tag), tag) for tag in ("Loss", "LOSS", "loss")} == written


def test_the_root_run_can_be_claimed() -> None:
    """Its path is empty and clashes with no other run's."""
    names = UniqueNames()
    runs = (".", "", "./", "%empty", "a")
    paths = [names.claim(run_path(run), run) for run in runs]
    assert paths == [run_path(run) for run in runs]


@given(similar_names())
@pytest.mark.slow
def test_unique_names_are_unique_without_case(tags: list[str]) -> None:
    """No two files meet, no file meets a folder, and nothing gets unsafe or too long for its endings."""
    names = UniqueNames()
    claims = {tag: names.claim(tag_path(tag), tag) for tag in tags}
    assert len({as_macos_sees_it(path) for path in claims.values()}) == len(tags)
    assert {tag: names.claim(tag_path(tag), tag) for tag in reversed(tags)} == claims
    files: set[str] = set()
    folders: set[str] = set()
    for path in claims.values():
        for segment in path.parts:
            assert_safe(segment, limit=213)
        leaves = [PurePosixPath(f"{path}{ending}") for ending in FILE_ENDINGS]
        stored = PurePosixPath(f"{path}{FOLDER_ENDING}")
        assert as_macos_sees_it(stored) not in folders, "a folder of stored bytes is one tag's own"
        files.update(as_macos_sees_it(leaf) for leaf in leaves)
        folders.update(as_macos_sees_it(folder) for folder in (stored, *path.parents))
    assert len(files) == len(tags) * len(FILE_ENDINGS)
    assert not files & folders


NASTY_TAGS = (
    *("", "/", "//", ".", "..", "../..", "../x", "/etc/passwd", "a", "a/", "/a", "a//b", "a/b", "a/b/c", "A", "a/B"),
    *("a.csv", "a.csv/b", "a.CSV", "a.stats", "a.stats.csv", "a.stats.csv/x", "a.files", "a.files/0.png"),
    *("a.FILES/0.PNG", "a.undecodable", "a.undecodable.csv", "a.nodes", "a.parquet", "a.csv.gz", "a.gz"),
    *("a.jsonl", "a.jsonl.zst", "a.tmp", "%", "%empty", "-rf", "$HOME", "`id`", "'\"", "*"),
    *("con", "con/x", "CON.csv", "nul.txt", "aux/aux", "C:\\x", "C:/x", "a:stream", "a\\b", "a%2Fb", "a%2fb"),
    *("a b", " a", "a ", "a.", "a. .", ".a", "~", "~/x", "a~1", "a\0b", "a\nb", "\u202etxt", "\ud800", "\ud800/\udc00"),
    *("é", "e\u0301", "É", "ß", "ss", "ﬁ", "fi", "日本語", "😀", "👩\u200d💻", "x" * 255, "x" * 254 + "y"),
    *("é" * 255, "?" * 255, "/".join(["d" * 100] * 50), "/".join(["d" * 100] * 49), "a/" * 200, "a/" * 199),
)


def test_nasty_tags_become_real_files(tmp_path: Path) -> None:
    """Every file of every tag is really there afterwards, holds its own tag's bytes, and is below the folder."""
    out = tmp_path / "out"
    names = UniqueNames()
    written: dict[Path, bytes] = {}
    for tag in NASTY_TAGS:
        path = names.claim(tag_path(tag), tag)
        for ending in (*FILE_ENDINGS, f"{FOLDER_ENDING}/0.png"):
            file = out / f"{path}{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            content = repr((tag, ending)).encode()
            with file.open("xb") as stream:
                stream.write(content)
            written[file] = content
    assert len(written) == len(set(NASTY_TAGS)) * (len(FILE_ENDINGS) + 1)
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == set(written)
    assert all(file.read_bytes() == content for file, content in written.items())
    assert all(file.resolve().is_relative_to(out.resolve()) for file in written)


def test_nasty_runs_become_real_folders(tmp_path: Path) -> None:
    """Each run's table of one tag is a file of its own, even if a run is named like another's tables."""
    runs = (*NASTY_TAGS, "scalars", "Scalars", "a/scalars", "a/scalars/x", "text/scalars", "index.csv", "hparams.csv")
    out = tmp_path / "out"
    names = UniqueNames()
    for run in runs:
        table = out / names.claim(run_path(run), run) / "scalars" / "x.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        with table.open("x", encoding="utf-8") as stream:
            stream.write(repr(run))
    for name in ("index.csv", "datapackage.json", "hparams.csv"):
        with (out / name).open("x", encoding="utf-8") as stream:
            stream.write(name)
    assert sum(file.is_file() for file in tmp_path.rglob("*")) == len(set(runs)) + 3


@given(SEGMENTS)
@example("con")
@example("COM¹.x")
@example("aux .x")
def test_against_python_s_idea_of_reserved_names_on_windows(name: str) -> None:
    """The standard library knows what Windows reserves; the table's ending does not help against it."""
    segment = encode_segment(name)
    for file_name in (segment, segment + ".csv"):
        if sys.version_info >= (3, 13):
            from ntpath import isreserved

            assert not isreserved(file_name)
        else:
            assert not PureWindowsPath(file_name).is_reserved()
