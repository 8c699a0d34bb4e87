"""Image files of a figure: PNG, JPEG, SVG, PDF, or a self-contained HTML page."""

from __future__ import annotations

import io
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from tb2csv.analysis.plots.page_file import page_of
from tb2csv.analysis.table_text import TEXT_SUFFIXES
from tb2csv.atomic_files import check_place, whole_file
from tb2csv.errors import OptionError
from tb2csv.messages import advice

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tb2csv.analysis.plots.figure import Sheet

_JPEG_QUALITY: Final = 92


def _jpeg(sheet: Sheet, title: str) -> bytes:
    return _saved(sheet, "jpeg", None, pil_kwargs={"quality": _JPEG_QUALITY, "optimize": True})


def _pdf(sheet: Sheet, title: str) -> bytes:
    # Without the date and the version, equal plots have equal bytes.
    return _saved(sheet, "pdf", {"CreationDate": None, "Creator": None, "Producer": None, "Title": title})


def _png(sheet: Sheet, title: str) -> bytes:
    return _saved(sheet, "png", {"Software": None, "Title": title.encode("latin-1", "replace").decode("latin-1")})


def _svg(sheet: Sheet, title: str) -> bytes:
    # Without the date and the version, equal plots have equal bytes.
    return _saved(sheet, "svg", {"Date": None, "Creator": None, "Title": title})


def _html(sheet: Sheet, title: str) -> bytes:
    drawing = "" if sheet.runs else _svg(sheet, title).decode("utf-8")
    return page_of(sheet, title, drawing[drawing.find("<svg") :].rstrip())


def _saved(sheet: Sheet, form: str, metadata: dict[str, str | None] | None, **more: Any) -> bytes:
    buffer = io.BytesIO()
    sheet.figure.savefig(buffer, format=form, metadata=metadata, **more)
    return buffer.getvalue()


#: Writers by the ending of the file name.
PICTURE_FILES: Final[dict[str, Callable[[Sheet, str], bytes]]] = {
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


def write_picture(sheet: Sheet, out: str | os.PathLike[str], title: str, *, overwrite: bool) -> None:
    """Write a plot in the format of the ending of ``out``; errors as in ``check_picture_file``."""
    check_picture_file(out, overwrite=overwrite)
    if max(sheet.figure.get_size_inches()) * sheet.look.dpi > _MAX_PIXELS:
        fact = f"The picture would be more than {_MAX_PIXELS:,} pixels wide or high"
        raise OptionError(fact, advice("choose less by {}", "width", "height", "dpi"))
    content = PICTURE_FILES[PurePath(out).suffix.lower()](sheet, title)
    with whole_file(out, overwrite=overwrite) as place:
        place.write_bytes(content)
