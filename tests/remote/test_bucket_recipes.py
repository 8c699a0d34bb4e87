"""The commands of the cookbook that read a bucket or write to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from installed import skip_module_without
from test_docs import CONSOLE, SAMPLE_LOGS, printed_by, read

if TYPE_CHECKING:
    from pathlib import Path

    from s3_bucket import Bucket

skip_module_without("moto", "s3fs")


@pytest.mark.slow
def test_the_commands_print_the_output_in_the_cookbook(bucket: Bucket, tmp_path: Path) -> None:
    blocks = [block for block in CONSOLE.findall(read("docs/cookbook.md")) if "s3://" in block]
    assert blocks
    for name in ("keras", "tf2"):
        for path in (SAMPLE_LOGS / name).rglob("*tfevents*"):
            bucket.put(f"logs/{path.relative_to(SAMPLE_LOGS).as_posix()}", path.read_bytes())
    for block in blocks:
        assert (
            printed_by(block.replace("s3://bucket", bucket.url), tmp_path).replace(bucket.url, "s3://bucket") == block
        )
