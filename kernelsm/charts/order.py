"""The order of tasks in charts: as given, by strength, by name, or with similar tasks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist

from kernelsm.outcomes.names import natural_order
from kernelsm.runtime.near_ties import rising, tolerance_of

TaskOrder = Literal["given", "strength", "name", "clustered"]
ORDERS: tuple[TaskOrder, ...] = ("given", "strength", "name", "clustered")


def task_order(
    kind: TaskOrder, attribution: NDArray[np.float64], interactions: NDArray[np.float64], names: Sequence[str] = ()
) -> NDArray[np.intp]:
    """Return a permutation of the K tasks.

    Parameters
    ----------
    kind : {"given", "strength", "name", "clustered"}
        "strength" puts the largest magnitude of attribution first, of equal ones the first task; "name" is the
        natural order of `names`; "clustered" puts tasks with similar rows of the interaction matrix side by side
        (average linkage, optimal leaf order).
    attribution : ndarray, shape (K,)
    interactions : ndarray, shape (K, K)
    names : sequence of str, length K
        For "name".
    """
    K = len(attribution)
    if kind == "strength":
        return rising(-np.abs(attribution))
    if kind == "name" and names:
        return np.array(natural_order(names), dtype=np.intp)
    if kind == "clustered" and K > 2 and interactions.any():
        # tasks that are alike but for rounding are at the same distance from others: whole numbers of a billionth
        distances = pdist(np.rint(interactions / tolerance_of(interactions)))
        return np.asarray(leaves_list(optimal_leaf_ordering(linkage(distances, "average"), distances)), dtype=np.intp)
    return np.arange(K)
