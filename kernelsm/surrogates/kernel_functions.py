"""Kernels on subsets, and what averages and differences of them are in closed form.

Every readout of g(s) = b + Σ_i θ_i k(s_i, s) is linear in θ, so a kernel only has to say what the readout makes of
k(s_i, ·) for each training subset s_i. Write n_i = |s_i| and n' = n_i - s_ik for its size without task k.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binom, hypergeom

from kernelsm.surrogates.base import Array

_LARGEST_GAMMA = 700.0  # exp(-700) is 1e-304: beyond, the kernel is the identity to double precision


class SubsetKernel(ABC):
    """A kernel with exact readouts."""

    @abstractmethod
    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows, shape (m, m')."""

    @abstractmethod
    def leave_one_out(self, masks: Array, at: Array) -> Array:
        """k(s_i, at with k) - k(s_i, at without k), shape (m, K)."""

    @abstractmethod
    def inclusion_table(self, K: int, p: float | None, size: int | None) -> Array:
        """E[k(s_i, S) | k in S] - E[k(s_i, S) | k not in S] for n' = 0..K-1 and s_ik = 0, 1; shape (K, 2)."""

    @abstractmethod
    def second_difference(self, masks: Array, theta: Array, at: Array) -> Array:
        """Σ_i θ_i times the second difference of k(s_i, ·) at `at`, shape (K, K, q); the diagonal means nothing."""

    def inclusion(self, masks: Array, p: float | None, size: int | None) -> Array:
        """The inclusion contrast of each k(s_i, ·), shape (m, K)."""
        table = self.inclusion_table(masks.shape[1], p, size)
        held = masks.astype(np.intp)
        return np.asarray(table[held.sum(axis=1, keepdims=True) - held, held])


@dataclass(frozen=True)
class RBF(SubsetKernel):
    """exp(-γ‖s - s'‖²) (paper eq. 8): a product over tasks, so all averages factorise."""

    gamma: float

    @property
    def q(self) -> float:
        """Value of one differing task, exp(-γ)."""
        return float(np.exp(-min(self.gamma, _LARGEST_GAMMA)))

    @property
    def step(self) -> float:
        """1 - q, to full precision also for tiny γ."""
        return float(-np.expm1(-self.gamma))

    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows."""
        return np.asarray(np.exp(-self.gamma * cdist(first, second, "sqeuclidean")))

    def leave_one_out(self, masks: Array, at: Array) -> Array:
        """(1-q) x_ik q^(Hamming distance of s_i and `at` without k)."""
        differs = masks != at
        distance = differs.sum(axis=1, keepdims=True) - differs
        return np.asarray(self.step * (2 * masks - 1) * self.q**distance)

    def inclusion_table(self, K: int, p: float | None, size: int | None) -> Array:
        """Product form under Bernoulli(p); hypergeometric overlap under a fixed size."""
        rest = np.arange(K)
        sign = np.array([-1.0, 1.0])
        if size is None:
            assert p is not None
            same, other = p + (1 - p) * self.q, p * self.q + 1 - p
            return np.outer(self.step * same**rest * other ** (K - 1 - rest), sign)
        held = np.array([0.0, 1.0])
        with_k = np.outer(self._mean_over_size(K - 1, size - 1), self.q ** (1 - held))
        without_k = np.outer(self._mean_over_size(K - 1, size), self.q**held)
        return np.asarray(with_k - without_k)

    def _mean_over_size(self, K: int, size: int) -> Array:
        """Mean of q^distance between a set of n' = 0..K of K tasks and a random one of `size`, shape (K+1,)."""
        n, overlap = np.arange(K + 1)[:, None], np.arange(size + 1)[None, :]
        distance = np.maximum(n + size - 2 * overlap, 0)  # impossible overlaps have probability 0
        return np.asarray((hypergeom.pmf(overlap, K, n, size) * self.q**distance).sum(axis=1))

    def second_difference(self, masks: Array, theta: Array, at: Array) -> Array:
        """(1-q)² Σ_i θ_i x_ij x_il q^(distance without j and l), as products of one matrix with itself."""
        differs = masks != at
        half = differs.sum(axis=1, keepdims=True) / 2
        with np.errstate(under="ignore"):
            signed = (2 * masks - 1) * self.q ** (half - differs)
        return np.asarray(self.step**2 * weighted_products(signed, theta))


@dataclass(frozen=True)
class Polynomial(SubsetKernel):
    """(γ<s, s'> + c)^degree; degree 1, γ 1 and c 0 is the linear kernel."""

    gamma: float
    coef0: float
    degree: int

    def _value(self, overlap: Array) -> Array:
        return np.asarray((self.gamma * overlap + self.coef0) ** self.degree)

    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows."""
        return self._value(first @ second.T)

    def leave_one_out(self, masks: Array, at: Array) -> Array:
        """Zero where s_i does not hold k; else the step of one more common task."""
        overlap = (masks @ at)[:, None] - masks * at
        return np.asarray(masks * (self._value(overlap + 1) - self._value(overlap)))

    def inclusion_table(self, K: int, p: float | None, size: int | None) -> Array:
        """Means over the binomial (Bernoulli) or hypergeometric (fixed size) overlap."""
        n, overlap = np.arange(K)[:, None], np.arange(K, dtype=np.float64)[None, :]
        if size is None:
            chance_with = chance_without = binom.pmf(overlap, n, p)
        else:
            chance_with = hypergeom.pmf(overlap, K - 1, n, size - 1)
            chance_without = hypergeom.pmf(overlap, K - 1, n, size)
        without = (chance_without * self._value(overlap)).sum(axis=1)
        return np.column_stack([(chance_with * self._value(overlap + held)).sum(axis=1) - without for held in (0, 1)])

    def second_difference(self, masks: Array, theta: Array, at: Array) -> Array:
        """Only subsets that hold both tasks count, by the second step of the overlap without the two."""
        overlap = masks @ at
        in_anchor = (at[:, None] + at[None, :]).astype(int)  # how many of the pair the anchor holds
        values = np.zeros((len(at), len(at), theta.shape[1]))
        for count in np.unique(in_anchor):
            rest = overlap - count
            step = self._value(rest + 2) - 2 * self._value(rest + 1) + self._value(rest)
            chosen = in_anchor == count
            values[chosen] = weighted_products(masks, theta * step[:, None])[chosen]
        return values


def weighted_products(rows: Array, weights: Array) -> Array:
    """Σ_i weights_iq rows_ij rows_il, shape (K, K, q), without an (m, K, K) intermediate."""
    K, q = rows.shape[1], weights.shape[1]
    values = np.empty((K, K, q))
    if q <= K:
        for j in range(q):
            values[:, :, j] = (rows * weights[:, j : j + 1]).T @ rows
    else:
        for k in range(K):
            values[k] = (rows * rows[:, k : k + 1]).T @ weights
    return values
