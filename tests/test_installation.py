"""The command that an error about a missing package names; pip itself made the records of where tb2csv came from."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

from tb2csv.installation import install_command


class Installed:
    """A distribution with a record of its origin, or without one."""

    def __init__(self, record: dict[str, object] | None) -> None:
        self._record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._record is None else json.dumps(self._record)


@pytest.mark.parametrize(
    ("record", "argument"),
    [
        (None, "'tb2csv[plot]'"),
        ({"url": "file:///home/me/my%20clone", "dir_info": {"editable": True}}, "--editable '/home/me/my clone[plot]'"),
        ({"url": "file:///home/me/tb2csv", "dir_info": {}}, "'/home/me/tb2csv[plot]'"),
        (
            {"url": "file:///tmp/tb2csv-0.1.0-py3-none-any.whl", "archive_info": {"hash": "sha256=00"}},
            "'tb2csv[plot] @ file:///tmp/tb2csv-0.1.0-py3-none-any.whl'",
        ),
        (
            {"url": "https://example.org/tb2csv.git", "vcs_info": {"vcs": "git", "commit_id": "b83e359"}},
            "'tb2csv[plot] @ git+https://example.org/tb2csv.git@b83e359'",
        ),
    ],
)
def test_an_extra_comes_from_where_tb2csv_came_from(
    record: dict[str, object] | None, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(record))
    assert install_command("plot") == f"pip install {argument}"
    assert install_command("plot", upgrade=True) == f"pip install --upgrade {argument}"


def test_sources_that_are_not_installed_name_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Installed:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert install_command("plot") == "pip install 'tb2csv[plot]'"
