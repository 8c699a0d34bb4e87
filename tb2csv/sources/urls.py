"""URLs of log directories: what counts as one, how it is shown, and which ones have a cache in front."""

from __future__ import annotations

import re
from typing import Final

from tb2csv.errors import LogdirError

#: A single letter before the colon is a drive of Windows.
_URL: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z+.-]+(?:://|::[a-zA-Z])")
#: ``user:password@`` in a URL.
_PASSWORD: Final = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]*@")
#: Query parameters that sign an address.
_SIGNATURE: Final = re.compile(r"(?i)([?&][\w-]*(?:signature|token|sig|secret|key|credential)[\w-]*=)[^&\s]*")

#: Protocols of fsspec that keep copies of files, and give old bytes with the new size of a file.
_CACHES: Final = frozenset({"simplecache", "filecache", "blockcache", "cached"})

#: Protocols of stores in which an object can be put only if there is not one yet: outputs need it.
_WRITABLE: Final = frozenset({"s3", "s3a"})


def is_url(path: str) -> bool:
    """Return whether a path is a URL, such as ``s3://bucket/logs`` or ``zip://logs::s3://bucket/logs.zip``."""
    return _URL.match(path) is not None


def is_writable(url: str) -> bool:
    """Return whether a path is the URL of a store to which tables can be written."""
    return is_url(url) and _WRITABLE.issuperset(protocols(url))


def protocols(url: str) -> list[str]:
    """Return the protocols of a URL, the outermost first; a part without one is a local file."""
    parts = url.split("::")
    return [part.partition("://")[0] if "://" in part or part.isalnum() else "file" for part in parts]


def shown(text: str) -> str:
    """Return a URL, or text with URLs in it, without passwords and signatures."""
    return _SIGNATURE.sub(r"\1…", _PASSWORD.sub(r"\1:…@", text))


def refuse_caches(url: str) -> None:
    """Refuse a URL with a cache in front of its store, which gives new sizes with old bytes.

    Raises:
        LogdirError: there is one.
    """
    for protocol in protocols(url):
        if protocol in _CACHES:
            message = (
                f"{shown(url)} has the cache {protocol}:: in front, which gives the new size of a file with its old "
                f"bytes; give the URL without {protocol}::."
            )
            raise LogdirError(message)
