"""Random parts of a table that keep equal subsets together: else a part would be tested on what it was fitted to."""

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
        Rows of each part, one part more than cuts. Cuts move to the nearest place that takes no equal rows apart,
        and parts may be empty for it, but never all but one, unless no two rows differ: then they are cut as if all
        did. Where all rows differ it is a plain random permutation, cut.
    """
    masks = np.asarray(masks)
    order = np.random.default_rng(seed).permutation(len(masks))
    same = np.unique(masks, axis=0, return_inverse=True)[1].reshape(-1)
    _, first, of, sizes = np.unique(same[order], return_index=True, return_inverse=True, return_counts=True)
    if len(sizes) > 1:
        # each row moves up to the first one like it
        order = order[np.argsort(first[of], kind="stable")]
        whole = np.cumsum(sizes[np.argsort(first)])[:-1]
        ends = [int(whole[np.abs(whole - end).argmin()]) for end in ends]
    return np.split(order, ends)
