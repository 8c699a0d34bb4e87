from __future__ import annotations

from typing import TYPE_CHECKING

from event_files import event, frame, simple_value, string_tensor, tensor, write_run
from tables import read_index, read_rows

import tb2csv

if TYPE_CHECKING:
    from pathlib import Path


def test_tags_that_read_alike_have_tables_of_their_own(tmp_path: Path) -> None:
    """One tag is not UTF-8, the other is the text by which such bytes are shown."""
    path = write_run(tmp_path / "logs", event(simple_value("tag_xx", 1.0)), event(simple_value(r"tag_\xff\xfe", 2.0)))
    data = path.read_bytes()
    payload = event(simple_value("tag_xx", 1.0)).SerializeToString()
    assert data.count(frame(payload)) == 1
    path.write_bytes(data.replace(frame(payload), frame(payload.replace(b"tag_xx", b"tag_\xff\xfe"))))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    index = read_index(tmp_path / "out")
    assert [row["tag"] for row in index] == [r"tag_\xff\xfe"] * 2
    values = [[line["value"] for line in read_rows(tmp_path / "out" / row["path"])] for row in index]
    assert sorted(values) == [["1.0"], ["2.0"]]


def test_the_index_has_the_steps_of_the_selected_rows_only(tmp_path: Path) -> None:
    texts = [b"\xff", b"good", b"\xfe"]
    values = [tensor("x", string_tensor([each], ()), "text") for each in texts]
    write_run(tmp_path / "logs", *(event(value, step=i, wall_time=10.0 + i) for i, value in enumerate(values, 5)))
    tb2csv.convert(tmp_path / "logs", tmp_path / "out")
    spans = {
        row["path"]: (row["rows"], row["first_step"], row["last_wall_time"]) for row in read_index(tmp_path / "out")
    }
    assert spans == {"text/x.csv": ("1", "6", "16.0"), "blobs/x.undecodable.csv": ("2", "5", "17.0")}
