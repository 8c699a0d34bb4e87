"""A double of the Export tab's server, in a frame like TensorBoard's: it answers as docs/plugin-api.md describes.

It does what the real server cannot be made to do at will: to queue, to be slow, to break off. What it serves is
the page as it is, under the headers that TensorBoard sends with it.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import operator
import threading
import zipfile
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from tensorboard.backend import http_util
from werkzeug import Request, Response
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelves import Series, Shelf

_ENTRY = 'import("./static/index.js").then((m) => void m.render());'
_MIME = {"js": "text/javascript", "css": "text/css", "woff2": "font/woff2"}
#: Answers as TensorBoard's window does: with null to whatever it is asked.
_HOST = """<!doctype html><html lang="en"><head><title>TensorBoard</title><style>
body { margin: 0 } body.dark-mode { background: #303030 }
header { background: #f57c00; color: #212121; font: 500 20px/64px Roboto, sans-serif; height: 64px; padding: 0 24px }
iframe { border: 0; display: block; height: calc(100vh - 64px); width: 100% }
</style></head><body><header>TensorBoard</header><main><iframe></iframe></main><script>
if (new URLSearchParams(location.search).get("darkMode") === "true") document.body.classList.add("dark-mode");
let port;
window.addEventListener("message", (event) => {
  if (event.data === "experimental.bootstrap") { port = event.ports[0]; port.onmessage = () => {}; }
});
window.reloadData = () => port.postMessage(
  JSON.stringify({ type: "experimental.DataReloaded", id: 1, payload: null, error: null, isReply: false }));
document.querySelector("iframe").src = "data/plugin_entry.html?name=tb2csv";
</script></body></html>"""
#: A notebook has TensorBoard's page in a frame.
_NOTEBOOK = '<!doctype html><title>Notebook</title><iframe src="/" style="width:100%;height:95vh"></iframe>'


_API = "/data/plugin/tb2csv/api"
_ROUTES = Map(
    [
        Rule("/", endpoint="host"),
        Rule("/notebook", endpoint="notebook"),
        Rule("/favicon.ico", endpoint="icon"),
        Rule("/data/plugin_entry.html", endpoint="entry"),
        Rule("/data/runs", endpoint="runs"),
        Rule("/font-roboto/<name>", endpoint="font"),
        Rule("/data/plugin/tb2csv/static/<name>", endpoint="static"),
        *(Rule(f"{_API}/{name}", endpoint=f"api_{name}") for name in ("options", "index", "preview", "plan", "export")),
        *(Rule(f"{_API}/{name}/<token>", endpoint=f"api_{name}") for name in ("status", "cancel", "download")),
    ]
)


def report(**changes: Any) -> dict[str, Any]:
    """Return the report of an export without problems, updated by ``changes``."""
    sound: dict[str, Any] = {
        "values_read": 1234,
        "values_written": 1234,
        "values_filtered": 0,
        "values_undecodable": 0,
        "values_empty": 0,
        "tables": 12,
        "damage": [],
        "undecodable": [],
        "notes": [],
        "damage_count": 0,
        "undecodable_count": 0,
    }
    return sound | changes


@dataclass
class Behaviour:
    """How the double answers from now on."""

    #: State of the index, and how far it is: bytes and all bytes.
    index_state: str = "ready"
    progress: tuple[int, int] | None = None
    #: Refusal of every request except for the page itself: status, code and message.
    refusal: tuple[int, str, str] | None = None
    #: Bytes that may go through the page.
    blob_limit: int = 268_435_456
    damage: int = 0
    notes: list[str] = field(default_factory=list)
    #: What is said of every export; None says what is true of it.
    job_state: str | None = None
    #: Place in the queue; None lets exports run.
    position: int | None = None
    #: Exports go on past their first part while this is set.
    go: threading.Event = field(default_factory=threading.Event)
    #: Why an export fails after its first part.
    failure: str | None = None
    report: dict[str, Any] = field(default_factory=report)


@dataclass
class _Job:
    request: dict[str, Any]
    name: str
    content: bytes
    behaviour: Behaviour
    state: str = "running"

    def stream(self) -> Iterator[bytes]:
        half = len(self.content) // 2
        yield self.content[:half]
        while not self.behaviour.go.wait(0.05):
            if self.state == "cancelled":
                raise ConnectionAbortedError
        if self.behaviour.failure is not None:
            self.state = "failed"
            raise ConnectionAbortedError
        self.state = "sending"
        yield self.content[half:]
        self.state = "sent"

    def status(self) -> dict[str, Any]:
        total = len(self.content)
        answer: dict[str, Any] = {
            "state": self.state,
            "progress": {"bytes": total * 2 // 5, "total": total},
            "bytes": None,
            "report": None,
            "error": None,
        }
        if self.state == "running" and self.behaviour.position is not None:
            answer |= {"state": "queued", "position": self.behaviour.position}
        if self.state in {"sending", "sent"}:
            answer |= {"bytes": total, "report": self.behaviour.report}
        if self.behaviour.job_state is not None:
            answer["state"] = self.behaviour.job_state
        if self.state == "failed":
            answer["error"] = {"code": "failed", "message": self.behaviour.failure}
        return answer


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class ExportDouble:
    """The double; ``requests`` are the bodies of all export requests."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.behaviour = Behaviour()
        self.behaviour.go.set()
        self.jobs: dict[str, _Job] = {}
        self.requests: list[dict[str, Any]] = []
        self.url = ""
        self._version = itertools.count(1)
        self.version = str(next(self._version))

    def change(self) -> None:
        """Give the index a new version: something in it has changed."""
        self.version = str(next(self._version))

    @contextmanager
    def running(self) -> Iterator[ExportDouble]:
        """Serve on a free port of this machine."""
        server = make_server("127.0.0.1", 0, self.application, threaded=True, request_handler=_QuietHandler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/"
        try:
            yield self
        finally:
            self.behaviour.go.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def application(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            endpoint, values = _ROUTES.bind_to_environ(request.environ).match()
        except NotFound:
            return Response(status=404)
        if endpoint.startswith("api_") and self.behaviour.refusal is not None:
            return _refuse(*self.behaviour.refusal)
        answer: Response = operator.methodcaller(f"_{endpoint}", request, **values)(self)
        return answer

    def _host(self, _: Request) -> Response:
        return Response(_HOST, content_type="text/html")

    def _notebook(self, _: Request) -> Response:
        return Response(_NOTEBOOK, content_type="text/html")

    def _icon(self, _: Request) -> Response:
        return Response(status=204)

    def _entry(self, request: Request) -> Response:
        digest = b64encode(hashlib.sha256(_ENTRY.encode()).digest()).decode()
        entry = (
            '<!DOCTYPE html>\n<head><base href="plugin/tb2csv/" /></head>\n'
            f'<body><script type="module">{_ENTRY}</script></body>'
        )
        page: Response = http_util.Respond(request, entry, "text/html", csp_scripts_sha256s=[digest])
        return page

    def _runs(self, _: Request) -> Response:
        return _json(list(dict.fromkeys(series.run for series in self.shelf.series)))

    def _font(self, _: Request, name: str) -> Response:
        with zipfile.ZipFile(str(resources.files("tensorboard") / "webfiles.zip")) as files:
            return Response(files.read(f"font-roboto/{name}"), content_type=_MIME["woff2"])

    def _static(self, _: Request, name: str) -> Response:
        file = resources.files("tb2csv.tensorboard_plugin") / "static" / name
        if not file.is_file():
            return Response(status=404)
        return Response(file.read_bytes(), content_type=_MIME[name.rpartition(".")[2]])

    def _api_options(self, _: Request) -> Response:
        return _json(_options(self.behaviour.blob_limit))

    def _api_index(self, request: Request) -> Response:
        return _json(self._index(request.args.get("known")))

    def _api_plan(self, request: Request) -> Response:
        return _json(self._plan(request.get_json()))

    def _api_status(self, _: Request, token: str) -> Response:
        job = self.jobs.get(token)
        return _json(job.status()) if job else _UNKNOWN

    def _api_cancel(self, _: Request, token: str) -> Response:
        self.jobs[token].state = "cancelled"
        return _json({"state": "cancelled"})

    def _api_download(self, _: Request, token: str) -> Response:
        job = self.jobs[token]
        headers = {"Content-Disposition": f'attachment; filename="{job.name}"'}
        return Response(job.stream(), headers=headers, content_type="application/octet-stream")

    def _index(self, known: str | None) -> dict[str, Any]:
        behaviour = self.behaviour
        if known == self.version and behaviour.index_state == "ready":
            return {"version": self.version, "unchanged": True}
        series = self.shelf.series
        names = {of: list(dict.fromkeys(getattr(each, of) for each in series)) for of in ("run", "tag", "kind")}
        places = {of: {name: place for place, name in enumerate(names[of])} for of in names}
        columns: dict[str, list[int]] = {of: [places[of][getattr(each, of)] for each in series] for of in names}
        for of in ("points", "shown", "first_step", "last_step"):
            columns[of] = [getattr(each, of) for each in series]
        columns["rows"] = columns["points"]
        columns["bytes"] = [40 * points for points in columns["points"]]
        failure = {"code": "unreadable", "message": "The log directory cannot be read; see its permissions."}
        return {
            "version": self.version,
            "state": behaviour.index_state,
            "progress": behaviour.progress and dict(zip(("bytes", "total"), behaviour.progress, strict=True)),
            "error": failure if behaviour.index_state == "failed" else None,
            "runs": names["run"],
            "tags": names["tag"],
            "kinds": names["kind"],
            "series": columns,
            "damage": behaviour.damage,
            "notes": behaviour.notes,
        }

    def _api_preview(self, request: Request) -> Response:
        wanted = [request.args[of] for of in ("run", "tag", "kind")]
        found = [each for each in self.shelf.series if [each.run, each.tag, each.kind] == wanted]
        if not found:
            return _refuse(404, "unknown", "There is no such table; reload the page.")
        columns, rows = self.shelf.rows(found[0])
        few = rows[:: max(1, math.ceil(len(rows) / 300))]
        chart = {"step": [row[columns.index("step")] for row in few], "value": [row[-1] for row in few]}
        return _json(
            dict(zip(("run", "tag", "kind"), wanted, strict=True))
            | {
                "rows": len(rows),
                "columns": columns,
                "first": rows[:5],
                "last": rows[5:][-5:],
                "chart": chart if found[0].kind == "scalars" else None,
                "shown": found[0].shown,
                "points": found[0].points,
            }
        )

    def _chosen(self, wanted: dict[str, Any]) -> list[Series]:
        sets = {of: None if wanted[f"{of}s"] is None else set(wanted[f"{of}s"]) for of in ("run", "tag", "kind")}
        return [
            each
            for each in self.shelf.series
            if all(names is None or getattr(each, of) in names for of, names in sets.items())
        ]

    def _plan(self, wanted: dict[str, Any]) -> dict[str, Any]:
        chosen = self._chosen(wanted)
        rows = sum(each.points for each in chosen)
        flags = "".join(f" --{name} {wanted[name]}" for name in ("layout", "format"))
        runs = "".join(f" --run {run!r}" for run in wanted["runs"] or [])
        command = f"tb2csv convert logs tables{runs}{flags}"
        return {"tables": len(chosen), "rows": rows, "bytes": 40 * rows, "command": command}

    def _api_export(self, request: Request) -> Response:
        wanted = request.get_json()
        chosen = self._chosen(wanted)
        if not wanted["archive"] and wanted["what"] == "tables" and (len(chosen) != 1 or chosen[0].kind == "images"):
            return _refuse(400, "needs_archive", "That is not one table; ask for an archive.")
        self.requests.append(wanted)
        token = f"token-{len(self.requests)}"
        name, content = "tensorboard-tables.zip", io.BytesIO()
        if wanted["what"] == "hparams":
            name, content = "hparams.csv", io.BytesIO(b"run,session_group\n")
        elif wanted["file"] != "zip":
            name = f"logs.{'xlsx' if wanted['file'] == 'xlsx' else wanted['format']}"
            content = io.BytesIO(self._csv(chosen[0]))
        elif wanted["archive"]:
            with zipfile.ZipFile(content, "w") as archive:
                for each in chosen:
                    archive.writestr(f"{each.run}/{each.kind}/{each.tag}.csv", self._csv(each))
        else:
            name, content = f"{chosen[0].tag}.{wanted['format']}".replace("/", "_"), io.BytesIO(self._csv(chosen[0]))
        self.jobs[token] = _Job(wanted, name, content.getvalue(), self.behaviour)
        return _json({"token": token, "name": name})

    def _csv(self, series: Series) -> bytes:
        columns, rows = self.shelf.rows(series)
        return "\n".join(",".join(map(str, row)) for row in [columns, *rows, []]).encode()


def _options(blob_limit: int) -> dict[str, Any]:
    return {
        "files": ["zip", "table", "xlsx"],
        "layouts": ["tree", "tags", "wide", "long", "compare"],
        "formats": ["csv", "csv.gz", "csv.zst", "parquet", "arrow", "jsonl", "jsonl-null"],
        "tensors": ["elements", "wide", "base64", "npy"],
        "times": ["epoch", "iso", "relative"],
        "restarts": ["keep", "purge", "supersede"],
        "blob_limit": blob_limit,
        "version": "0.1.0",
    }


def _json(value: Any) -> Response:
    return Response(json.dumps(value), content_type="application/json")


def _refuse(status: int, code: str, message: str) -> Response:
    return Response(json.dumps({"error": {"code": code, "message": message}}), status, content_type="application/json")


_UNKNOWN = _refuse(404, "unknown", "There is no such export; start it again.")
