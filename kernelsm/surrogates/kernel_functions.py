"""Kernels on subsets, and the averages of their differences in closed form.

These kernels treat all tasks alike, so under a `SizeDistribution` the readout of k(s_i, ·) depends on two counts: n',
how many of the other tasks s_i holds, and h, how many of the readout's own t tasks it holds. So there is a table of
(K-t+1) x (t+1) numbers, `mean_difference`, from which everything else follows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances

from kernelsm.surrogates.subset_distributions import (
    CORNERS,
    Anchor,
    Array,
    FixedSize,
    Indices,
    ProductDistribution,
    SizeDistribution,
    SubsetDistribution,
    mean_masks,
)
from kernelsm.surrogates.subset_kernel import SubsetKernel

_LARGEST_GAMMA = 700.0  # exp(-700) is 1e-304: beyond, the kernel is the identity to double precision


class CountKernel(SubsetKernel):
    """A kernel whose readouts depend on counts alone: all tasks are alike."""

    @abstractmethod
    def exchanges(self, masks: Array, at: Array) -> tuple[Array, Array, Array]:
        """k(s_i, s) for s = `at`, and for s of that size with one more and one fewer task of s_i; shape (m,) each."""

    @abstractmethod
    def mean_difference(self, distribution: SizeDistribution, K: int, order: int) -> Array:
        """Mean t-th difference of k(s_i, ·) for n' = 0..K-t and h = 0..t, shape (K-t+1, t+1)."""

    @abstractmethod
    def mean(self, distribution: SizeDistribution, R: int, held: int, h: int, in_common: int) -> Array:
        """Mean of k(s_i, ·) for n' = 0..R, shape (R+1,), where subsets hold `held` of the t tasks and s_i holds `h`.

        `in_common` of the t are in both.
        """

    @abstractmethod
    def effects_at(self, masks: Array, at: Array) -> Array:
        """k(s_i, at with k) - k(s_i, at without k), shape (m, K)."""

    @abstractmethod
    def pair_effects_at(self, masks: Array, at: Array, first: Indices, second: Indices) -> Array:
        """Second differences of k(s_i, ·) at `at` in the pairs (first, second), shape (m, P)."""

    @abstractmethod
    def pair_sums_at(self, masks: Array, theta: Array, at: Array) -> Array:
        """Σ_i θ_i times the second differences of k(s_i, ·) of all pairs, shape (K, K, q)."""

    @abstractmethod
    def prior_at(self, held: NDArray[np.intp], size: int, order: int) -> Array:
        """Difference of order t in both arguments of k at an anchor of `size` tasks that holds `held` of the t."""

    def effects(self, distribution: SubsetDistribution, masks: Array) -> Array:
        """Readout of each k(s_i, ·), shape (m, K)."""
        if isinstance(distribution, Anchor):
            return self.effects_at(masks, distribution.at)
        table = _mean_difference_table(self, distribution, masks.shape[1], 1)
        held = masks.astype(np.intp)
        return np.asarray(table[held.sum(axis=1, keepdims=True) - held, held])

    def pair_effects(self, distribution: SubsetDistribution, masks: Array, first: Indices, second: Indices) -> Array:
        """Readout of each k(s_i, ·) for the pairs (first, second), shape (m, P)."""
        if isinstance(distribution, Anchor):
            return self.pair_effects_at(masks, distribution.at, first, second)
        table = _mean_difference_table(self, distribution, masks.shape[1], 2)
        s = masks.astype(np.intp)
        held = s[:, first] + s[:, second]
        return np.asarray(table[s.sum(axis=1, keepdims=True) - held, held])

    def pair_sums(self, distribution: SubsetDistribution, masks: Array, theta: Array) -> Array:
        """Σ_i θ_i times the readout of k(s_i, ·) for all pairs, shape (K, K, q); the diagonal is meaningless."""
        if isinstance(distribution, Anchor):
            return self.pair_sums_at(masks, theta, distribution.at)
        table = _mean_difference_table(self, distribution, masks.shape[1], 2)
        n = masks.sum(axis=1).astype(np.intp)
        # subset i adds to a pair one of three numbers, by whether it holds none, one or both of its tasks: such sums
        # are one matrix product and two vectors. Counts that no pair has are clipped; their terms cancel.
        none, one, both = (table[np.clip(n - h, 0, len(table) - 1), h][:, None] for h in (0, 1, 2))
        single_sums = masks.T @ (theta * (one - none))
        values: Array = weighted_products(masks, theta * (both - 2 * one + none))
        values += single_sums[:, None, :]
        values += single_sums[None, :, :]
        values += (theta * none).sum(axis=0)
        return values

    def pair_means(self, distribution: SubsetDistribution, masks: Array, j: int, k: int) -> Array:
        """Mean of each k(s_i, ·) at the four `CORNERS` of the pair (j, k), shape (m, 4)."""
        K = masks.shape[1]
        if isinstance(distribution, Anchor):
            return self.gram(masks, mean_masks(distribution, K, j, k))
        pair = masks[:, [j, k]].astype(np.intp)
        n = masks.sum(axis=1).astype(np.intp) - pair.sum(axis=1)
        means = np.empty((len(masks), len(CORNERS)))
        for own in CORNERS:
            rows = (pair == own).all(axis=1)
            for column, corner in enumerate(CORNERS):
                in_common = own[0] * corner[0] + own[1] * corner[1]
                means[rows, column] = self.mean(distribution, K - 2, sum(corner), sum(own), in_common)[n[rows]]
        return means

    def prior(self, distribution: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Prior variance: the readout applied to both arguments of k, for tasks (one array) or pairs (two arrays)."""
        if isinstance(distribution, Anchor):
            held = np.sum([distribution.at[k] for k in tasks], axis=0).astype(np.intp)
            return self.prior_at(held, int(distribution.at.sum()), len(tasks))
        return self.prior_between(distribution, distribution, K, *tasks)

    def prior_between(self, first: SubsetDistribution, second: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Prior covariance of two readouts of the same tasks or pairs.

        What the one readout makes of k(·, s') depends on counts alone, so the other one needs its sizes only.
        """
        order = len(tasks)
        if isinstance(first, Anchor) and isinstance(second, Anchor):
            return self._between_anchors(first.at, second.at, tasks)
        averaged, other = (second, first) if isinstance(first, Anchor) else (first, second)
        assert isinstance(averaged, SizeDistribution)
        table = _mean_difference_table(self, averaged, K, order)
        signs = [(-1) ** (order - h) * comb(order, h) for h in range(order + 1)]
        if isinstance(other, Anchor):
            n = int(other.at.sum()) - np.sum([other.at[k] for k in tasks], axis=0).astype(np.intp)
            return np.asarray(sum(sign * table[n, h] for h, sign in enumerate(signs)))
        value = sum(sign * float(other.sizes(K - order, h) @ table[:, h]) for h, sign in enumerate(signs))
        return np.full(len(tasks[0]), value)

    def _between_anchors(self, first: Array, second: Array, tasks: tuple[Indices, ...]) -> Array:
        """The same at two anchors: for each task or pair the signed sum over the corners of the first."""
        order = len(tasks)
        found = np.zeros(len(tasks[0]))
        for place, own in enumerate(zip(*tasks, strict=True)):
            corners = np.array(list(product((0.0, 1.0), repeat=order)))
            rows = np.tile(first, (len(corners), 1))
            rows[:, list(own)] = corners
            signs = (-1.0) ** (order - corners.sum(axis=1))
            if order == 1:
                effects = self.effects_at(rows, second)[:, own[0]]
            else:
                effects = self.pair_effects_at(rows, second, np.array([own[0]]), np.array([own[1]]))[:, 0]
            found[place] = signs @ effects
        return found

    def exchange_sums(self, masks: Array, theta: Array, at: Array, out: Indices, into: Indices) -> Array:
        """What an exchange does to k(s_i, ·) depends on whether s_i holds the one task and the other."""
        same, more, less = (values[:, None] * theta for values in self.exchanges(masks, at))
        leaves, comes = masks[:, out], masks[:, into]
        gain, loss = more - same, less - same
        changed = [
            ((1 - leaves) * gain[:, [j]]).T @ comes + (leaves * loss[:, [j]]).T @ (1 - comes)
            for j in range(theta.shape[1])
        ]
        return np.asarray(np.stack(changed, axis=2) + same.sum(axis=0))


@lru_cache(maxsize=64)
def _mean_difference_table(kernel: CountKernel, distribution: SizeDistribution, K: int, order: int) -> Array:
    """Cached `mean_difference`: values, variances and every block of pairs need the same table."""
    table = kernel.mean_difference(distribution, K, order)
    table.flags.writeable = False  # shared by all callers
    return table


@dataclass(frozen=True)
class RBF(CountKernel):
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
        distances = euclidean_distances(first, second, squared=True)
        distances *= -self.gamma
        return np.asarray(np.exp(distances, out=distances))

    def exchanges(self, masks: Array, at: Array) -> tuple[Array, Array, Array]:
        """Two fewer differing tasks (none where none differs) and two more."""
        distance = np.abs(masks - at).sum(axis=1)
        near, far = np.maximum(distance - 2, 0), distance + 2
        return np.exp(-self.gamma * distance), np.exp(-self.gamma * near), np.exp(-self.gamma * far)

    def diagonal(self, rows: Array) -> Array:
        """All ones."""
        return np.ones(len(rows))

    def mean_difference(self, distribution: SizeDistribution, K: int, order: int) -> Array:
        """Product form where the other tasks are independent of the t; else the hypergeometric overlap."""
        R = K - order
        if isinstance(distribution, ProductDistribution):
            sign = (-1.0) ** (order - np.arange(order + 1))
            return np.outer(self.step**order * distribution.mean_power(R, self.q), sign)
        assert isinstance(distribution, FixedSize)
        table = np.zeros((R + 1, order + 1))
        for held in range(order + 1):
            for h, in_common, count in _overlap_counts(order, held):
                # k - 1 instead of k: the ones cancel in the sum, and at small γ they would cost most of the digits
                table[:, h] += count * self._mean_less_one(distribution, R, held, h + held - 2 * in_common)
        return table

    def mean(self, distribution: SizeDistribution, R: int, held: int, h: int, in_common: int) -> Array:
        """Product form, or the hypergeometric overlap."""
        differing = h + held - 2 * in_common
        if isinstance(distribution, ProductDistribution):
            return np.asarray(self.q**differing * distribution.mean_power(R, self.q))
        assert isinstance(distribution, FixedSize)
        return 1 + self._mean_less_one(distribution, R, held, differing)

    def _mean_less_one(self, distribution: FixedSize, R: int, held: int, differing: int) -> Array:
        """Mean of k(s_i, ·) - 1 for n' = 0..R where `differing` of the t tasks differ."""
        probabilities = distribution.overlaps(R, held)
        n, overlap = np.arange(R + 1)[:, None], np.arange(probabilities.shape[1])[None, :]
        distance = np.maximum(n + distribution.size - held - 2 * overlap, 0)  # impossible overlaps have probability 0
        return np.asarray((probabilities * np.expm1(-self.gamma * (distance + differing))).sum(axis=1))

    def effects_at(self, masks: Array, at: Array) -> Array:
        """(1-q) x_ik q^(Hamming distance of s_i and `at` without k)."""
        differs = masks != at
        distance = differs.sum(axis=1, keepdims=True) - differs
        return np.asarray(self.step * (2 * masks - 1) * self._powers(masks.shape[1])[distance])

    def pair_effects_at(self, masks: Array, at: Array, first: Indices, second: Indices) -> Array:
        """(1-q)² x_ij x_il q^(distance without j and l)."""
        signed = self._signed(masks, at)
        return np.asarray(self.step**2 * signed[:, first] * signed[:, second])

    def pair_sums_at(self, masks: Array, theta: Array, at: Array) -> Array:
        """The same, summed as products of one matrix with itself."""
        return np.asarray(self.step**2 * weighted_products(self._signed(masks, at), theta))

    def prior_at(self, held: NDArray[np.intp], size: int, order: int) -> Array:
        """(2 - 2q)^t, whatever the anchor."""
        return np.full(len(held), (2 * self.step) ** order)

    def _powers(self, most: int) -> Array:
        return np.asarray(self.q ** np.arange(most + 1))

    def _signed(self, masks: Array, at: Array) -> Array:
        """x_ij q^(D_i/2 - d_ij): two columns multiplied are x_ij x_il q^(distance without j and l)."""
        differs = masks != at
        half = differs.sum(axis=1, keepdims=True) / 2
        with np.errstate(under="ignore"):
            return np.asarray((2 * masks - 1) * self.q ** (half - differs))


@dataclass(frozen=True)
class Polynomial(CountKernel):
    """(γ<s, s'> + c)^degree; degree 1, γ 1 and c 0 is the linear kernel."""

    gamma: float
    coef0: float
    degree: int

    def _value(self, overlap: Array | Indices) -> Array:
        return np.asarray((self.gamma * overlap + self.coef0) ** self.degree)

    def _step(self, overlap: Array | Indices, order: int) -> Array:
        """Difference of order t of the value, from `overlap` on."""
        terms = [(-1) ** (order - h) * comb(order, h) * self._value(overlap + h) for h in range(order + 1)]
        return np.asarray(sum(terms))

    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows."""
        return self._value(first @ second.T)

    def exchanges(self, masks: Array, at: Array) -> tuple[Array, Array, Array]:
        """The overlap, one more and one less."""
        overlap = masks @ at
        return self._value(overlap), self._value(overlap + 1), self._value(overlap - 1)

    def diagonal(self, rows: Array) -> Array:
        """Value of each row's overlap with itself."""
        return self._value((rows**2).sum(axis=1))

    def mean_difference(self, distribution: SizeDistribution, K: int, order: int) -> Array:
        """Means over the overlap with the other tasks."""
        R = K - order
        table = np.zeros((R + 1, order + 1))
        if order > self.degree:
            return table  # the linear kernel has no pair effects: adding terms that cancel would leave rounding
        if isinstance(distribution, ProductDistribution):  # tasks that s_i does not hold contribute nothing
            overlap = np.arange(R + 1, dtype=np.float64)
            table[:, order] = distribution.overlaps(R, 0) @ self._step(overlap, order)
            return table
        for held in range(order + 1):
            for h, in_common, count in _overlap_counts(order, held):
                table[:, h] += count * self.mean(distribution, R, held, h, in_common)
        return table

    def mean(self, distribution: SizeDistribution, R: int, held: int, h: int, in_common: int) -> Array:
        """Means over the overlap with the other tasks."""
        probabilities = distribution.overlaps(R, held)
        return np.asarray(
            probabilities @ self._value(np.arange(probabilities.shape[1], dtype=np.float64) + in_common)
        )

    def effects_at(self, masks: Array, at: Array) -> Array:
        """Zero where s_i does not hold k; else the step of one more common task."""
        rest = (masks @ at)[:, None] - masks * at
        return np.asarray(masks * self._step(rest, 1))

    def pair_effects_at(self, masks: Array, at: Array, first: Indices, second: Indices) -> Array:
        """Zero where s_i does not hold both; else the second step of the overlap."""
        rest = (masks @ at)[:, None] - masks[:, first] * at[first] - masks[:, second] * at[second]
        return np.asarray(masks[:, first] * masks[:, second] * self._step(rest, 2))

    def pair_sums_at(self, masks: Array, theta: Array, at: Array) -> Array:
        """One matrix product for each number of the pair's tasks that the anchor holds."""
        overlap = masks @ at
        in_anchor = (at[:, None] + at[None, :]).astype(int)
        values = np.zeros((len(at), len(at), theta.shape[1]))
        for count in np.unique(in_anchor):
            chosen = in_anchor == count
            values[chosen] = weighted_products(masks, theta * self._step(overlap - count, 2)[:, None])[chosen]
        return values

    def prior_at(self, held: NDArray[np.intp], size: int, order: int) -> Array:
        """Step of order t from the tasks that the anchor holds beside the t."""
        return self._step(size - held, order)


LINEAR = Polynomial(gamma=1.0, coef0=0.0, degree=1)
IDENTITY = RBF(100.0)
"""1 where two subsets are equal, else below 1e-43: what is true of one subset and says nothing of any other."""


def _overlap_counts(order: int, held: int) -> Iterator[tuple[int, int, int]]:
    """Yield (h, in common, signed count): sets of `held` of t tasks by their overlap with a set of h of them."""
    sign = (-1) ** (order - held)
    for h in range(order + 1):
        for in_common in range(max(0, held + h - order), min(h, held) + 1):
            yield h, in_common, sign * comb(h, in_common) * comb(order - h, held - in_common)


def weighted_products(rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Σ_i weights_iq rows_ij rows_il, shape (K, K, q), without an (m, K, K) intermediate; real or complex."""
    K, q = rows.shape[1], weights.shape[1]
    values = np.empty((K, K, q), dtype=np.result_type(rows, weights))
    if q <= K:
        for j in range(q):
            values[:, :, j] = (rows * weights[:, j : j + 1]).T @ rows
    else:
        for k in range(K):
            values[k] = (rows * rows[:, k : k + 1]).T @ weights
    return values
