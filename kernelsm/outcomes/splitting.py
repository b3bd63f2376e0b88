"""Random parts of a table that keep equal subsets together, so that no part is tested on a fitted subset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def random_parts(masks: ArrayLike, ends: Sequence[int], seed: int) -> list[NDArray[np.intp]]:
    """Split the rows at random, equal ones into the same part.

    Parameters
    ----------
    masks : array-like, shape (m, K)
    ends : sequence of int
        How many rows come before each cut, rising, between 1 and m - 1.
    seed : int

    Returns
    -------
    list of ndarray of int
        Rows of each part, one part more than cuts. Cuts move to the nearest place that separates no equal rows.
        Parts may become empty, but never all but one, unless all rows are equal: these are cut as if all differed.
        Where all rows differ, this is a random permutation, cut.
    """
    masks = np.asarray(masks)
    order = np.random.default_rng(seed).permutation(len(masks))
    same = np.unique(masks, axis=0, return_inverse=True)[1].reshape(-1)
    _, first, group, sizes = np.unique(same[order], return_index=True, return_inverse=True, return_counts=True)
    if len(sizes) > 1:
        # each row moves up to the first row equal to it
        order = order[np.argsort(first[group], kind="stable")]
        whole = np.cumsum(sizes[np.argsort(first)])[:-1]
        ends = [int(whole[np.abs(whole - end).argmin()]) for end in ends]
    return np.split(order, ends)
