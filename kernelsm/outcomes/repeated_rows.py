"""Rows of one subset: which they are, their mean, and whether they agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.near_ties import NEAR

Array = NDArray[np.float64]


def rows_agree(masks: Array, values: Array) -> bool:
    """Whether rows of one subset have the same outcomes."""
    return not bool(merged_rows(values, groups_of_rows(masks)[1])[1].any())


def groups_of_rows(
    masks: Array,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First row of every distinct subset, rising, and the distinct subset of every row."""
    _, first, group = np.unique(masks, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[group.ravel()]


def merged_rows(values: Array, group: NDArray[np.intp]) -> tuple[Array, NDArray[np.bool_]]:
    """Mean outcomes of every distinct subset, and which single outcomes differ from theirs by more than rounding."""
    total = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(total, group, values)
    total /= np.bincount(group)[:, None]
    return total, np.abs(values - total[group]) > NEAR * np.abs(values).max(axis=0)
