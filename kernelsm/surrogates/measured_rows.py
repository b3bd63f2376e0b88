"""Outcomes without noise: the rows of a table are the truth, and readouts that need no others are read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.repeated_rows import groups_of_rows, merged_rows, rows_agree
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.kernel_functions import IDENTITY
from kernelsm.surrogates.subset_distributions import Anchor, Array, SubsetDistribution

_MOST_TASKS = 30  # 2^30 rows are no table
_CHANCE = 0.01


@dataclass(frozen=True, eq=False)
class MeasuredRows:
    """Distinct subsets whose outcomes are known exactly.

    Parameters
    ----------
    masks : ndarray, shape (m, K)
    values : ndarray, shape (m, q)
    outliers : bool
        Whether some of these outcomes are far from everything else: averages then come from the surrogate, which sets
        them aside; differences of single subsets are read as they are.
    """

    masks: Array
    values: Array
    outliers: bool = False

    @property
    def complete(self) -> bool:
        """Whether all 2^K subsets are there, and none of them is set aside."""
        m, K = self.masks.shape
        return K <= _MOST_TASKS and bool(m == 2**K) and not self.outliers

    def of_targets(self, targets: list[int]) -> MeasuredRows:
        """Return the rows of some targets."""
        return replace(self, values=self.values[:, targets])

    def lookup(self, X: Array) -> tuple[NDArray[np.bool_], Array]:
        """Return which subsets of X, shape (n, K), are measured, and their outcomes (n, q); 0 where they are not."""
        rows = [self._row_of(subset) for subset in X]
        found = np.array([row is not None for row in rows], dtype=bool)
        values = np.zeros((len(X), self.values.shape[1]))
        values[found] = self.values[np.array([row for row in rows if row is not None], dtype=np.intp)]
        return found, values

    def effects(self, distribution: SubsetDistribution) -> tuple[NDArray[np.bool_], Array]:
        """Return which tasks' readouts need measured rows alone, shape (K,), and their values (K, q)."""
        K = self.masks.shape[1]
        if not isinstance(distribution, Anchor):
            if not self.complete:
                return np.zeros(K, dtype=bool), np.zeros((K, self.values.shape[1]))
            return np.ones(K, dtype=bool), IDENTITY.effects(distribution, self.masks).T @ self.values
        at = distribution.at
        flipped = np.abs(np.vstack([at, np.tile(at, (K, 1))]) - np.vstack([np.zeros(K), np.eye(K)]))
        found, values = self.lookup(flipped)
        return found[0] & found[1:], (2 * at - 1)[:, None] * (values[0] - values[1:])

    def pair_effects(self, distribution: SubsetDistribution) -> tuple[NDArray[np.bool_], Array]:
        """Return which pairs' readouts need measured rows alone, shape (K, K), and their values (K, K, q)."""
        K, q = self.masks.shape[1], self.values.shape[1]
        measured, total = np.zeros((K, K), dtype=bool), np.zeros((K, K, q))
        if not isinstance(distribution, Anchor):
            if self.complete:
                measured[:] = True
                total = IDENTITY.pair_sums(distribution, self.masks, self.values)
        elif (row := self._row_of(distribution.at)) is not None:
            sign = 2 * distribution.at - 1
            differing = self.masks != distribution.at
            count = differing.sum(axis=1)
            single = np.full(K, -1)
            single[differing[count == 1].nonzero()[1]] = np.flatnonzero(count == 1)
            for other in np.flatnonzero(count == 2):
                j, k = np.flatnonzero(differing[other])
                if single[j] >= 0 and single[k] >= 0:
                    corners = self.values[row] + self.values[other] - self.values[single[[j, k]]].sum(axis=0)
                    total[j, k] = total[k, j] = sign[j] * sign[k] * corners
                    measured[j, k] = measured[k, j] = True
        np.fill_diagonal(measured, val=False)
        return measured, total

    @cached_property
    def _rows(self) -> Mapping[bytes, int]:
        return {mask.tobytes(): row for row, mask in enumerate(self.masks.astype(np.bool_))}

    def _row_of(self, mask: Array) -> int | None:
        # a subset may be asked for with other numbers than 0 and 1: none of these was measured
        return self._rows.get(mask.astype(np.bool_).tobytes()) if np.isin(mask, (0.0, 1.0)).all() else None


def without_noise(noise: Array | None) -> bool:
    """Whether what is known of the noise is that there is none."""
    return noise is not None and not noise.any()


def distinct_rows(masks: Array, values: Array) -> MeasuredRows:
    """Return each subset once, with the mean of its outcomes, in the order in which they first stand.

    Raises
    ------
    InputError
        Two rows of one subset have different outcomes: they cannot be without noise.
    """
    first, group = groups_of_rows(masks)
    merged, apart = merged_rows(values, group)
    if apart.any():
        row = int(np.flatnonzero(apart.any(axis=1))[0])
        other = int(np.flatnonzero(group == group[row])[0])
        other = int(np.flatnonzero(group == group[row])[1]) if other == row else other
        raise InputError(
            f"noise=0, rows {min(row, other)} and {max(row, other)}",
            "one subset with different outcomes",
            "the same outcome each time a subset is measured without noise",
            "Leave out noise=0: the surrogate estimates the noise.",
        )
    return MeasuredRows(masks[first], merged)


def found_without_noise(masks: Array, values: Array) -> bool:
    """Whether a table of 0/1 masks shows by itself that its outcomes have no noise.

    It does where it holds all 2^K subsets, so that nothing is left to be estimated, and where subsets were measured
    more than once with equal outcomes. Outcomes of few different values may be equal by chance: the rows count if the
    chance that all of them agree is below 1 %, for draws from the table's own outcomes.
    """
    m, K = masks.shape
    if not rows_agree(masks, values):
        return False
    first, _ = groups_of_rows(masks)
    repeats = m - len(first)
    if K <= _MOST_TASKS and len(first) == 2**K:
        return True
    if not repeats:
        return False
    # in the target with the most different outcomes
    chances = [(np.unique(column, return_counts=True)[1] / len(first)) for column in values[first].T]
    least = min(float((chance**2).sum()) for chance in chances)
    return bool(least**repeats < _CHANCE)
