"""The names under which a TensorBoard serves, against DNS rebinding.

A web site can let its own name point to this server. Then a browser takes the site and this server for one, and lets
the site read what the server answers, but the requests have the name of the site in their header ``Host``. IP addresses
are always allowed: a name is what such a site needs.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from typing import Any, Final
from urllib.parse import urlsplit

#: The flag of TensorBoard that adds names.
HOSTS_FLAG: Final = "--tb2csv_hosts"


class OwnHosts:
    """The host names of one TensorBoard."""

    def __init__(self, flags: Any) -> None:
        """Allow what TensorBoard was started for; ``flags`` are its flags, of which any may be missing."""
        added = getattr(flags, HOSTS_FLAG.removeprefix("--"), None) or ""
        names = [*added.split(","), getattr(flags, "host", None) or ""]
        self._names = {name.strip().lower().removesuffix(".") for name in names} - {""}

    def has(self, host: str) -> bool:
        """Return whether a header ``Host``, with or without a port, is one of this server; empty if there is none."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        if not host or name == "localhost" or name.endswith(".localhost") or name in self._names:
            return True
        return _is_address(name) or name in _machine_names()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@functools.cache
def _machine_names() -> frozenset[str]:
    """Return the names of this machine, one of which TensorBoard prints with ``--bind_all``."""
    name = socket.gethostname()
    return frozenset({name.lower(), socket.getfqdn(name).lower()})
