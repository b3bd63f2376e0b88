"""Spearman's rank correlation of outcomes and predictions, target by target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.near_ties import mean_ranks

Table = NDArray[np.float64]


def centred_ranks(table: Table) -> Table:
    """Rank of each row in its column, less the mean of all ranks; see `mean_ranks`."""
    return mean_ranks(table) - (len(table) + 1) / 2


def rank_correlation(first: Table, second: Table) -> NDArray[np.float64]:
    """Spearman correlation over the rows of each column.

    Parameters
    ----------
    first, second : ndarray, shape (m, q)
        Two sides of the same m subsets and q targets.

    Returns
    -------
    ndarray, shape (q,)
        Between -1 and 1; NaN where either side is constant. Values that are equal but for rounding share a rank.

    Examples
    --------
    >>> import numpy as np
    >>> rank_correlation(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [10.0], [100.0]])).tolist()
    [1.0]
    """
    a, b = centred_ranks(first), centred_ranks(second)
    spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(axis=0) / spread)
