# The source is _scanner.pyx.

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tb2csv.event_files.values import ValueColumns

class SchemaTable:
    def intern(self, key: bytes) -> int: ...
    def key(self, schema_id: int) -> bytes: ...
    def __len__(self) -> int: ...

def scan(
    buffer: memoryview, start: int, base: int, schemas: SchemaTable, columns: ValueColumns
) -> tuple[int, int, int]: ...
def group(
    schema_id: npt.NDArray[np.int32],
    series_of_schema: npt.NDArray[np.int32],
    order: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
) -> None: ...
def read_metadata(serialized: bytes) -> tuple[bytes, bytes, bytes, bytes] | None: ...
def read_head(event: bytes) -> tuple[float, int, bytes | None] | None: ...
def split_values(
    serialized: bytes, make: Callable[[int, str], npt.NDArray[Any]]
) -> tuple[dict[int, npt.NDArray[Any]], bytes] | None: ...
def crc32c(data: bytes | bytearray | memoryview, by_tables: bool = False) -> int: ...
