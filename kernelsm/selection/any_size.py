"""The subset of any size with the best predicted outcome, where each task that stays may cost something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.near_ties import first_least, rising, tolerance_of
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.results import interval_quantile

Mask = NDArray[np.bool_]
Masks = NDArray[np.bool_]
Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_DRAWN_STARTS = 3
_MOST_TASKS_FOR_DRAWN = 60  # with more, each start takes seconds


@dataclass(frozen=True, eq=False)
class Total:
    """What is to be small: the predicted outcome (of a score its negative) plus the price of the tasks that stay.

    Parameters
    ----------
    surrogate : Surrogate
        Fitted on masks; with several targets their mean counts.
    prices : ndarray, shape (K,)
        What keeping each task costs, in the outcome's unit.
    """

    surrogate: Surrogate
    prices: Array

    @property
    def K(self) -> int:  # noqa: N802 - the field's sign for the number of tasks
        """Number of tasks."""
        return len(self.prices)

    @property
    def _sign(self) -> float:
        return -1.0 if self.surrogate.higher_is_better_ else 1.0

    def change(self, masks: Masks, reference: Mask) -> tuple[Array, Array]:
        """How the total changes from one subset to others, and half the width of its 90 % interval; (m,) each.

        With several targets the half-width is the mean of theirs, an upper bound.
        """
        values, std = (
            table.reshape(len(masks), -1).mean(axis=1)
            for table in self.surrogate.predict_change(masks.astype(np.float64), reference.astype(np.float64))
        )
        price = (masks.astype(np.float64) - reference) @ self.prices
        return self._sign * values + price, interval_quantile(self.surrogate.degrees_of_freedom_) * std

    def single_flips(self, mask: Mask) -> Array:
        """Change by putting each task in, or leaving it out where it is in; shape (K,)."""
        return np.where(mask, -1.0, 1.0) * self._including(mask)

    def pair_flips(self, mask: Mask) -> Array:
        """Change by doing that with two tasks at once, shape (K, K); infinite on the diagonal."""
        direction, effect = np.where(mask, -1.0, 1.0), self.single_flips(mask)
        pairs = self._sign * self.surrogate.interactions(at=mask).values.mean(axis=2)
        # the effect of one task was read off with the other as it is: flipped, it differs by their interaction
        both = effect[:, None] + effect + np.outer(direction, direction) * pairs
        np.fill_diagonal(both, np.inf)
        return np.asarray(both)

    def _including(self, mask: Mask) -> Array:
        """Effect of each task being in, with the others as in `mask`."""
        effects = self.surrogate.attribution("leave_one_out", at=mask).values.mean(axis=1)
        return np.asarray(self._sign * effects + self.prices)

    def rounding(self) -> float:
        """Differences of totals that are no larger are rounding of the outcomes that they are differences of."""
        ends = self.surrogate.predict(np.array([np.zeros(self.K), np.ones(self.K)]))
        return tolerance_of(np.concatenate([ends.ravel(), self.prices]))


def least_total(total: Total) -> Mask:
    """Return the subset, not empty, whose total a descent finds to be least.

    From all tasks, from those whose mean effect over all subsets is worth their price, and with up to 60 tasks from a
    few drawn subsets (the same each time): as many single tasks at once as helps most, then pairs, while that helps.
    Of equally good ends the first.
    """
    everything = np.ones(total.K, dtype=np.bool_)
    starts = [everything, _helpful_on_average(total)]
    if total.K <= _MOST_TASKS_FOR_DRAWN:
        starts += [drawn for drawn in np.random.default_rng(0).random((_DRAWN_STARTS, total.K)) < 0.5 if drawn.any()]
    rounding = total.rounding()
    ends = np.array([_descended(total, start, rounding) for start in starts])
    best: Mask = ends[first_least(total.change(ends, everything)[0], tolerance=rounding)]
    return best


def _helpful_on_average(total: Total) -> Mask:
    """Tasks whose mean effect over random subsets is worth their price; the best one where none is."""
    sign = -1.0 if total.surrogate.higher_is_better_ else 1.0
    effects = sign * total.surrogate.attribution("banzhaf").values.mean(axis=1) + total.prices
    helpful: Mask = effects < 0
    if not helpful.any():
        helpful[first_least(effects)] = True
    return helpful


def _descended(total: Total, start: Mask, rounding: float) -> Mask:
    """Flip single tasks and pairs while that lowers the total."""
    mask = start.copy()
    while True:
        tasks = _best_flips(total, mask, rounding)
        if not len(tasks):
            tasks = _best_pair(total, mask, rounding)
        if not len(tasks):
            return mask
        mask[tasks] = ~mask[tasks]


def _best_flips(total: Total, mask: Mask, rounding: float) -> Indices:
    """The single flips that help most together, among the best 1, 2, 4 ... of those that help alone."""
    effects = total.single_flips(mask)
    if mask.sum() == 1:
        effects[mask] = np.inf  # a subset keeps a task
    order = rising(effects, tolerance=rounding)
    order = order[effects[order] < -rounding]
    counts = sorted({min(2**step, len(order)) for step in range(len(order).bit_length() + 1)})
    steps = [order[:count] for count in counts if count and _flipped(mask, order[:count]).any()]
    if not steps:
        return order[:0]
    changes = total.change(np.array([_flipped(mask, step) for step in steps]), mask)[0]
    best = first_least(changes, tolerance=rounding)
    return steps[best] if changes[best] < -rounding else order[:0]


def _best_pair(total: Total, mask: Mask, rounding: float) -> Indices:
    """The two flips that help most together; none where no two help."""
    none = np.zeros(0, dtype=np.intp)
    if total.K < 2:
        return none
    changes = total.pair_flips(mask)
    inside = np.flatnonzero(mask)
    if len(inside) <= 2:
        changes[np.ix_(inside, inside)] = np.inf
    pair = np.array(np.unravel_index(first_least(changes, tolerance=rounding), changes.shape), dtype=np.intp)
    return pair if changes[pair[0], pair[1]] < -rounding else none


def _flipped(mask: Mask, tasks: Indices) -> Mask:
    flipped = mask.copy()
    flipped[tasks] = ~flipped[tasks]
    return flipped
