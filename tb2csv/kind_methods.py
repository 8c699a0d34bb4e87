"""A method for each kind of table, the same for a log directory and for one of its runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tb2csv.runs.row_selection import RowSelection
    from tb2csv.selection import Patterns


class LogMethod(Protocol):
    """The type of these methods of a log directory."""

    @overload
    def __call__(
        self, run: Patterns = ..., tag: Patterns = ..., *, rows: RowSelection | None = ..., lazy: Literal[False] = ...
    ) -> pl.DataFrame: ...
    @overload
    def __call__(
        self, run: Patterns = ..., tag: Patterns = ..., *, rows: RowSelection | None = ..., lazy: Literal[True]
    ) -> pl.LazyFrame: ...


class RunMethod(Protocol):
    """The type of these methods of a run."""

    @overload
    def __call__(
        self, tag: Patterns = ..., *, rows: RowSelection | None = ..., lazy: Literal[False] = ...
    ) -> pl.DataFrame: ...
    @overload
    def __call__(
        self, tag: Patterns = ..., *, rows: RowSelection | None = ..., lazy: Literal[True]
    ) -> pl.LazyFrame: ...


class _Kind(NamedTuple):
    doc: str


def _kind(doc: str) -> Any:
    """Return the declaration of a method with this docstring."""
    return _Kind(doc)


_Method = TypeVar("_Method")


class KindMethods(ABC, Generic[_Method]):
    """The methods of all kinds.

    A subclass defines ``_method_of(kind)``, which returns the function for a kind; it becomes a method with the name
    and the docstring that are declared here.
    """

    scalars: _Method = _kind(
        """Return scalars: ``run, tag, wall_time, step, value``, one row for each value.

        ``value`` has the type that the values have on disk; if types differ, it is float64, which must be exact.

        Args:
            run: which runs; ``log[run].scalars`` does not have this argument.
            tag: which tags.
            rows: which rows, by step and restart.
            lazy: return a LazyFrame, which decodes one value of each tag for its columns, and the rest on ``collect``.

        Raises:
            Tb2csvError: nothing matches, or no type holds all values exactly.
            LogdirError: a file is gone since it was read.
        """
    )
    histograms: _Method = _kind(
        """Return histograms: ``run, tag, wall_time, step, bucket, left, right, count``, one row for each bucket.

        Arguments and errors are those of ``scalars``.
        """
    )
    tensors: _Method = _kind(
        """Return tensors: ``run, tag, wall_time, step, i0 … ik, value``, one row for each element.

        A tensor of a lower rank has null in the index columns that it lacks. Arguments and errors are those of
        ``scalars``.
        """
    )
    text: _Method = _kind(
        """Return texts: ``run, tag, wall_time, step``, indices of arrays, and ``text``.

        Arguments and errors are those of ``scalars``.
        """
    )
    images: _Method = _kind(
        """Return images, one row for each, with the encoded file as ``data``.

        Arguments and errors are those of ``scalars``.
        """
    )
    audio: _Method = _kind(
        """Return audio clips, one row for each, with the encoded file as ``data``.

        Arguments and errors are those of ``scalars``.
        """
    )
    graphs: _Method = _kind(
        """Return graphs, one row for each node.

        Arguments and errors are those of ``scalars``.
        """
    )
    pr_curves: _Method = _kind(
        """Return precision-recall curves, one row for each threshold.

        Arguments and errors are those of ``scalars``.
        """
    )
    custom_scalars: _Method = _kind(
        """Return the layouts of custom scalars, one row for each line of a chart.

        The column of its tags is ``custom_scalars:tag``, because ``tag`` is the tag of the layout.
        Arguments and errors are those of ``scalars``.
        """
    )
    meshes: _Method = _kind(
        """Return meshes, one row for each number of vertices, faces and colors.

        Arguments and errors are those of ``scalars``.
        """
    )
    blobs: _Method = _kind(
        """Return strings and bytes of other plugins, one row for each element.

        Arguments and errors are those of ``scalars``.
        """
    )

    def __init_subclass__(cls) -> None:
        """Give the subclass its methods."""
        super().__init_subclass__()
        for kind, declared in vars(KindMethods).items():
            if isinstance(declared, _Kind):
                method = cls._method_of(kind)
                method.__name__ = kind
                method.__qualname__ = f"{cls.__qualname__}.{kind}"
                method.__doc__ = declared.doc
                setattr(cls, kind, method)

    @staticmethod
    @abstractmethod
    def _method_of(kind: str) -> Callable[..., pl.DataFrame | pl.LazyFrame]:
        """Return the method for a kind."""


#: The kinds that have a method.
METHOD_KINDS: Final = tuple(kind for kind, declared in vars(KindMethods).items() if isinstance(declared, _Kind))
