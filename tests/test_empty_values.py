"""Empty values, of which an event may have millions: each is counted, in every report, and none has a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from event_files import event, simple_value, write_run
from tensorboard.compat.proto.summary_pb2 import Summary

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path


def test_equal_empty_values_of_an_event_are_all_counted(tmp_path: Path) -> None:
    empty, other, loss = Summary.Value(tag="empty"), Summary.Value(tag="other"), simple_value("loss", 1.0)
    events = [event(*[empty] * 1000, loss, step=1), event(empty, empty, other, other, other, empty, step=2)]
    log = write_run(tmp_path / "log", *events).parent
    report = tb2csv.convert(log, tmp_path / "out")
    (run,) = report.runs
    assert (report.values_read, report.values_written, run.empty) == (1007, 1, {"empty": 1003, "other": 3})
    filtered = tb2csv.convert(log, tmp_path / "some", exclude_tag="empty")
    assert (filtered.values_read, filtered.values_filtered, filtered.values_empty) == (1007, 1003, 3)
    assert tb2csv.ls(log).report.values_read == 1007
    assert tb2csv.check(log).values_read == 1007
    repaired = tb2csv.repair(log, tmp_path / "clean")
    assert (repaired.values_read, tb2csv.check(tmp_path / "clean").values_read) == (1007, 1007)
