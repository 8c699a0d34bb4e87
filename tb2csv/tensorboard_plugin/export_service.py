"""Answers to the Export tab: the index, previews, plans and exports. docs/plugin-api.md describes each answer."""

from __future__ import annotations

import atexit
import json
import shutil
import threading
from typing import TYPE_CHECKING, Final

from tb2csv.conversion import convert
from tb2csv.layouts.time_columns import TIME_STYLES
from tb2csv.sinks.private_folder import PRIVATE
from tb2csv.tensorboard_plugin.archive_names import archive_name
from tb2csv.tensorboard_plugin.downloads import download
from tb2csv.tensorboard_plugin.export_folders import ExportFolders
from tb2csv.tensorboard_plugin.export_jobs import ExportJobs
from tb2csv.tensorboard_plugin.export_plan import plan_export
from tb2csv.tensorboard_plugin.export_request import CHOICES, ExportRequest
from tb2csv.tensorboard_plugin.preview import preview_series
from tb2csv.tensorboard_plugin.sampling_limits import SamplingLimits
from tb2csv.tensorboard_plugin.series_index import READY, SeriesIndex
from tb2csv.tensorboard_plugin.single_table import single_table
from tb2csv.tensorboard_plugin.web_api import RequestError, answer, read_json
from tb2csv.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from tensorboard.plugins import base_plugin
    from werkzeug import wrappers

    from tb2csv.report import Report
    from tb2csv.tensorboard_plugin.event_sources import EventSources
    from tb2csv.tensorboard_plugin.export_jobs import ExportJob, Progress
    from tb2csv.tensorboard_plugin.series_index import IndexState

#: Seconds for which a request for the index waits for new data; then it gets the present index.
_TIMEOUT: Final = 0.3
#: The maximum number of bytes in the browser's memory if the page has to fetch a download itself.
_BLOB_LIMIT: Final = 256 << 20
#: Bytes of an event file at once: fewer than on the command line, because TensorBoard needs memory itself.
_CHUNK_SIZE: Final = 4 << 20
#: Previews at the same time.
_PREVIEWS: Final = 2


class ExportService:
    """The service of one TensorBoard process; each method answers the requests of one route."""

    def __init__(self, context: base_plugin.TBContext, sources: EventSources) -> None:
        """Serve the event files of ``sources``; nothing is read yet."""
        self._sources = sources
        self._shown = SamplingLimits(context)
        self._index = SeriesIndex(sources, self._shown)
        folders = ExportFolders([folder.path for folder in sources.folders if not folder.is_remote])
        self._jobs = ExportJobs(folders, sources.hide_paths)
        self._previews = threading.Semaphore(_PREVIEWS)
        atexit.register(self.close)  # Python does not wait for these threads

    def close(self) -> None:
        """End all work, at the end of TensorBoard."""
        self._index.close()
        self._jobs.close()

    def options(self, request: wrappers.Request) -> wrappers.Response:
        """Answer with the choices of an export."""
        return answer(
            request,
            {
                "files": CHOICES["file"],
                "layouts": CHOICES["layout"],
                "formats": CHOICES["format"],
                "tensors": CHOICES["tensors"],
                "times": TIME_STYLES,
                "restarts": CHOICES["restarts"],
                "blob_limit": _BLOB_LIMIT,
                "version": __version__,
            },
        )

    def index(self, request: wrappers.Request) -> wrappers.Response:
        """Answer with the index when new data have been read, or after a short time."""
        if self._sources.is_empty:
            message = "TensorBoard was started without a log directory; start it with --logdir to export."
            raise RequestError(404, "no_logdir", message)
        known = request.args.get("known")
        index = self._index.refresh(known, _TIMEOUT)
        if known == index.version and index.state == READY:
            return answer(request, {"version": index.version, "unchanged": True})
        error = index.error and {"code": index.error[0], "message": index.error[1]}
        about = {
            "version": index.version,
            "state": index.state,
            "progress": {"bytes": index.passed, "total": index.total},
            "error": error,
            "damage": index.damage,
            "notes": index.notes,
        }
        return answer(request, f"{json.dumps(about)[:-1]}, {index.snapshot.json_text}}}")

    def preview(self, request: wrappers.Request) -> wrappers.Response:
        """Answer with the first and last rows of a table."""
        names = {name: request.args.get(name) for name in ("run", "tag", "kind")}
        run_name, tag, kind = names.values()
        if run_name is None or tag is None or kind is None:
            raise RequestError(400, "option", "A preview needs run, tag and kind of one table.")
        index, logdir = self._known(), self._index.logdir
        series = index.snapshot.find(run_name, tag, kind)
        run = next((each for each in logdir.runs if each.name == run_name), None) if logdir else None
        if series is None or run is None:
            raise RequestError(
                404, "no_series", "The index has no series with this run, tag and kind; load the index again."
            )
        with self._previews:
            shown = preview_series(run, series)
        seen = self._shown.of(series.plugin_name, series.points)
        return answer(request, {**names, "rows": series.rows, "points": series.points, "shown": seen, **shown})

    def plan(self, request: wrappers.Request) -> wrappers.Response:
        """Answer with the plan of an export."""
        export = ExportRequest.from_json(read_json(request))
        index = self._known()
        places = export.choose(index.snapshot, is_complete=index.state == READY)
        return answer(request, plan_export(export, index.snapshot, places.tolist(), self._sources))

    def export(self, request: wrappers.Request) -> wrappers.Response:
        """Start an export, and answer with its token."""
        export = ExportRequest.from_json(read_json(request))
        index = self._known()
        places = export.choose(index.snapshot, is_complete=index.state == READY)
        file = export.one_file
        if file:
            file.content.check()
        is_single = not (file or export.archive)
        single = single_table(export, index.snapshot, places.tolist()) if is_single else None

        def convert_into(folder: Path, progress: Progress) -> tuple[Report, Path]:
            logdir = export.logdir(self._sources.find().logdir)
            progress.total = logdir.total_bytes()
            out = folder.with_name(f"export{file.name}") if file else folder
            report = convert(logdir, out, **export.conversion, chunk_size=_CHUNK_SIZE, progress=progress.passed)
            if file:
                return report, out
            # A download cannot be updated, and the ledger has the paths of the server.
            shutil.rmtree(folder / PRIVATE)
            return report, single.find(folder) if single else folder

        name = single.file_name if single else archive_name(export, self._sources)
        job = self._jobs.submit(name, convert_into, is_archive=not (single or file))
        return answer(request, {"token": job.token, "name": job.name})

    def status(self, request: wrappers.Request) -> wrappers.Response:
        """Answer with the status of an export."""
        return answer(request, self._jobs.status(self._job(request)))

    def download(self, request: wrappers.Request) -> wrappers.Response:
        """Send an export."""
        return download(self._jobs, self._job(request), request)

    def cancel(self, request: wrappers.Request) -> wrappers.Response:
        """End an export."""
        job = self._job(request)
        self._jobs.cancel(job)
        return answer(request, {"state": job.state})

    def _known(self) -> IndexState:
        """Return the state of the index.

        Raises:
            RequestError: there is nothing to index.
        """
        index = self._index.refresh(timeout=_TIMEOUT)
        if index.error is not None:
            raise RequestError(404, *index.error)
        return index

    def _job(self, request: wrappers.Request) -> ExportJob:
        return self._jobs.find(request.path.rpartition("/")[2])
