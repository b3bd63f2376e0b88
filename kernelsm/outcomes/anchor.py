"""What a table holds near all tasks together, where leave-one-out and second differences are read off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.outcomes.completeness import different_rows
from kernelsm.outcomes.designs import leave_out_masks

REACH = 2
"""Tasks that a second difference at all tasks leaves out at most."""


@dataclass(frozen=True)
class AnchorSupport:
    """How near a table comes to all tasks together, the anchor of leave-one-out and second differences.

    Parameters
    ----------
    tasks : int
        K.
    subsets : int
        Different subsets in the table.
    out : tuple of int
        How many different subsets leave out no task, one task, and two tasks.
    nearest : int
        Tasks that the subset nearest to all tasks leaves out.
    """

    tasks: int
    subsets: int
    out: tuple[int, int, int]
    nearest: int

    @property
    def near(self) -> int:
        """Different subsets that leave out at most two tasks."""
        return sum(self.out)

    @property
    def share(self) -> float:
        """Their share of the different subsets."""
        return self.near / self.subsets

    @property
    def holds_leave_one_out(self) -> bool:
        """Whether all tasks together and every subset without one task were measured."""
        return self.out[:2] == (1, self.tasks)

    @property
    def holds_pairs(self) -> bool:
        """Whether every subset without two tasks was measured as well."""
        return self.holds_leave_one_out and self.out[2] == math.comb(self.tasks, 2)

    @property
    def is_extrapolation(self) -> bool:
        """Whether the effects at all tasks are extrapolated: fewer than K + 1 different subsets are near.

        Near all tasks there are K + 1 numbers to find, the outcome there and the effect of each task. Fewer subsets
        that leave out at most two tasks cannot tell them apart, so the surrogate carries over what it learnt far
        away. On planted games (10, 20 and 50 tasks, 100 and 400 random subsets, p from 0.5 to 0.95), the default
        surrogate explains 96 to 100 % of the true leave-one-out effects where there are as many, and 46 to 99 %,
        half of the time less than 89 %, where there are fewer (`benchmarks/designs.py`).
        """
        return self.near <= self.tasks


def anchor_support(masks: ArrayLike) -> AnchorSupport:
    """Look how near subsets come to all tasks together.

    Parameters
    ----------
    masks : array-like of bool, shape (m, K)
        Subsets measured; equal rows count once.

    Examples
    --------
    >>> from kernelsm import anchor_support, bernoulli_masks, design_masks
    >>> random = anchor_support(bernoulli_masks(K=20, m=400))
    >>> random.near, random.is_extrapolation
    (0, True)
    >>> designed = anchor_support(design_masks(K=20, m=400))
    >>> designed.out, designed.holds_pairs, designed.is_extrapolation
    ((1, 20, 190), True, False)
    """
    rows = different_rows(masks)
    outside = rows.shape[1] - rows.sum(axis=1)
    none, one, two = (int((outside == count).sum()) for count in range(REACH + 1))
    return AnchorSupport(rows.shape[1], len(rows), (none, one, two), int(outside.min()))


def missing_leave_outs(masks: ArrayLike, most_out: int = REACH) -> NDArray[np.bool_]:
    """Return the subsets without at most `most_out` tasks that are not among `masks`, all tasks together first.

    Parameters
    ----------
    masks : array-like of bool, shape (m, K)
    most_out : int

    Returns
    -------
    ndarray of bool, shape (n, K)
    """
    known = {row.tobytes() for row in different_rows(masks)}
    wanted = leave_out_masks(np.shape(masks)[1], most_out)
    return wanted[[row.tobytes() not in known for row in wanted]]
