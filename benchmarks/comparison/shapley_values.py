"""Shapley values and interactions of a game from all of its 2^K outcomes."""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def all_subsets(K: int) -> NDArray[np.bool_]:
    """All 2^K subsets; row r holds task k where bit k of r is set."""
    return (np.arange(2**K)[:, None] >> np.arange(K) & 1).astype(np.bool_)


def shapley_of_all_outcomes(outcomes: Array) -> tuple[Array, Array]:
    """Shapley values (K,) and Shapley interactions of pairs (K, K) of outcomes in the order of `all_subsets`."""
    K = int(np.log2(len(outcomes)))
    subsets = all_subsets(K)
    rows = np.arange(len(outcomes))
    values, interactions = np.zeros(K), np.zeros((K, K))
    for j in range(K):
        without = rows[~subsets[:, j]]
        sizes = subsets[without].sum(axis=1)
        weights = np.array([factorial(n) * factorial(K - n - 1) / factorial(K) for n in range(K)])
        values[j] = weights[sizes] @ (outcomes[without | 1 << j] - outcomes[without])
        for k in range(j):
            neither = without[~subsets[without, k]]
            sizes = subsets[neither].sum(axis=1)
            pair = np.array([factorial(n) * factorial(K - n - 2) / factorial(K - 1) for n in range(K - 1)])
            both, one, other = neither | 1 << j | 1 << k, neither | 1 << j, neither | 1 << k
            difference = outcomes[both] - outcomes[one] - outcomes[other] + outcomes[neither]
            interactions[j, k] = interactions[k, j] = pair[sizes] @ difference
    return values, interactions
