"""Requests to the Export tab: the body of one for a plan, or the query of one for a preview after ``?``."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byte_mutations import mutated_bytes
from model_mutations import mutated_json
from plugin_server import API, context_of
from werkzeug.wrappers import Request

from tb2csv.errors import OutputError
from tb2csv.tensorboard_plugin.export_request import CHOICES, ExportRequest
from tb2csv.tensorboard_plugin.loader import ExportLoader
from tb2csv.tensorboard_plugin.web_api import RequestError, read_json

if TYPE_CHECKING:
    import random

    from message_mutations import PlainMutation

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"
#: One input of this number goes through the whole route, the others only through the parser.
_WHOLE = 16


class RequestTarget:
    """The tab of the sample logs."""

    def __init__(self) -> None:
        plugin = ExportLoader().load(context_of(SAMPLE_LOGS))
        self._apps = plugin.get_plugin_apps()
        known = ""
        while True:
            index = json.loads(self._answer("/api/index", "GET", f"known={known}"))
            if index.get("state") == "ready":
                break
            known = index["version"]
        self._index = plugin._served()._known().snapshot
        runs = [self._index.runs[number] for number in self._index.run.tolist()]
        self._series = [(run, each.tag, each.kind) for run, each in zip(runs, self._index.series, strict=True)]

    def seeds(self) -> list[bytes]:
        found: list[dict[str, Any]] = [{}, {"what": "hparams", "archive": False}]
        for run, tag, kind in self._series:
            found.append({"runs": [run], "tags": [tag], "kinds": [kind], "archive": False})
        found += [{name: choice} for name, choices in CHOICES.items() for choice in choices]
        found.append({"runs": None, "tags": None, "time": ["epoch", "iso"], "escape_formulas": False})
        queries = [f"?run={run}&tag={tag}&kind={kind}".encode() for run, tag, kind in self._series[:20]]
        return [json.dumps(each).encode() for each in found] + queries

    def mutate(self, data: bytes, rng: random.Random, plain: PlainMutation) -> bytes:
        if data[:1] != b"?" and rng.random() < 0.7:
            try:
                return mutated_json(data, rng)
            except (ValueError, RecursionError):
                pass
        return plain(data, rng) or mutated_bytes(data, rng)

    def run(self, data: bytes) -> None:
        if data[:1] == b"?":
            self._answer("/api/preview", "GET", data[1:].decode("latin-1"))
            return
        try:
            request = ExportRequest.from_json(read_json(Request(self._environ("/api/plan", "POST", "", data))))
            places = request.choose(self._index, is_complete=True)
            assert request.conversion
            assert set(places.tolist()) <= set(range(len(self._series)))
        except RequestError as error:
            if not 400 <= error.status < 500 or not str(error):
                raise
        except OutputError as error:  # which the route answers as a refusal
            if not str(error):
                raise
        if zlib.crc32(data) % _WHOLE == 0:
            self._answer("/api/plan", "POST", "", data)

    def _answer(self, path: str, method: str, query: str, body: bytes = b"") -> bytes:
        """Return the answer to a request, which is JSON and not an error of the server."""
        statuses: list[str] = []
        environ = self._environ(path, method, query, body)
        found = b"".join(self._apps[path](environ, lambda status, *_: statuses.append(status)))
        assert not statuses[0].startswith("5"), found
        json.loads(found)
        return found

    def _environ(self, path: str, method: str, query: str, body: bytes) -> dict[str, Any]:
        return {
            "REQUEST_METHOD": method,
            "PATH_INFO": API.removesuffix("/api/") + path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": query,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": "localhost",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "6006",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
        }


def make(_: str, __: Path) -> RequestTarget:
    return RequestTarget()
