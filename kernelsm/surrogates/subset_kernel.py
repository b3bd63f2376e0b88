"""What every kernel on subsets can do: its matrix, and the readouts of each k(s_i, ·), exact.

Every readout of g(s) = b + Σ_i θ_i k(s_i, s) is linear in θ, so a kernel only has to give the readout of k(s_i, ·)
for each training subset s_i. Readouts of a sum of kernels are sums of readouts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from kernelsm.surrogates.subset_distributions import Array, Indices, SubsetDistribution


class SubsetKernel(ABC):
    """A kernel with exact readouts: `effects` are of order 1 (one task), `pair_effects` of order 2."""

    @abstractmethod
    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows, shape (m, m')."""

    @abstractmethod
    def diagonal(self, rows: Array) -> Array:
        """k(s, s) of every row, shape (m,)."""

    @abstractmethod
    def effects(self, distribution: SubsetDistribution, masks: Array) -> Array:
        """Readout of each k(s_i, ·), shape (m, K)."""

    @abstractmethod
    def pair_effects(self, distribution: SubsetDistribution, masks: Array, first: Indices, second: Indices) -> Array:
        """Readout of each k(s_i, ·) for the pairs (first, second), shape (m, P)."""

    @abstractmethod
    def pair_sums(self, distribution: SubsetDistribution, masks: Array, theta: Array) -> Array:
        """Σ_i θ_i times the readout of k(s_i, ·) for all pairs, shape (K, K, q); the diagonal is meaningless."""

    @abstractmethod
    def pair_means(self, distribution: SubsetDistribution, masks: Array, j: int, k: int) -> Array:
        """Mean of each k(s_i, ·) at the four `CORNERS` of the pair (j, k), shape (m, 4)."""

    @abstractmethod
    def prior(self, distribution: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Prior variance: the readout applied to both arguments of k, for tasks (one array) or pairs (two arrays)."""

    @abstractmethod
    def prior_between(self, first: SubsetDistribution, second: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Prior covariance of two readouts of the same tasks or pairs: one applied to either argument of k."""

    def exchange_sums(self, masks: Array, theta: Array, at: Array, out: Indices, into: Indices) -> Array:
        """Σ_i θ_i k(s_i, ·) at `at` with one task of `out` exchanged for one of `into`, shape (n, K - n, q)."""
        sums = np.empty((len(out), len(into), theta.shape[1]))
        for row, task in enumerate(out):
            steps = np.tile(at, (len(into), 1))
            steps[:, task] = 0.0
            steps[np.arange(len(into)), into] = 1.0
            sums[row] = self.gram(steps, masks) @ theta
        return sums


@dataclass(frozen=True)
class SumKernel(SubsetKernel):
    """Σ_p w_p k_p(s, s'): independent parts of g, each with its own variance w_p."""

    parts: tuple[tuple[float, SubsetKernel], ...]

    def gram(self, first: Array, second: Array) -> Array:
        """Sum of the parts' matrices."""
        return np.asarray(sum(weight * part.gram(first, second) for weight, part in self.parts))

    def diagonal(self, rows: Array) -> Array:
        """Sum of the parts' diagonals."""
        return np.asarray(sum(weight * part.diagonal(rows) for weight, part in self.parts))

    def effects(self, distribution: SubsetDistribution, masks: Array) -> Array:
        """Sum of the parts' readouts."""
        return np.asarray(sum(weight * part.effects(distribution, masks) for weight, part in self.parts))

    def pair_effects(self, distribution: SubsetDistribution, masks: Array, first: Indices, second: Indices) -> Array:
        """Sum of the parts' readouts."""
        found = (weight * part.pair_effects(distribution, masks, first, second) for weight, part in self.parts)
        return np.asarray(sum(found))

    def pair_sums(self, distribution: SubsetDistribution, masks: Array, theta: Array) -> Array:
        """Sum of the parts' readouts."""
        return np.asarray(sum(part.pair_sums(distribution, masks, weight * theta) for weight, part in self.parts))

    def pair_means(self, distribution: SubsetDistribution, masks: Array, j: int, k: int) -> Array:
        """Sum of the parts' means."""
        return np.asarray(sum(weight * part.pair_means(distribution, masks, j, k) for weight, part in self.parts))

    def prior(self, distribution: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Sum of the parts' prior variances."""
        return np.asarray(sum(weight * part.prior(distribution, K, *tasks) for weight, part in self.parts))

    def prior_between(self, first: SubsetDistribution, second: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Sum of the parts' prior covariances."""
        return np.asarray(sum(weight * part.prior_between(first, second, K, *tasks) for weight, part in self.parts))

    def exchange_sums(self, masks: Array, theta: Array, at: Array, out: Indices, into: Indices) -> Array:
        """Sum of the parts' sums."""
        found = (part.exchange_sums(masks, weight * theta, at, out, into) for weight, part in self.parts)
        return np.asarray(sum(found))
