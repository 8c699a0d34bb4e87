"""Images and audio: the stored bytes become files, unchanged, with one row per file. Plugins ``images`` and ``audio``.

Sources: tensorboard/plugins/image/summary_v2.py and audio/summary_v2.py for tensors, summary.proto for legacy values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tb2csv.decoders.messages import parse_message
from tb2csv.decoders.per_value import Decoded, decode_one_by_one, read_strings
from tb2csv.decoders.protocol import Decoder
from tb2csv.decoders.tensor_batches import read_tensor
from tb2csv.errors import DecodeError
from tb2csv.event_files.values import ValueKind
from tb2csv.late_modules import pl
from tb2csv.tensor_protos import is_string

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tb2csv.decoders.decode_options import DecodeOptions
    from tb2csv.decoders.protocol import TablePart, Undecodable, Values
    from tb2csv.event_files.values import ValueSchema

#: The first bytes of media files, because writers store no name: (offset, bytes, ending).
_SIGNATURES: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"GIF8", "gif"),
    (0, b"BM", "bmp"),
    (8, b"WEBP", "webp"),
    (8, b"WAVE", "wav"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
)


def file_ending(data: bytes) -> str:
    """Return the usual ending of a media file with these first bytes; ``bin`` if they are unknown."""
    for offset, signature, ending in _SIGNATURES:
        if data.startswith(signature, offset):
            return ending
    return "bin"


class ImageDecoder(Decoder):
    """``wall_time, step, index, width, height, path``: one row for each image of a value."""

    kind = "images"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Take legacy images and string tensors ``[width, height, image, …]``."""
        return "images" if schema.kind == ValueKind.IMAGE or is_string(schema.dtype) else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of all values."""
        schema = {"index": pl.Int64, "width": pl.Int64, "height": pl.Int64, "path": pl.String}
        return decode_one_by_one(values, schema, _decode_image)


def _decode_image(values: Values, row: int) -> Decoded:
    if values.schema(row).kind == ValueKind.IMAGE:
        from tensorboard.compat.proto.summary_pb2 import Summary

        legacy = parse_message(Summary.Image, values.payload(row))
        width, height, images = legacy.width, legacy.height, [legacy.encoded_image_string]
    else:
        strings = read_strings(values, row)
        try:
            width, height = (int(size) for size in strings[:2])
        except ValueError as error:
            detail = f"an image's width and height are not numbers: {error}"
            raise DecodeError(detail) from error
        images = strings[2:]
    names = _names(values, row, images)
    rows = [(index, width, height, name) for index, name in enumerate(names)]
    return Decoded(rows, dict(zip(names, images, strict=True)))


class AudioDecoder(Decoder):
    """``wall_time, step, index, label, …, path``: one row for each clip of a value.

    Legacy values store ``sample_rate``, ``num_channels``, ``length_frames`` and ``content_type`` in addition to the
    clip; in other values only the clip itself contains them.
    """

    kind = "audio"

    def signature(self, schema: ValueSchema, options: DecodeOptions) -> str | None:
        """Take legacy audio and string tensors ``[k, 2]`` of clip and label, or ``[k]`` of clips."""
        return "audio" if schema.kind == ValueKind.AUDIO or is_string(schema.dtype) else None

    def decode(self, values: Values) -> Iterator[TablePart | Undecodable]:
        """Yield the rows of all values."""
        schema = {
            "index": pl.Int64,
            "label": pl.String,
            "sample_rate": pl.Float32,
            "num_channels": pl.Int64,
            "length_frames": pl.Int64,
            "content_type": pl.String,
            "path": pl.String,
        }
        return decode_one_by_one(values, schema, _decode_audio)


def _decode_audio(values: Values, row: int) -> Decoded:
    if values.schema(row).kind == ValueKind.AUDIO:
        from tensorboard.compat.proto.summary_pb2 import Summary

        legacy = parse_message(Summary.Audio, values.payload(row))
        clips, labels = [legacy.encoded_audio_string], [None]
        stored = (legacy.sample_rate, legacy.num_channels, legacy.length_frames, legacy.content_type)
    else:
        array = read_tensor(values, row)
        if array.dtype != object or array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] != 2):
            detail = f"audio is a {array.dtype} tensor of shape {list(array.shape)}, not pairs of clip and label"
            raise DecodeError(detail)
        clips = list(array) if array.ndim == 1 else list(array[:, 0])
        labels = [None] * len(clips) if array.ndim == 1 else [label.decode("utf-8", "replace") for label in array[:, 1]]
        stored = (None, None, None, None)
    names = _names(values, row, clips)
    rows = [(index, label, *stored, name) for index, (label, name) in enumerate(zip(labels, names, strict=True))]
    return Decoded(rows, dict(zip(names, clips, strict=True)))


def _names(values: Values, row: int, contents: list[bytes]) -> list[str]:
    return [f"{values.ordinal[row]:06d}_{index}.{file_ending(data)}" for index, data in enumerate(contents)]
