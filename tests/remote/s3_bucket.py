"""A bucket of a server of ours, with the requests that the server got."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Bucket:
    """An S3 bucket of a server of ours."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self.url = f"s3://{name}"
        import s3fs

        self._files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
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
        """Put many empty objects, several at once."""
        code = (
            "import asyncio, json, s3fs, sys\n"
            "async def main():\n"
            "    s3 = s3fs.S3FileSystem(asynchronous=True)\n"
            "    await s3.set_session()\n"
            "    keys = json.load(sys.stdin)\n"
            "    for start in range(0, len(keys), 50):\n"
            "        await asyncio.gather(*(s3._call_s3('put_object', Bucket=sys.argv[1], Key=key, Body=b'') "
            "for key in keys[start : start + 50]))\n"
            "asyncio.run(main())\n"
        )
        command = [sys.executable, "-W", "ignore", "-c", code, self.name]
        subprocess.run(command, check=True, capture_output=True, input=json.dumps(list(keys)), text=True)

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
