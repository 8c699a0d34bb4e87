"""URLs, and errors of stores in our words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tb2csv
from tb2csv.sources.ranges import version_of
from tb2csv.sources.remote_errors import RemoteError, remote_error
from tb2csv.sources.source import is_replaced
from tb2csv.sources.urls import is_url, refuse_caches, shown

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://bucket/logs", True),
        ("simplecache::s3://bucket/logs", True),
        ("zip://logs::/data/logs.zip", True),
        ("/data/logs", False),
        ("logs/a://b", False),
        ("C:\\logs", False),
        ("./a::b", False),
    ],
)
def test_what_is_a_url(path: str, expected: bool) -> None:
    assert is_url(path) is expected


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_caches_are_refused(cache: str) -> None:
    refuse_caches("zip://::s3://bucket/logs.zip")
    for url in (f"{cache}::s3://bucket/logs", f"zip://::{cache}::s3://bucket/logs.zip"):
        with pytest.raises(tb2csv.LogdirError, match=f"without {cache}::"):
            refuse_caches(url)


@pytest.mark.parametrize(
    ("info", "key"),
    [
        ({"Key": "logs/a", "size": 9, "ETag": '"5d41"', "LastModified": "2026-11-28"}, "ETag"),  # of s3fs
        (
            {"name": "logs/a", "size": 9, "etag": "CJ", "generation": "17", "mtime": "2026-11-28"},
            "generation",
        ),  # gcsfs 2026.10
        ({"name": "logs/a", "size": 9, "etag": "0x8D", "last_modified": "2026-11-28"}, "etag"),  # adlfs 2026.8
        ({"name": "logs/a", "size": 9, "mtime": "2026-11-28", "permissions": 33188}, "mtime"),  # sshfs 2026.8
        # huggingface_hub 2.4: a file of a dataset, and one of a bucket
        ({"name": "datasets/me/logs/a", "size": 9, "blob_id": "b6fc", "lfs": None, "xet_hash": None}, "blob_id"),
        ({"name": "buckets/me/logs/a", "size": 9, "xet_hash": "a1", "mtime": "2026-11-28"}, "xet_hash"),
    ],
)
def test_a_version_is_what_changes_with_the_bytes(info: dict[str, Any], key: str) -> None:
    version = version_of(info)
    assert version.text
    assert version != version_of(info | {key: "other"})
    assert version == version_of(info | {"permissions": 33152})


@pytest.mark.parametrize(
    ("earlier", "present", "expected"),
    [
        ({"size": 9, "ETag": '"a"'}, {"size": 9, "ETag": '"b"'}, True),
        ({"size": 9, "ETag": '"a"'}, {"size": 9, "ETag": '"a"'}, False),
        ({"size": 9, "ETag": '"a"'}, {"size": 10, "ETag": '"b"'}, False),  # it has grown
        ({"size": 9, "mtime": 1.5}, {"size": 9, "mtime": 2.5}, False),
        ({"size": 9, "etag": "CJ"}, {"size": 9, "etag": "CK", "generation": "17"}, False),  # of another file system
        ({"size": 9, "ETag": '"a"'}, {"size": 9}, False),
        ({"size": 9}, {"size": 9, "ETag": '"a"'}, False),
    ],
)
def test_another_version_of_the_same_size_was_replaced(
    earlier: dict[str, Any], present: dict[str, Any], expected: bool
) -> None:
    assert is_replaced(version_of(earlier).text, version_of(present).text) is expected


def test_passwords_and_signatures_are_not_shown() -> None:
    assert shown("ssh://me:word@host/a and https://h/x?a=1&X-Amz-Signature=abc") == (
        "ssh://me:…@host/a and https://h/x?a=1&X-Amz-Signature=…"
    )


MISSING = [
    ("s3://b/x", "s3fs", "s3"),
    ("gs://b/x", "gcsfs", "gcs"),
    ("az://b/x", "adlfs", "azure"),
    ("ssh://h/x", "sshfs", "ssh"),
    ("https://h/x", "aiohttp", "http"),
    ("zip://::s3://b/x.zip", "s3fs", "s3"),
]


@pytest.fixture(scope="module")
def errors_without_packages() -> dict[str, str]:
    """Return the error of each URL in a process without the packages."""
    code = (
        "import json, sys\n"
        "sys.modules |= dict.fromkeys(['s3fs', 'gcsfs', 'adlfs', 'sshfs', 'paramiko', 'aiohttp'])\n"
        "import tb2csv\n"
        "errors = {}\n"
        "for url in sys.argv[1:]:\n"
        "    try: tb2csv.ls(url)\n"
        "    except tb2csv.MissingExtraError as error: errors[url] = str(error)\n"
        "print(json.dumps(errors))\n"
    )
    arguments = [sys.executable, "-c", code, *(url for url, _, _ in MISSING)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    errors: dict[str, str] = json.loads(done.stdout)
    return errors


@pytest.mark.parametrize(("url", "package", "extra"), MISSING)
def test_a_missing_package_names_its_extra(
    errors_without_packages: dict[str, str], url: str, package: str, extra: str
) -> None:
    assert f"needs {package}" in errors_without_packages[url]
    assert f"[{extra}]" in errors_without_packages[url]


def named(name: str, *bases: type[Exception]) -> type[Exception]:
    """Return a class of exceptions with the name of a library's."""
    return type(name, bases or (Exception,), {})


@pytest.mark.parametrize(
    ("url", "error", "expected"),
    [
        ("s3://b", named("NoCredentialsError")("Unable"), "there are no credentials (Unable; set AWS_ACCESS_KEY_ID"),
        ("gs://b", named("DefaultCredentialsError")("None."), "there are no credentials (None; set GOOGLE_APPL"),
        ("az://b", ValueError("Must provide"), "there are no credentials (Must provide; set AZURE_STORAGE_ACCOUNT"),
        ("s3://b", named("EndpointConnectionError")("x"), "the server does not answer (x)"),
        ("http://b", named("ClientPayloadError")("x"), "the connection was cut (x)"),
        ("ssh://b", named("ConnectionLost", OSError)("x"), "the connection was cut (x)"),
        ("s3://b", PermissionError("The provided token has expired."), "access is refused (The provided token has exp"),
        ("memory://b", ValueError("odd\nlines."), "odd lines"),
        ("memory://b", KeyError(), "KeyError"),
    ],
)
def test_errors_of_libraries_are_one_sentence(url: str, error: Exception, expected: str) -> None:
    ours = remote_error(error, url)
    assert isinstance(ours, RemoteError)
    assert ours.strerror.startswith(expected)
    assert "\n" not in ours.strerror


def test_the_page_has_every_extra_and_variable() -> None:
    page = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
    project: Any = pytest.importorskip("tomllib").loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    for url, extra in {"s3": "s3", "gs": "gcs", "az": "azure", "ssh": "ssh", "http": "http"}.items():
        assert extra in extras
        error = remote_error(PermissionError("x"), f"{url}://b/c")
        (row,) = re.findall(rf"^\| `{url}://.*$", page, re.MULTILINE)
        assert f"| `{extra}` |" in row
        assert all(name in row for name in re.findall(r"[A-Z]+_[A-Z_0-9]+", str(error)))
