"""How far the difference of two views depends on which subsets were drawn: the jackknife over their rows.

Every row is left out of both fits in turn, in closed form, with kernels and ridges as they are. Where these are given
the jackknife of the differences is all. The default surrogate chooses them by the rows and would choose others by
other rows, which no fit with kept ones shows; its own intervals were made to hold all the same. With it, the
variances v and v' of both effects are those of their intervals, or the jackknife's where that is larger, and the
jackknife says how far both move together: v + v' - 2 ρ √(v v').
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernelsm.evaluation.views import Matched, View, rows_in_common
from kernelsm.surrogates.contrasts import left_out_effects, left_out_pairs
from kernelsm.surrogates.subset_distributions import Array, Indices


@dataclass(frozen=True, eq=False)
class RowsLeftOut:
    """The jackknife of two views whose tables share their subsets, or of which one begins the other.

    Parameters
    ----------
    first, second : View
    tasks : Matched
    """

    first: View
    second: View
    tasks: Matched

    @property
    def chooses(self) -> bool:
        """Whether one of the two chooses kernels and ridges by its rows."""
        return "auto" in (self.first.kernel, self.second.kernel)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the standard deviations."""
        counts = sorted(map(len, self._rows))
        return float(counts[0] - 1 + max(counts[1] - counts[0] - 1, 0))

    def of_effects(self) -> Array:
        """Standard deviations of the differences of effects, shape (n,)."""
        changes, deviations = [], []
        for view, place in self._sides:
            change = left_out_effects(view.surrogate, view.outcomes.masks, view.of_tasks)[:, place, 0]
            read = view.reading.attribution
            changes.append(_of_the_others(change, None if read.measured is None else read.measured[place]))
            deviations.append(np.full(len(place), np.nan) if read.std is None else read.std[place, 0])
        return self._combined(changes, deviations)

    def of_pairs(self, j: Indices, k: Indices) -> Array:
        """The same of the interactions of pairs (j, k) of the matched tasks, shape (P,)."""
        changes, deviations = [], []
        for view, place in self._sides:
            pair = place[j], place[k]
            change = left_out_pairs(view.surrogate, view.outcomes.masks, view.of_pairs, *pair)[:, :, 0]
            read = view.reading.interactions
            changes.append(_of_the_others(change, None if read.measured is None else read.measured[pair]))
            deviations.append(read.std_of(*pair)[:, 0])
        return self._combined(changes, deviations)

    @property
    def _sides(self) -> tuple[tuple[View, Indices], tuple[View, Indices]]:
        return (self.first, self.tasks.first), (self.second, self.tasks.second)

    @cached_property
    def _rows(self) -> tuple[Indices, Indices]:
        """Rows of either table in one order; where one begins the other, it has fewer of them."""
        rows = rows_in_common(self.first, self.second, self.tasks)
        return rows or (np.arange(self.first.outcomes.m), np.arange(self.second.outcomes.m))

    def _combined(self, changes: list[Array], deviations: list[Array]) -> Array:
        first, second = (change[rows] for change, rows in zip(changes, self._rows, strict=True))
        m = min(len(first), len(second))
        shared = first[:m], second[:m]
        # rows of one of the two alone are a stratum of their own
        alone = [_moment(side[m:], side[m:]) if len(side) > m else 0.0 for side in (first, second)]
        covariance = _moment(*shared)
        jackknifed = [_moment(side, side) + more for side, more in zip(shared, alone, strict=True)]
        if not self.chooses:
            return np.asarray(np.sqrt(np.maximum(jackknifed[0] + jackknifed[1] - 2 * covariance, 0.0)))
        size = np.sqrt(jackknifed[0] * jackknifed[1])
        correlation = np.divide(covariance, size, out=np.zeros_like(size), where=size > 0)
        variances = [np.maximum(own**2, spread) for own, spread in zip(deviations, jackknifed, strict=True)]
        together = 2 * correlation * np.sqrt(variances[0] * variances[1])
        return np.asarray(np.sqrt(np.maximum(variances[0] + variances[1] - together, 0.0)))


def _moment(first: Array, second: Array) -> Array:
    """The jackknife's covariance of two statistics, from what leaving out each row changes, shape (n,)."""
    centred = (first - first.mean(axis=0)) * (second - second.mean(axis=0))
    return np.asarray((len(first) - 1) * centred.mean(axis=0))


def _of_the_others(change: Array, measured: NDArray[np.bool_] | None) -> Array:
    """What leaving rows out changes, shape (m, n), but for values read from measured rows: these are known."""
    return change if measured is None else np.where(measured, 0.0, change)
