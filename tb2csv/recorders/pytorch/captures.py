"""Captures: the parts of one tensor that are recorded at one step, taken on its device and written later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from tb2csv.recorders.histograms import BUCKETS, histogram_buckets, histograms
from tb2csv.recorders.pytorch.host_arrays import host_array, host_arrays, is_real, obstacle
from tb2csv.recorders.pytorch.host_numbers import host_pieces, on_host
from tb2csv.recorders.pytorch.tensor_numbers import Reduced, fetched, reduced
from tb2csv.recorders.recording_plan import RecordingPlan, due

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tb2csv.recorders.event_writer import EventWriter


_LARGE: Final = 1e300


@dataclass(slots=True)
class Capture:
    """A tensor as far as it is recorded at a step: its elements, its histogram, its statistics."""

    plan: RecordingPlan
    values: torch.Tensor | None = None
    #: [BUCKETS, 3], or the elements if the device cannot count them.
    histogram: torch.Tensor | npt.NDArray[np.float64] | None = None
    numbers: Reduced | None = None
    #: Why nothing is recorded of it.
    omission: str | None = None


def capture(plan: RecordingPlan, step: int, tensor: torch.Tensor, *, is_measured: bool = False) -> Capture:
    """Take from a tensor what is due at a step, and statistics if ``is_measured``. The tensor may change afterwards."""
    return captures(plan, step, [tensor], is_measured=is_measured)[0]


def captures(
    plan: RecordingPlan, step: int, tensors: Sequence[torch.Tensor], *, is_measured: bool = False
) -> list[Capture]:
    """Take the same from several tensors, which costs less than from one after the other."""
    is_measured = is_measured or due(step, plan.statistics)
    tensors = [tensor.detach() for tensor in tensors]
    taken: list[Capture] = []
    for tensor in tensors:
        each = Capture(plan, omission=obstacle(tensor))
        taken.append(each)
        if each.omission is None:
            each.values = tensor.clone() if due(step, plan.tensors) else None
            each.numbers = reduced(tensor) if is_measured and is_real(tensor) else None
    if due(step, plan.histograms):
        pairs = zip(taken, tensors, strict=True)
        real = [(each, _strided(tensor)) for each, tensor in pairs if each.omission is None and is_real(tensor)]
        on_hosts = [(each, host_pieces(tensor)) for each, tensor in real if on_host(tensor)]
        for (each, _), buckets in zip(on_hosts, histograms([pieces for _, pieces in on_hosts]), strict=True):
            each.histogram = buckets
        for each, tensor in real:
            if not on_host(tensor):
                each.histogram = _device_histogram(tensor)
    return taken


def _strided(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _device_histogram(tensor: torch.Tensor) -> torch.Tensor:
    """Return a histogram as the recorders write it, or a copy of the tensor if that needs a look at its elements."""
    elements = tensor.reshape(-1).double()
    if not elements.numel():
        return elements
    smallest, largest = elements.aminmax()
    # histc multiplies the distance between the extrema, which may be more than a float64 holds.
    factor = torch.where(torch.maximum(-smallest, largest) > _LARGE, 1 / 64, 1.0)
    elements, smallest, largest = elements * factor, smallest * factor, largest * factor
    edges = smallest + (largest - smallest) * _fractions(elements.device)
    edges[-1] = largest
    edges = edges / factor
    try:
        counts = torch.histc(elements, BUCKETS)
    except RuntimeError:  # an element is NaN or infinite
        return elements / factor
    # Equal elements are all in the last bucket; histc makes the range wider.
    counts = torch.where(smallest == largest, _last(elements), counts)
    return torch.stack([edges[:-1], edges[1:], counts], dim=1)


def _fractions(device: torch.device) -> torch.Tensor:
    return torch.linspace(0, 1, BUCKETS + 1, dtype=torch.float64, device=device)


def _last(elements: torch.Tensor) -> torch.Tensor:
    counts = torch.zeros(BUCKETS, dtype=torch.float64, device=elements.device)
    counts[-1] = elements.numel()
    return counts


def write_captures(log: EventWriter, step: int, named: Sequence[tuple[str, Capture]], wall_time: float) -> None:
    """Write captures of a step by the names of what they are of, with one transfer of all statistics."""
    for name, each in named:
        if each.omission is not None:
            log.omit(f"{each.plan.family}/{name}", each.omission)
        if each.values is not None:
            array, dtype = host_array(each.values)
            log.tensor(step, f"{each.plan.family}/{name}", array, wall_time=wall_time, dtype=dtype)
    counted = [(name, each.plan, each.histogram) for name, each in named if each.histogram is not None]
    tags = [f"{plan.family}/{name}/histogram" for name, plan, _ in counted]
    log.histogram_row(tags, step, _fetched_histograms([histogram for _, _, histogram in counted]), wall_time)
    measured = [(name, each.plan, each.numbers) for name, each in named if each.numbers is not None]
    statistics = fetched([numbers for _, _, numbers in measured])
    plans: dict[RecordingPlan, list[int]] = {}
    for number, (_, plan, _) in enumerate(measured):
        plans.setdefault(plan, []).append(number)
    for plan, rows in plans.items():
        names = [measured[row][0] for row in rows]
        plan.write_statistics(log, [step], names, statistics[np.newaxis, rows], [wall_time])


def _fetched_histograms(every: Sequence[torch.Tensor | npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return histograms as [n, BUCKETS, 3], with one transfer from each device of all that it could count."""
    counted = [each for each in every if isinstance(each, torch.Tensor) and each.ndim == 2]
    transferred = iter(host_arrays(counted))
    buckets = np.empty((len(every), BUCKETS, 3))
    for place, each in enumerate(every):
        if not isinstance(each, torch.Tensor):
            buckets[place] = each
        elif each.ndim == 2:
            buckets[place] = next(transferred).array
        else:
            buckets[place] = histogram_buckets(host_array(each).array)
    return buckets
