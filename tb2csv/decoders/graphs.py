"""Graphs: one row per node, and the message as a file. Events with a graph, and the plugins ``graph_…``.

Sources: tensorboard/plugins/graph/metadata.py and keras_util.py; graph.proto, config.proto, meta_graph.proto.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tb2csv.decoders.messages import parse_message
from tb2csv.decoders.per_value import Decoded, decode_one_by_one, read_strings
from tb2csv.decoders.protocol import Decoder
from tb2csv.errors import DecodeError
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import pl
from tb2csv.tensor_protos import is_string

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import TablePart, Undecodable, Values
    from tb2csv.event_files.values import ValueSchema

_EVENT_KINDS: Final = (ValueKind.GRAPH_DEF, ValueKind.META_GRAPH_DEF, ValueKind.RUN_METADATA)

#: The part of the nodes: ``<tag>.nodes.csv``.
NODES_PART: Final = "nodes"

_Node = tuple[str, str, str | None, str | None]


class GraphDecoder(Decoder):
    """``wall_time, step, name, op, device, inputs``: one row for each node; ``inputs`` are separated by spaces."""

    kind = "graphs"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Return the format of a graph event or a string tensor: several plugins may write one tag."""
        if schema.kind in _EVENT_FORMATS:
            return _EVENT_FORMATS[schema.kind]
        return self._format if is_string(schema.dtype) else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of all values."""
        schema = dict.fromkeys(("name", "op", "device", "inputs"), pl.String)
        return decode_one_by_one(values, schema, self._decode, NODES_PART)

    def __init__(self, format_name: str) -> None:
        """Decode string tensors as messages of this format, a key of ``_FORMATS``."""
        self._format = format_name

    def _decode(self, values: Values, row: int) -> Decoded:
        format_name = _EVENT_FORMATS.get(values.schema(row).kind, self._format)
        stored = [bytes(values.payload(row))] if values.schema(row).kind in _EVENT_KINDS else read_strings(values, row)
        nodes: list[_Node] = []
        files = {}
        for index, data in enumerate(stored):
            nodes += _FORMATS[format_name](data)
            ending = "json" if format_name == "keras_model" else "pb"
            files[f"{values.ordinal[row]:06d}_{index}.{ending}"] = data
        return Decoded(nodes, files)


def _graph_def(data: bytes) -> list[_Node]:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    return _nodes([parse_message(GraphDef, data)])


def _meta_graph_def(data: bytes) -> list[_Node]:
    from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

    return _nodes([parse_message(MetaGraphDef, data).graph_def])


def _run_metadata(data: bytes) -> list[_Node]:
    from tensorboard.compat.proto.config_pb2 import RunMetadata

    message = parse_message(RunMetadata, data)
    return _nodes(message.partition_graphs) + _nodes(
        graph for function in message.function_graphs for graph in [function.pre_optimization_graph]
    )


def _keras_model(data: bytes) -> list[_Node]:
    try:
        return list(_keras_layers(json.loads(data), ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        detail = f"the {len(data)} bytes are not a Keras model in JSON: {error!r}"
        raise DecodeError(detail) from error


def _keras_layers(model: dict[str, Any], scope: str) -> Iterator[_Node]:
    """Yield the layers of a model; layers of a nested model are named ``<model>/<layer>``."""
    previous = ""
    for layer in model["config"]["layers"]:
        config = layer["config"]
        name = scope + str(config.get("name", layer.get("name", "")))
        inputs = [scope + each for each in _keras_inputs(layer.get("inbound_nodes", []))]
        if not inputs and previous and model["class_name"] == "Sequential":
            inputs = [previous]  # a Sequential model does not store its inputs
        yield name, str(layer["class_name"]), None, " ".join(inputs) or None
        if isinstance(config.get("layers"), list):
            yield from _keras_layers(layer, f"{name}/")
        previous = name


def _keras_inputs(inbound: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs are a layer's inputs.

    Keras 3 nests a tensor's ``keras_history`` in the arguments of a call; Keras 2 lists ``[layer, node, tensor, …]``.
    """
    if isinstance(inbound, dict):
        if "keras_history" in inbound:
            yield str(inbound["keras_history"][0])
        else:
            for item in inbound.values():
                yield from _keras_inputs(item)
    elif isinstance(inbound, list):
        if len(inbound) > 2 and isinstance(inbound[0], str) and isinstance(inbound[1], int):
            yield inbound[0]
        else:
            for item in inbound:
                yield from _keras_inputs(item)


#: The function that returns the nodes of a message, by its format.
_FORMATS: Final[dict[str, Callable[[bytes], list[_Node]]]] = {
    "graph_def": _graph_def,
    "meta_graph_def": _meta_graph_def,
    "run_metadata": _run_metadata,
    "keras_model": _keras_model,
}
_EVENT_FORMATS: Final = {
    ValueKind.GRAPH_DEF: "graph_def",
    ValueKind.META_GRAPH_DEF: "meta_graph_def",
    ValueKind.RUN_METADATA: "run_metadata",
}


def _nodes(graphs: Iterable[Any]) -> list[_Node]:
    return [
        (node.name, node.op, node.device or None, " ".join(node.input) or None)
        for graph in graphs
        for node in graph.node
    ]
