"""Metrics of a batch or an epoch, which may be of any type, as scalars and tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tb2csv.recorders.log_values import UnrecordableError, recordable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tb2csv.recorders.event_writer import EventWriter


def write_metrics(log: EventWriter, unit: str, step: int, values: Mapping[str, Any], wall_time: float) -> None:
    """Write values as ``<unit>/<name>``: numbers as scalars, arrays as tensors; others are omitted and counted.

    If ``unit`` is empty, the tags are the names.
    """
    scalars = {}
    for name, value in values.items():
        tag = f"{unit}/{name}" if unit else name
        try:
            tag.encode()
            array = recordable(value)
        except UnicodeEncodeError:
            log.omit(ascii(tag), "its name is not valid Unicode")
        except UnrecordableError as error:
            log.omit(tag, str(error))
        else:
            if array.ndim:
                log.tensor(step, tag, array, wall_time=wall_time)
            else:
                scalars[tag] = float(array)
    log.scalars(step, scalars, wall_time=wall_time)
