"""The files below an address, as fsspec's file systems list them or, for some protocols, faster."""

from __future__ import annotations

import asyncio
import errno
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How many pages of a web server are listed at once.
_PAGES_AT_ONCE: Final = 100

#: Statuses of a web server that does not let an address be read, and those for which credentials may be missing.
_FORBIDDEN: Final = frozenset({401, 403})
_REFUSALS: Final = frozenset({400, 405, *_FORBIDDEN})


def found_files(filesystem: Any, root: str) -> dict[str, dict[str, Any]]:
    """List the files below a path by their paths, as the file system itself finds them; folders may be among them."""
    found: dict[str, dict[str, Any]] = filesystem.find(root, detail=True)
    return found


def s3_files(filesystem: Any, root: str) -> dict[str, dict[str, Any]]:
    """List the objects below a bucket or a key by their names, a thousand with each request.

    s3fs requests the same pages, but then its ``find`` compares each folder with all others beside it: 20,000 runs take
    8 s of processor time, and 100,000 runs 25 times as much (s3fs 2026.9).
    """
    bucket, key, _ = filesystem.split_path(root)
    found = {}
    folders = defaultdict(list)
    for page in _s3_pages(filesystem, bucket, f"{key}/" if key else ""):
        for entry in page.get("Contents", []):
            name = f"{bucket}/{entry['Key']}"
            found[name] = {**entry, "Key": name, "name": name, "size": entry["Size"], "type": "file"}
            folders[name.rpartition("/")[0]].append(found[name])
    if not found and key:
        return found_files(filesystem, root)
    filesystem.dircache.update(folders)  # a file that is opened then takes no request for its size and version
    return found


def _s3_pages(filesystem: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    options = dict(filesystem.req_kw)
    while True:
        page = filesystem.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **options)
        yield page
        if not page.get("IsTruncated"):
            return
        options["ContinuationToken"] = page["NextContinuationToken"]


def web_files(filesystem: Any, root: str) -> dict[str, dict[str, Any]]:
    """List a web server's pages and those that they link to below them, several at once.

    ``find`` asks for one page after the other, and takes an address that does not exist for an empty folder.
    """
    address = root.rstrip("/")
    pages = _Pages(filesystem)
    refused = None
    try:
        listed = pages.listed(f"{address}/")
    except FileNotFoundError:
        listed = []
    except Exception as error:  # a signed address is refused with a slash
        refused = getattr(error, "status", None)
        if refused not in _REFUSALS:
            raise
        listed = []
    if not listed:
        try:
            info = filesystem.info(address)
        except FileNotFoundError as error:  # whatever the status was
            if refused in _FORBIDDEN:
                raise PermissionError(errno.EACCES, f"status {refused}") from error
            raise
        return {} if info.get("mimetype") == "text/html" else {address: info}
    found: dict[str, dict[str, Any]] = {}
    while listed:
        folders = []
        for entry in listed:
            if entry["name"].endswith("/"):
                folders.append(entry["name"])
            else:
                found[entry["name"]] = entry
        listed = pages.listed(*folders)
    return found


class _Pages:
    """The pages of a web server that were not listed before; links may form cycles."""

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem
        self._seen: set[str] = set()

    def listed(self, *addresses: str) -> list[dict[str, Any]]:
        """Return the links on some pages that go below them; the pages are requested at once."""
        from fsspec.asyn import sync

        new = [address for address in dict.fromkeys(addresses) if address not in self._seen]
        self._seen.update(new)
        answers = sync(self._filesystem.loop, self._answers, new)
        return [
            entry
            for address, entries in zip(new, answers, strict=True)
            for entry in entries
            if _is_below(entry["name"], address)
        ]

    async def _answers(self, addresses: list[str]) -> list[list[dict[str, Any]]]:
        limit = asyncio.Semaphore(_PAGES_AT_ONCE)

        async def answer(address: str) -> list[dict[str, Any]]:
            async with limit:
                entries: list[dict[str, Any]] = await self._filesystem._ls(address, detail=True)
                return entries

        tasks = [asyncio.ensure_future(answer(address)) for address in addresses]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # after an error, no other page is needed
                task.cancel()


def _is_below(link: str, address: str) -> bool:
    """Return whether a link leads to a file or folder right below a page, without parts such as ``..``."""
    name = unquote(link.removeprefix(address).removesuffix("/"))
    return (
        link.startswith(address) and bool(name) and not {"", ".", ".."} & set(name.split("/")) and name[0] not in "?#"
    )


#: The listing of each protocol whose file systems find files slowly.
LISTINGS: Final[dict[str, Callable[[Any, str], dict[str, dict[str, Any]]]]] = {
    "http": web_files,
    "https": web_files,
    "s3": s3_files,
    "s3a": s3_files,
}
