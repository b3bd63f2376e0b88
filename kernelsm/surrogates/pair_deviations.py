"""Standard deviations of pairs, asked for pair by pair: of one target of several, or from a table of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernelsm.surrogates.subset_distributions import Array, Indices


@dataclass(frozen=True, eq=False)
class PairStdOfTarget:
    """Standard deviations of pairs for one target of several."""

    every: Callable[[Indices, Indices], Array]
    target: int

    def __call__(self, first: Indices, second: Indices) -> Array:
        """Return them, shape (P, 1)."""
        return self.every(first, second)[:, [self.target]]


@dataclass(frozen=True, eq=False)
class PairStdTable:
    """Standard deviations of pairs from a table of all, shape (K, K, q)."""

    std: Array

    def __call__(self, first: Indices, second: Indices) -> Array:
        """Return them, shape (P, q)."""
        return np.asarray(self.std[first, second])
