"""Decoders by plugin name, which turn undecoded values into tables.

A new plugin needs a module here and a line in DECODERS. An external package registers a Decoder as an entry point in
the group ``tb2csv.decoders``, with the name of the plugin.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from tb2csv.decoders.custom_scalars import CustomScalarDecoder
from tb2csv.decoders.decode_options import DecodeOptions
from tb2csv.decoders.graphs import GraphDecoder
from tb2csv.decoders.histograms import HistogramDecoder
from tb2csv.decoders.hparams import HparamDecoder
from tb2csv.decoders.media import AudioDecoder, ImageDecoder
from tb2csv.decoders.pr_curves import PrCurveDecoder
from tb2csv.decoders.protocol import Decoder, StoredFile, TablePart, Undecodable, Values
from tb2csv.decoders.scalars import ScalarDecoder
from tb2csv.decoders.strings import BlobDecoder, TextDecoder, is_text
from tb2csv.decoders.tensors import TensorDecoder
from tb2csv.errors import OutputError
from tb2csv.late_modules import load_polars
from tb2csv.messages import Option, advice
from tb2csv.tensor_protos import is_string

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from tb2csv.event_files.values import ValueSchema

__all__ = [
    "DECODERS",
    "DecodeOptions",
    "Decoder",
    "StoredFile",
    "TablePart",
    "Undecodable",
    "Values",
    "choose_decoder",
    "decoder_name",
    "decoder_of_name",
]

#: The decoder of each plugin, by its name in the metadata; "" is for values without a plugin.
#: Names from tensorboard/plugins/*/metadata.py.
DECODERS: Final[dict[str, Decoder]] = {
    "": ScalarDecoder(),
    "scalars": ScalarDecoder(any_rank=True),
    "histograms": HistogramDecoder(),
    "text": TextDecoder(),
    "images": ImageDecoder(),
    "audio": AudioDecoder(),
    "pr_curves": PrCurveDecoder(),
    "hparams": HparamDecoder(),
    "custom_scalars": CustomScalarDecoder(),
    "mesh": TensorDecoder("meshes"),
    "graphs": GraphDecoder("graph_def"),
    "graph_run_metadata": GraphDecoder("run_metadata"),
    "graph_run_metadata_graph": GraphDecoder("run_metadata"),
    "graph_tagged_run_metadata": GraphDecoder("run_metadata"),
    "graph_keras_model": GraphDecoder("keras_model"),
}

#: The decoders for values that the plugin's own decoder does not take, and for unknown plugins.
FALLBACKS: Final[tuple[Decoder, ...]] = (TensorDecoder(), BlobDecoder())


#: The fallbacks by name; no plugin has such a name.
_FALLBACKS_BY_KIND: Final = {f"any:{decoder.kind}": decoder for decoder in FALLBACKS}


def choose_decoder(
    plugin_name: str, schema: ValueSchema, options: DecodeOptions, first_value: Callable[[], Values]
) -> tuple[Decoder, str]:
    """Return the decoder for values of this schema, and their signature.

    ``first_value`` returns the first of the values: strings without a plugin are text if they are UTF-8 there.
    """
    own = DECODERS.get(plugin_name)
    if not plugin_name and is_string(schema.dtype) and is_text(first_value()):
        own = DECODERS["text"]
    if own is None and plugin_name in _entry_points():
        own = _installed_decoder(plugin_name)
    for decoder in (own, *FALLBACKS) if own else FALLBACKS:
        signature = decoder.signature(schema, options)
        if signature is not None:
            return decoder, signature
    message = f"no decoder takes a {schema.kind.name}"  # the last one takes everything
    raise AssertionError(message)


def decoder_name(decoder: Decoder) -> str:
    """Return the name of a decoder, which ``decoder_of_name`` accepts."""
    for name, known in (DECODERS | _FALLBACKS_BY_KIND).items():
        if known is decoder:
            return name
    return next(name for name in _entry_points() if _installed_decoder(name) is decoder)


def decoder_of_name(name: str) -> Decoder:
    """Return the decoder of a name from ``decoder_name``.

    Raises:
        OutputError: the package that contained the decoder is no longer installed.
    """
    known = (DECODERS | _FALLBACKS_BY_KIND).get(name)
    if known:
        return known
    if name not in _entry_points():
        raise OutputError(
            f"The tables have values of the plugin {name!r}, whose decoder is no longer installed",
            advice("install its package again"),
            advice("{} to convert everything anew", Option("overwrite", value=True)),
        )
    return _installed_decoder(name)


@functools.cache
def _entry_points() -> dict[str, EntryPoint]:
    """Return the installed decoders by plugin name; the search is slow, so it runs once."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group="tb2csv.decoders"):
        found.setdefault(entry_point.name, entry_point)
    return found


@functools.cache
def _installed_decoder(plugin_name: str) -> Decoder:
    """Load an installed decoder, when the first value of its plugin is found."""
    load_polars()  # it may use polars in several threads at once
    decoder: Decoder = _entry_points()[plugin_name].load()
    return decoder
