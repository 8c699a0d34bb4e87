"""Where tb2csv was installed from, and the command that installs more of it from there."""

from __future__ import annotations


def install_command(extra: str, *, upgrade: bool = False) -> str:
    """Return the command that installs the packages of an extra of tb2csv.

    It names the folder, file or address that tb2csv was installed from: an index may not have tb2csv, or have another
    version of it.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = distribution("tb2csv").read_text("direct_url.json")
    except PackageNotFoundError:  # the sources are on the path
        origin = None
    return f"pip install {'--upgrade ' * upgrade}{_requirement(extra, origin)}"


def _requirement(extra: str, direct_url: str | None) -> str:
    """Return the argument of pip, from its record of the source of tb2csv, which it does not make for an index.

    The record is described at https://packaging.python.org/specifications/direct-url.
    """
    import json
    import shlex

    origin = json.loads(direct_url or "{}")
    url = origin.get("url", "")
    if "dir_info" in origin:
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        folder = shlex.quote(f"{url2pathname(urlsplit(url).path)}[{extra}]")
        return f"--editable {folder}" if origin["dir_info"].get("editable") else folder
    if "vcs_info" in origin:
        url = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
    return shlex.quote(f"tb2csv[{extra}] @ {url}" if url else f"tb2csv[{extra}]")
