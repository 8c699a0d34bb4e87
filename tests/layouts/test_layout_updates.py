"""Updates of conversions in every layout and format: the files equal those of one conversion at the end."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from event_files import event, event_file, tensor, write_run
from scenarios import SCENARIOS
from tables import read_tree
from test_scenarios import write_logs
from test_updates import assert_same_tables, convert_in_steps, random_cuts

import tb2csv
from tb2csv.selection import Selection
from tb2csv.sinks.formats import FORMATS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("layout", ["tree"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_updates_of_scenarios_equal_one_conversion(tmp_path: Path, name: str, layout: str, format_name: str) -> None:
    scenario = SCENARIOS[name]()
    patterns = {option: value for option, value in scenario.options.items() if option != "tensors"}
    options = {
        "selection": Selection(**patterns),
        **{k: v for k, v in scenario.options.items() if k == "tensors"},
        "layout": layout,
        "format": format_name,
    }
    content = read_tree(write_logs(tmp_path / "whole", scenario))
    generator = random.Random(f"{name} {layout} {format_name}")
    for number in range(2):
        logdir, out = tmp_path / f"log{number}", tmp_path / f"out{number}"
        first = random_cuts(content, generator)
        second = {path: max(stop, generator.randint(0, len(content[path]))) for path, stop in first.items()}
        convert_in_steps(logdir, content, [first, second], out, **options)
        assert_same_tables(out, logdir, **options)


def test_a_tag_that_begins_later_has_its_own_metadata(tmp_path: Path) -> None:
    early = [event(tensor(tag, np.float32([0]), "flight", content=tag.encode()), step=0) for tag in ("a", "b")]
    late = [event(tensor(tag, np.float32([1]), "flight", content=tag.encode()), step=1) for tag in ("a", "b", "c")]
    write_run(tmp_path / "logs", *early, *late)
    size = len(event_file(early))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out", chunk_size=size)
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))
    contents = {each["path"]: each.get("tb2csv:plugin_content") for each in package["resources"]}
    assert contents["tensors/c.csv"] == base64.b64encode(b"c").decode()
