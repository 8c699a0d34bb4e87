"""A bucket of a server of ours, with the requests that the server got."""

from __future__ import annotations

import functools
import json
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@functools.cache
def _file_system(endpoint: str) -> Any:
    """Return the client of a server for all its buckets; the address and the keys come from the environment."""
    import s3fs

    return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)


class Bucket:
    """An S3 bucket of a server of ours."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self.url = f"s3://{name}"
        self._files = _file_system(endpoint)
        self._files.mkdir(name)
        self.requests()

    def put(self, key: str, data: bytes) -> None:
        self._files.call_s3("put_object", Bucket=self.name, Key=key, Body=data)

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Return the objects below a prefix by the rest of their keys."""
        self._files.invalidate_cache()
        keys = self._files.find(f"{self.name}/{prefix}")
        return {key.removeprefix(f"{self.name}/{prefix}"): self._files.cat_file(key) for key in keys}

    def remove(self, key: str) -> None:
        self._files.call_s3("delete_object", Bucket=self.name, Key=key)

    def put_empty(self, keys: Sequence[str]) -> None:
        """Make many empty objects in the server's storage: thousands of requests to moto would take minutes."""
        data = json.dumps({"bucket": self.name, "keys": list(keys)}).encode()
        urllib.request.urlopen(f"{self.endpoint}/_empty_objects", data=data).close()

    def put_folder(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(path.relative_to(folder).as_posix(), path.read_bytes())

    def faults(self, **faults: Any) -> None:
        data = json.dumps(faults).encode()
        urllib.request.urlopen(f"{self.endpoint}/_faults", data=data).close()

    def requests(self) -> list[str]:
        """Return the requests since the last call."""
        with urllib.request.urlopen(f"{self.endpoint}/_requests") as answer:
            requests: list[str] = json.load(answer)
        return requests
