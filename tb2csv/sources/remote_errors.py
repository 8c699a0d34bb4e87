"""Errors of stores in our words; the only place that knows the exceptions of their libraries.

The libraries are not imported: an exception is recognized by the names of its classes. Many are not OSErrors.
"""

from __future__ import annotations

import errno
from typing import Final

from tb2csv.errors import MissingExtraError, Tb2csvError
from tb2csv.sources.urls import protocols, shown


class RemoteError(OSError):
    """A store gave no answer, or an error; ``strerror`` says which."""


class RemoteNotFoundError(RemoteError, FileNotFoundError):
    """Nothing is at an address."""


class RemoteExistsError(RemoteError, FileExistsError):
    """An object was put under the condition that there is none, and there is one."""


class ObjectChangedError(OSError):
    """A file was replaced while it was read."""

    def __init__(self) -> None:
        """Set the error's number and text."""
        super().__init__(errno.ESTALE, "it was replaced while it was read")


#: The package and the extra of tb2csv for each protocol.
_PACKAGES: Final = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "ssh": ("sshfs", "ssh"),
    "sftp": ("sshfs", "ssh"),
    "http": ("aiohttp", "http"),
    "https": ("aiohttp", "http"),
}

#: How to give credentials, for each extra.
_CREDENTIALS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a public bucket, FSSPEC_S3_ANON=true",
    "gcs": "set GOOGLE_APPLICATION_CREDENTIALS; for a public bucket, FSSPEC_GS_TOKEN=anon",
    "azure": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_CONNECTION_STRING",
    "ssh": "give the user as in ssh://USER@HOST/PATH, and add a key to ssh-agent",
    "http": "the address may need a password or a signature",
}

#: What an exception means, by the name of its class or of a class that it is derived from.
_MEANINGS: Final = {
    "NoCredentialsError": "there are no credentials",
    "PartialCredentialsError": "the credentials are incomplete",
    "TokenRetrievalError": "the credentials cannot be read",
    "ProfileNotFound": "the profile of the credentials does not exist",
    "DefaultCredentialsError": "there are no credentials",
    "PermissionDenied": "the login is refused",
    "PermissionError": "access is refused",
    "FileNotFoundError": "it does not exist",
    "HostKeyNotVerifiable": "the key of the host is not in known_hosts",
    "EndpointConnectionError": "the server does not answer",
    "ClientConnectorError": "the server does not answer",
    "ConnectTimeoutError": "the server does not answer",
    "ReadTimeoutError": "the server does not answer",
    "TimeoutError": "the server does not answer",
    "FSTimeoutError": "the server does not answer",
    "ConnectionRefusedError": "the server does not answer",
    "gaierror": "the name of the server is unknown",
    "ClientPayloadError": "the connection was cut",
    "ServerDisconnectedError": "the connection was cut",
    "ResponseStreamingError": "the connection was cut",
    "IncompleteReadError": "the connection was cut",
    "ConnectionLost": "the connection was cut",
    "ConnectionResetError": "the connection was cut",
    "ClientResponseError": "the server answers with an error",
    "BadZipFile": "it is not a sound ZIP file",
}

#: Meanings that call for credentials.
_NEEDS_CREDENTIALS: Final = frozenset(
    {*(f"the credentials {what}" for what in ("are incomplete", "cannot be read")), "there are no credentials"}
    | {"the login is refused", "access is refused", "the profile of the credentials does not exist"}
)

#: The codes of S3 for a condition of a request that does not hold.
_CONDITION_FAILED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})

#: How many characters of an error's own text are shown; some hold a whole page.
_SHOWN: Final = 300


def remote_error(error: Exception, url: str) -> OSError | Tb2csvError:
    """Return the error to raise in place of one that a library raised for a URL."""
    if type(error).__name__ == "FileExpired":  # s3fs: the ETag has changed
        return ObjectChangedError()
    chain = protocols(url)
    known = [_PACKAGES[protocol] for protocol in chain if protocol in _PACKAGES]
    if isinstance(error, ImportError):
        return _missing_package(error, chain, known)
    text = _own_text(error)
    meaning = _meaning(error)
    extra = known[-1][1] if known else ""
    if extra == "azure" and isinstance(error, ValueError):
        meaning = "there are no credentials"
    if meaning in _NEEDS_CREDENTIALS and extra:
        text = f"{text}; {_CREDENTIALS[extra]}" if text else _CREDENTIALS[extra]
    reason = f"{meaning} ({text})" if meaning and text else meaning or text
    if isinstance(error, FileNotFoundError):
        return RemoteNotFoundError(errno.ENOENT, reason)
    if isinstance(error, FileExistsError) or _code(error) in _CONDITION_FAILED:
        return RemoteExistsError(errno.EEXIST, reason)
    return RemoteError(error.errno if isinstance(error, OSError) and error.errno else errno.EIO, reason)


def _missing_package(error: ImportError, chain: list[str], known: list[tuple[str, str]]) -> Tb2csvError:
    if known:
        package, extra = known[-1]
        return MissingExtraError(f"Reading {chain[-1]}:// URLs", package, extra)
    fact = f"Reading {chain[-1]}:// URLs needs a package that is not installed ({_own_text(error)})"
    return Tb2csvError(f"{fact}.")


def _meaning(error: BaseException) -> str:
    """Return what an error means, or what caused it; empty if it is unknown."""
    cause: BaseException | None = error
    while cause is not None:
        for each in type(cause).__mro__:
            if each.__name__ in _MEANINGS:
                return _MEANINGS[each.__name__]
        cause = cause.__cause__
    return ""


def _code(error: BaseException) -> str:
    """Return the code of the answer of S3 that caused an error; empty if there is none."""
    answer = getattr(error.__cause__, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def _own_text(error: BaseException) -> str:
    """Return an error's own words as one line without a full stop: some errors have no ``strerror``."""
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).split()
    line = shown(" ".join(text)).rstrip(".")
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
