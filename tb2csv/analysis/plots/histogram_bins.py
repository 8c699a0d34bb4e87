"""Redistribution of histograms of one tag into common bins, so that they can be compared.

Writers choose new buckets for each histogram. The count of a bucket is distributed over the bins that it overlaps, as
if its values were spread evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tb2csv.late_modules import np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

#: From this on, the outer limit of a legacy histogram's first or last bucket means infinity.
_INFINITE_LIMIT: Final = 1e300
#: The number of buckets distributed at once; each takes a row with a number for each bin.
_BUCKETS_PER_BLOCK: Final = 20_000


@dataclass(slots=True)
class Histograms:
    """The buckets of several histograms: for each bucket the index of its histogram, its limits and its count."""

    number: npt.NDArray[np.int64]
    left: Numbers
    right: Numbers
    count: Numbers

    @classmethod
    def from_buckets(cls, number: npt.NDArray[np.int64], left: Numbers, right: Numbers, count: Numbers) -> Histograms:
        """Keep buckets that are not empty and have an index of 0 or more; an infinite limit becomes the other limit."""
        is_open = np.abs(left) >= _INFINITE_LIMIT
        left, right = np.where(is_open, right, left), np.where(np.abs(right) >= _INFINITE_LIMIT, left, right)
        keep = (number >= 0) & (count > 0) & (np.abs(left) < _INFINITE_LIMIT) & (np.abs(right) < _INFINITE_LIMIT)
        return cls(number[keep], left[keep], right[keep], count[keep])

    def chosen(self, numbers: npt.NDArray[np.int64]) -> Histograms:
        """Return the histograms with these sorted indices, numbered from 0."""
        index = np.searchsorted(numbers, self.number)
        keep = numbers[np.minimum(index, len(numbers) - 1)] == self.number
        return Histograms(index[keep], self.left[keep], self.right[keep], self.count[keep])

    def edges(self, bins: int) -> Numbers | None:
        """Return the edges of bins of equal width over the range of all values; None if there are no values."""
        if not self.count.size:
            return None
        low, high = self.left.min(), self.right.max()
        if low == high:
            margin = abs(low) / 10 or 0.5
            low, high = low - margin, high + margin
        return np.linspace(low, high, bins + 1)

    def shares(self, edges: Numbers, histograms: int) -> Numbers:
        """Return the fraction of each histogram's values in each bin, [histograms, bins].

        Rows add up to 1, or to 0 if a histogram is empty.
        """
        below = np.zeros((histograms, len(edges)))
        for start in range(0, len(self.number), _BUCKETS_PER_BLOCK):
            part = slice(start, start + _BUCKETS_PER_BLOCK)
            np.add.at(below, self.number[part], self._counts_below(part, edges))
        counts = np.diff(below, axis=1)
        totals = counts.sum(axis=1, keepdims=True)
        np.divide(counts, totals, out=counts, where=totals > 0)
        return counts

    def _counts_below(self, part: slice, edges: Numbers) -> Numbers:
        """Return the number of values of each bucket below each edge."""
        left, right = self.left[part, None], self.right[part, None]
        width = right - left
        share = np.zeros((len(left), len(edges)))
        with np.errstate(over="ignore"):  # far above a narrow bucket is above it
            np.divide(edges - left, width, out=share, where=width > 0)
        share = np.clip(share, 0, 1)
        # A bucket without width is below an edge or not; below the last edge, all are.
        share = np.where(width > 0, share, edges > left)
        share[:, -1] = 1
        return share * self.count[part, None]
