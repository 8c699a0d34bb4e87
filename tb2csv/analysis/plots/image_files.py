"""Image files of a figure: PNG, JPEG, SVG, PDF, or a self-contained HTML page."""

from __future__ import annotations

import io
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.table_text import TEXT_SUFFIXES
from tb2csv.atomic_files import check_place, whole_file
from tb2csv.errors import OptionError
from tb2csv.messages import advice

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

_JPEG_QUALITY: Final = 92
#: The opacity of a line while the pointer is on another one.
_DIMMED: Final = 0.1

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ margin: 0; background: {background}; }}
svg {{ display: block; margin: 0 auto; width: 100%; max-width: {width}px; height: auto; }}
[data-run] {{ transition: opacity 0.1s; }}
svg.pointed [data-run]:not(.pointed) {{ opacity: {dimmed}; }}
</style>
</head>
<body>
{svg}
<script>
// Highlight the lines of the run under the pointer; the ids of a run's lines share a prefix.
const svg = document.querySelector("svg");
for (const each of svg.querySelectorAll('[id^="run-"]')) {{
  each.dataset.run = each.id.split("-")[1];
  each.addEventListener("pointerenter", () => point(each.dataset.run));
  each.addEventListener("pointerleave", () => point(null));
}}
function point(run) {{
  svg.classList.toggle("pointed", run !== null);
  for (const each of svg.querySelectorAll("[data-run]")) each.classList.toggle("pointed", each.dataset.run === run);
}}
</script>
</body>
</html>
"""


def _jpeg(figure: Any, title: str) -> bytes:
    return _saved(figure, "jpeg", None, pil_kwargs={"quality": _JPEG_QUALITY, "optimize": True})


def _pdf(figure: Any, title: str) -> bytes:
    # Without the date and the version, equal plots have equal bytes.
    return _saved(figure, "pdf", {"CreationDate": None, "Creator": None, "Producer": None, "Title": title})


def _png(figure: Any, title: str) -> bytes:
    return _saved(figure, "png", {"Software": None, "Title": title.encode("latin-1", "replace").decode("latin-1")})


def _svg(figure: Any, title: str) -> bytes:
    # Without the date and the version, equal plots have equal bytes.
    return _saved(figure, "svg", {"Date": None, "Creator": None, "Title": title})


def _html(figure: Any, title: str) -> bytes:
    import html

    from matplotlib.colors import to_hex

    drawing = _svg(figure, title).decode("utf-8")
    drawing = drawing[drawing.index("<svg") :].rstrip()
    width = round(figure.get_figwidth() * 110)
    background = to_hex(figure.get_facecolor())
    page = _PAGE.format(title=html.escape(title), svg=drawing, width=width, background=background, dimmed=_DIMMED)
    return page.encode("utf-8")


def _saved(figure: Any, form: str, metadata: dict[str, str | None] | None, **more: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata=metadata, **more)
    return buffer.getvalue()


#: Writers by the ending of the file name.
PICTURE_FILES: Final[dict[str, Callable[[Any, str], bytes]]] = {
    ".png": _png,
    ".svg": _svg,
    ".pdf": _pdf,
    ".html": _html,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
}

#: The maximum width and height of a picture in pixels; matplotlib draws no larger ones.
_MAX_PIXELS: Final = 32_000


def check_picture_file(out: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise OptionError if the ending is unknown, and OutputError if a file must not be written there."""
    if PurePath(out).suffix.lower() not in PICTURE_FILES:
        message = f"{out} has an unknown ending; choose from {', '.join((*PICTURE_FILES, *TEXT_SUFFIXES))}."
        raise OptionError(message)
    check_place(out, overwrite=overwrite)


def write_picture(figure: Any, out: str | os.PathLike[str], title: str, *, overwrite: bool) -> None:
    """Write a matplotlib figure in the format of the ending of ``out``; errors as in ``check_picture_file``."""
    check_picture_file(out, overwrite=overwrite)
    if max(figure.get_size_inches()) * figure.get_dpi() > _MAX_PIXELS:
        fact = f"The picture would be more than {_MAX_PIXELS:,} pixels wide or high"
        raise OptionError(fact, advice("choose less by {}", "width", "height", "dpi"))
    content = PICTURE_FILES[PurePath(out).suffix.lower()](figure, title)
    with whole_file(out, overwrite=overwrite) as place:
        place.write_bytes(content)
