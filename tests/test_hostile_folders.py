"""Folders of tables from strangers: only files in them are read, and only what a conversion wrote is replaced."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from event_files import event, scalar, write_run

import tb2csv
from tb2csv.errors import OutputError, Tb2csvError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Return the folder of a conversion, beside a file that is not in it."""
    write_run(tmp_path / "log" / "run", *(event(scalar("loss", 0.5), step=step) for step in range(3)))
    tb2csv.convert(tmp_path / "log", tmp_path / "out")
    (tmp_path / "secret.csv").write_text("wall_time,step,value\n1.0,1,42.0\n")
    return tmp_path / "out"


def table_path(tables: Path) -> str:
    return next(iter(tb2csv.open_tables(tables)))


@pytest.mark.parametrize("path", ["../secret.csv", "run/../../secret.csv", "/secret.csv", "", ".", "a\0b"])
def test_tables_elsewhere_are_refused(path: str, tables: Path) -> None:
    path = str(tables.parent) + path if path.startswith("/") else path
    package = json.loads((tables / "datapackage.json").read_text())
    package["resources"][-1]["path"] = path
    (tables / "datapackage.json").write_text(json.dumps(package))
    with pytest.raises(Tb2csvError, match="not a file in it"):
        tb2csv.open_tables(tables)[path]


@pytest.mark.parametrize("what", ["file", "folder", "package"])
def test_links_to_tables_elsewhere_are_refused(what: str, tables: Path) -> None:
    path = table_path(tables)
    if what == "package":
        (tables / "datapackage.json").rename(tables.parent / "p.json")
        (tables / "datapackage.json").symlink_to(tables.parent / "p.json")
    elif what == "file":
        (tables / path).unlink()
        (tables / path).symlink_to(tables.parent / "secret.csv")
    else:
        (tables / "run").rename(tables.parent / "elsewhere")
        (tables / "run").symlink_to(tables.parent / "elsewhere")
    with pytest.raises(Tb2csvError, match="not a file in it"):
        tb2csv.open_tables(tables)[path]


def test_a_link_to_the_folder_itself_is_followed(tables: Path) -> None:
    (tables.parent / "link").symlink_to(tables)
    assert tb2csv.open_tables(tables.parent / "link")[table_path(tables)]["value"].to_list() == [0.5] * 3


def replaced_in_package(tables: Path, change: Callable[[Any], Any]) -> None:
    package = json.loads((tables / "datapackage.json").read_text())
    (tables / "datapackage.json").write_text(json.dumps(change(package)))


ODD_PACKAGES: list[Callable[[Any], Any]] = [
    lambda package: [package],
    lambda package: {**package, "resources": {}},
    lambda package: {**package, "resources": [1, None]},
    lambda package: {**package, "tb2csv": ["escape_formulas"]},
    lambda package: {**package, "resources": [{**package["resources"][-1], "path": ["a"]}]},
    lambda package: {**package, "resources": [{**package["resources"][-1], "schema": []}]},
    lambda package: {**package, "resources": [{**package["resources"][-1], "schema": {"fields": [7]}}]},
    lambda package: {**package, "resources": [{**package["resources"][-1], "schema": {"fields": [{"name": "a"}]}}]},
    lambda package: {**package, "resources": [{**package["resources"][-1], "format": "exe"}]},
    lambda package: {
        **package,
        "resources": [
            {**package["resources"][-1], "schema": {"fields": [{"name": "a", "tb2csv:dtype": "float99"}]}},
        ],
    },
]


@pytest.mark.parametrize("change", ODD_PACKAGES)
def test_odd_data_packages_are_one_sentence(change: Callable[[Any], Any], tables: Path) -> None:
    replaced_in_package(tables, change)
    with pytest.raises(Tb2csvError):
        [*tb2csv.open_tables(tables).values()]


def test_a_data_package_that_nests_deeply_is_one_sentence(tables: Path) -> None:
    (tables / "datapackage.json").write_text("[" * 100_000)
    with pytest.raises(Tb2csvError, match=r"datapackage\.json"):
        tb2csv.open_tables(tables)


def test_a_table_that_is_a_pipe_is_refused(tables: Path) -> None:
    path = table_path(tables)
    (tables / path).unlink()
    os.mkfifo(tables / path)
    with pytest.raises(Tb2csvError, match="not a file in it"):
        tb2csv.open_tables(tables)[path]


@pytest.mark.parametrize("what", ["link to a file", "link to a folder", "link of a known name", "empty folder", "pipe"])
def test_an_output_with_links_or_empty_folders_is_not_replaced(what: str, tables: Path) -> None:
    place = tables / "run" / "scalars" / "mine"
    if what == "empty folder":
        place.mkdir()
    elif what == "pipe":
        place = tables / table_path(tables)
        place.unlink()
        os.mkfifo(place)
    elif what == "link of a known name":
        place = tables / table_path(tables)
        place.unlink()
        place.symlink_to(tables.parent / "secret.csv")
    else:
        place.symlink_to(tables.parent / "secret.csv" if what == "link to a file" else tables.parent)
    with pytest.raises(OutputError, match="did not write") as caught:
        tb2csv.convert(tables.parent / "log", tables, overwrite=True)
    assert place.name in str(caught.value)
    assert os.path.lexists(place)
    assert (tables.parent / "secret.csv").read_text().endswith("42.0\n")
