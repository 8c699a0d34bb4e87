"""Common parts of all routes: checks of requests, and errors as JSON.

TensorBoard checks neither Origin nor Host, and a form on any web site can post text to it. So a request that changes
something must be JSON, which another site can send only after a preflight request, which is refused. A request that the
browser marks as coming from another site is refused, and so is one for a host of another name; see ``own_hosts``. Names
and paths in a request are never used as paths.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from tensorboard.backend import http_util
from werkzeug import wrappers
from werkzeug.exceptions import ClientDisconnected

from tb2csv.errors import Tb2csvError
from tb2csv.tensorboard_plugin.option_titles import page_spelling
from tb2csv.tensorboard_plugin.own_hosts import HOSTS_FLAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tb2csv.tensorboard_plugin.own_hosts import OwnHosts

_LOGGER = logging.getLogger("tensorboard")

#: The maximum size of a request in bytes, enough for 100,000 names.
MAX_BODY: Final = 8 << 20

_JSON: Final = "application/json"
#: The marks of requests by our page, and of an address that a user typed.
_OWN_SITE: Final = frozenset({"same-origin", "none"})


class RequestError(Tb2csvError):
    """A request is refused; ``code`` is for programs, ``status`` is the HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Give the status, the code and a message for the user."""
        super().__init__(message)
        self.status = status
        self.code = code


def route(
    handler: Callable[[wrappers.Request], wrappers.Response],
    method: str,
    hosts: OwnHosts | None,
    hide_paths: Callable[[str], str],
) -> Callable[..., Iterable[bytes]]:
    """Return a handler as a WSGI application that answers errors in JSON.

    Args:
        handler: returns the answer to a request.
        method: ``GET``, which includes ``HEAD``, or ``POST``.
        hosts: the names of this server; None for what anybody may read under any name.
        hide_paths: removes absolute paths from a message.
    """

    def respond(request: wrappers.Request) -> wrappers.Response:
        try:
            _check(request, method, hosts)
            return handler(request)
        except RequestError as error:
            allowed = [("Allow", "GET, HEAD" if method == "GET" else method)] if error.status == _BAD_METHOD else []
            return _error(request, error.status, error.code, str(error), allowed)
        except Tb2csvError as error:
            return _error(request, 400, "refused", hide_paths(error.spelled(page_spelling)))
        except ImportError as error:
            _LOGGER.exception("tb2csv cannot be imported")
            message = f"tb2csv does not work, because {error.name or 'a package'} cannot be imported; reinstall it."
            return _error(request, 500, "broken", message)
        except Exception:
            _LOGGER.exception("tb2csv: %s could not be answered", request.path)
            message = "tb2csv failed; see TensorBoard's log."
            return _error(request, 500, "internal", message)

    app: Callable[..., Iterable[bytes]] = wrappers.Request.application(respond)
    return app


_BAD_METHOD: Final = 405


def _check(request: wrappers.Request, method: str, hosts: OwnHosts | None) -> None:
    host = request.headers.get("Host", "")
    if hosts is not None and not hosts.has(host):
        message = (
            f"This TensorBoard was not started for the host {host!r}; "
            f"if it is its address, start TensorBoard with {HOSTS_FLAG} and this name."
        )
        raise RequestError(403, "host", message)
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in _OWN_SITE:
        raise RequestError(403, "cross_site", "Requests from other web sites are refused; use TensorBoard's own page.")
    if ("GET" if request.method == "HEAD" else request.method) != method:
        message = f"This address does not accept {request.method} requests; use {method}."
        raise RequestError(_BAD_METHOD, "method", message)
    try:
        request.query_string.decode()
    except UnicodeDecodeError as error:  # of which werkzeug makes nothing
        raise RequestError(400, "query", "The query is not UTF-8; encode names as UTF-8, then as %XX.") from error
    if method == "POST" and request.mimetype != _JSON:
        raise RequestError(415, "content_type", f"The request is not JSON; send it as {_JSON}.")


def read_json(request: wrappers.Request) -> dict[str, Any]:
    """Return the JSON object in a request.

    Raises:
        RequestError: the body is not a JSON object, or too large.
    """
    if request.content_length is None:
        raise RequestError(411, "length", "The request has no Content-Length; send one.")
    if request.content_length > MAX_BODY:
        message = f"The request has {request.content_length:,} bytes, more than {MAX_BODY:,}; choose fewer names."
        raise RequestError(413, "too_large", message)
    try:
        value = json.loads(request.get_data(cache=False))
    except ClientDisconnected as error:
        _LOGGER.warning("tb2csv: a client closed the connection before it had sent all of its request.")
        raise RequestError(400, "incomplete", "The request ended early; send it again.") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "json", "The request cannot be read as JSON; send an object.") from error
    if not isinstance(value, dict):
        raise RequestError(400, "json", "The request is not a JSON object; send one.")
    return value


def answer(request: wrappers.Request, value: Any) -> wrappers.Response:
    """Return an answer in JSON; text must be JSON already."""
    return _json(request, value if isinstance(value, str) else json.dumps(value, allow_nan=False), 200)


def _error(
    request: wrappers.Request, status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None
) -> wrappers.Response:
    text = json.dumps({"error": {"code": code, "message": message}})
    return _json(request, text, status, headers)


def _json(
    request: wrappers.Request, text: str, status: int, headers: list[tuple[str, str]] | None = None
) -> wrappers.Response:
    response: wrappers.Response = http_util.Respond(request, text, _JSON, code=status, headers=headers)
    return response
