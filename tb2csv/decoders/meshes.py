"""The content type of mesh tensors (vertices, faces or colors), read from the metadata of the plugin ``mesh``.

Source: tensorboard/plugins/mesh/plugin_data.proto.
"""

from __future__ import annotations

from typing import Final

from tb2csv.decoders.messages import parse_message
from tb2csv.errors import DecodeError

#: The names of MeshPluginData.ContentType by number.
_CONTENT_TYPES: Final = {1: "vertices", 2: "faces", 3: "colors"}


def mesh_content_type(plugin_content: bytes) -> str | None:
    """Return the content type in a tag's plugin content, or None if it is missing."""
    from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData

    try:
        return _CONTENT_TYPES.get(parse_message(MeshPluginData, plugin_content).content_type)
    except DecodeError:
        return None
