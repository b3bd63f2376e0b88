"""How far the difference of two views depends on which subsets were drawn: the jackknife over their rows.

Where kernels and ridges are given, every row is left out of both fits in turn, in closed form. The default surrogate
chooses anew with every table, which moves its effects as well: there, a twelfth of the rows at a time is left out of
both, and both are fitted again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kernelsm.evaluation.views import Matched, View, rows_in_common
from kernelsm.surrogates.base import AttributionKind
from kernelsm.surrogates.contrasts import left_out_effects, left_out_pairs
from kernelsm.surrogates.reading import fit_of_target, pair_readout_of, task_size_of
from kernelsm.surrogates.subset_distributions import Array, Indices

_GROUPS = 12


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
    def chooses_anew(self) -> bool:
        """Whether rows are left out in groups, and both are fitted again."""
        return "auto" in (self.first.kernel, self.second.kernel)

    def of_effects(self) -> tuple[Array, float]:
        """Standard deviations of the differences of effects, shape (n,), and their degrees of freedom."""
        if self.chooses_anew:
            effects, _ = self._refitted
            return _spread(effects)
        changes = []
        for view, place in self._sides:
            change = left_out_effects(view.surrogate, view.outcomes.masks, view.of_tasks)[:, place, 0]
            measured = view.reading.attribution.measured
            changes.append(_of_the_others(change, None if measured is None else measured[place]))
        return self._row_by_row(changes)

    def of_pairs(self, j: Indices, k: Indices) -> tuple[Array, float]:
        """The same of the interactions of pairs (j, k) of the matched tasks, shape (P,)."""
        if self.chooses_anew:
            _, pairs = self._refitted
            return _spread(pairs[:, j, k])
        changes = []
        for view, place in self._sides:
            pair = place[j], place[k]
            change = left_out_pairs(view.surrogate, view.outcomes.masks, view.of_pairs, *pair)[:, :, 0]
            measured = view.reading.interactions.measured
            changes.append(_of_the_others(change, None if measured is None else measured[pair]))
        return self._row_by_row(changes)

    @property
    def _sides(self) -> tuple[tuple[View, Indices], tuple[View, Indices]]:
        return (self.first, self.tasks.first), (self.second, self.tasks.second)

    @cached_property
    def _rows(self) -> tuple[Indices, Indices]:
        """Rows of either table in one order; where one begins the other, it has fewer of them."""
        rows = rows_in_common(self.first, self.second, self.tasks)
        return rows or (np.arange(self.first.outcomes.m), np.arange(self.second.outcomes.m))

    def _row_by_row(self, changes: list[Array]) -> tuple[Array, float]:
        """From what leaving out each row changes in either view; rows of one of the two alone are a stratum."""
        first, second = (change[rows] for change, rows in zip(changes, self._rows, strict=True))
        m = min(len(first), len(second))
        strata = [first[:m] - second[:m], *(change[m:] for change in (first, second) if len(change) > m)]
        variance = np.sum([(len(change) - 1) * change.var(axis=0) for change in strata], axis=0)
        return np.sqrt(variance), float(sum(len(change) - 1 for change in strata))

    @cached_property
    def _refitted(self) -> tuple[Array, Array]:
        """Differences of effects and of interactions without each group of rows, shapes (G, n) and (G, n, n)."""
        m = max(map(len, self._rows))
        group = np.random.default_rng(0).permutation(m) % min(_GROUPS, m)
        effects, pairs = [], []
        for left_out in range(int(group.max()) + 1):
            kept = group != left_out
            both = [
                _read_again(view, place, rows[kept[: len(rows)]])
                for (view, place), rows in zip(self._sides, self._rows, strict=True)
            ]
            effects.append(both[0][0] - both[1][0])
            pairs.append(both[0][1] - both[1][1])
        return np.array(effects), np.array(pairs)


def _read_again(view: View, place: Indices, rows: Indices) -> tuple[Array, Array]:
    """Effects, shape (n,), and interactions, (n, n), of the matched tasks without the other rows of the table.

    What is read from measured rows is known, whichever others there are.
    """
    surrogate = fit_of_target(view.table.take(rows), "", view.kernel, view.gamma, view.ridge)
    size = task_size_of(view.outcomes, view.kind)
    effects = surrogate.attribution(cast(AttributionKind, view.kind), size=size).values[:, 0]
    kind, pair_size = pair_readout_of(view.outcomes, view.kind)
    pairs = surrogate.interactions(kind, size=pair_size).values[:, :, 0]
    full = view.reading
    if (known := full.attribution.measured) is not None:
        effects = np.where(known, full.attribution.values[:, 0], effects)
    if (known := full.interactions.measured) is not None:
        pairs = np.where(known, full.interactions.values[:, :, 0], pairs)
    return effects[place], pairs[np.ix_(place, place)]


def _spread(differences: Array) -> tuple[Array, float]:
    """The jackknife's standard deviation of differences without each group, and its degrees of freedom."""
    groups = len(differences)
    return np.sqrt((groups - 1) * differences.var(axis=0)), float(groups - 1)


def _of_the_others(change: Array, measured: NDArray[np.bool_] | None) -> Array:
    """What leaving rows out changes, shape (m, n), but for values read from measured rows: these are known."""
    return change if measured is None else np.where(measured, 0.0, change)
