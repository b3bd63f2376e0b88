"""Kernels of chosen products of tasks: a sparse polynomial, each of whose terms has a prior variance of its own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from kernelsm.surrogates.mixtures import depends_on_held, mixture_of
from kernelsm.surrogates.subset_distributions import (
    CORNERS,
    Array,
    FixedSize,
    Indices,
    SubsetDistribution,
    mean_masks,
)
from kernelsm.surrogates.subset_kernel import SubsetKernel


@dataclass(frozen=True)
class TermKernel(SubsetKernel):
    """Σ_T w_T φ_T(s) φ_T(s') with φ_T(s) = Π_{k∈T} (s_k - c_k): g is a polynomial of the terms T.

    Parameters
    ----------
    terms : tuple of tuple of int
        Rising task numbers of each term.
    weights : tuple of float
        w_T ≥ 0, the prior variance of each coefficient.
    centre : tuple of float, length K
        c; with the mean of the fitted subsets the terms hardly overlap.
    """

    terms: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    centre: tuple[float, ...]

    def features(self, rows: Array) -> Array:
        """√w_T φ_T(s), shape (m, T)."""
        centred = rows - np.array(self.centre)
        found = np.empty((len(rows), len(self.terms)))
        for column, term in enumerate(self.terms):
            found[:, column] = centred[:, list(term)].prod(axis=1)
        return np.asarray(found * np.sqrt(np.array(self.weights)))

    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows."""
        return np.asarray(self.features(first) @ self.features(second).T)

    def diagonal(self, rows: Array) -> Array:
        """Squared length of the features."""
        return np.asarray((self.features(rows) ** 2).sum(axis=1))

    def effects(self, distribution: SubsetDistribution, masks: Array) -> Array:
        """Features times the readouts of the terms."""
        return np.asarray(self.features(masks) @ self._of_tasks(distribution))

    def pair_effects(self, distribution: SubsetDistribution, masks: Array, first: Indices, second: Indices) -> Array:
        """Features times the readouts of the terms."""
        return np.asarray(self.features(masks) @ self._of_pairs(distribution, first, second))

    def pair_sums(self, distribution: SubsetDistribution, masks: Array, theta: Array) -> Array:
        """Coefficients of the terms times their readouts."""
        K = masks.shape[1]
        coefficients = self.features(masks).T @ theta
        total = np.zeros((K, K, theta.shape[1]))
        first, second = np.triu_indices(K, k=1)
        if not depends_on_held(distribution):  # only pairs within a term
            inside = sorted({pair for term in self.terms for pair in combinations(term, 2)})
            first, second = np.array(inside, dtype=np.intp).reshape(-1, 2).T
        values = self._of_pairs(distribution, first, second).T @ coefficients
        total[first, second] = total[second, first] = values
        return total

    def pair_means(self, distribution: SubsetDistribution, masks: Array, j: int, k: int) -> Array:
        """Features times the means of the terms at the four corners."""
        means = np.array(
            [[self._mean(distribution, term, {j: a, k: b}, (a, b)) for a, b in CORNERS] for term in self.terms]
        ).reshape(-1, len(CORNERS))
        return np.asarray(self.features(masks) @ (means * self._roots))

    def prior(self, distribution: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Squared length of the readouts of the terms."""
        return self.prior_between(distribution, distribution, K, *tasks)

    def prior_between(self, first: SubsetDistribution, second: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Inner product of two readouts of the terms."""
        sides = [
            self._of_tasks(side)[:, tasks[0]] if len(tasks) == 1 else self._of_pairs(side, *tasks)
            for side in ((first,) if first is second else (first, second))
        ]
        return np.asarray((sides[0] * sides[-1]).sum(axis=0))

    @property
    def _roots(self) -> Array:
        """√w_T, shape (T, 1)."""
        return np.asarray(np.sqrt(np.array(self.weights))[:, None])

    def _of_tasks(self, distribution: SubsetDistribution) -> Array:
        """Readout of √w_T φ_T for every task, shape (T, K)."""
        found = np.zeros((len(self.terms), len(self.centre)))
        for row, term in enumerate(self.terms):
            if depends_on_held(distribution):  # with k in, one place fewer remains for the tasks of the term
                found[row] = self._difference(distribution, term, ())
            for k in term:
                found[row, k] = self._difference(distribution, term, (k,))
        return found * self._roots

    def _of_pairs(self, distribution: SubsetDistribution, first: Indices, second: Indices) -> Array:
        """Readout of √w_T φ_T for the pairs, shape (T, P): it depends on which of the two the term holds."""
        found = np.zeros((len(self.terms), len(first)))
        for row, term in enumerate(self.terms):
            if len(term) < 2:
                continue
            in_first, in_second = np.isin(first, term), np.isin(second, term)
            if depends_on_held(distribution):
                found[row] = self._difference(distribution, term, (), order=2)
                for k in term:
                    one = (in_first & ~in_second & (first == k)) | (in_second & ~in_first & (second == k))
                    found[row, one] = self._difference(distribution, term, (k,), order=2)
            for column in np.flatnonzero(in_first & in_second):
                pair = int(first[column]), int(second[column])
                found[row, column] = self._difference(distribution, term, pair, order=2)
        return found * self._roots

    def _difference(
        self, distribution: SubsetDistribution, term: tuple[int, ...], own: tuple[int, ...], order: int = 1
    ) -> float:
        """Difference of order t of the mean of φ_T, where the term holds the tasks `own` of the t."""
        corners = product((0, 1), repeat=order)
        total: float = sum(
            (-1) ** (order - sum(corner))
            * self._mean(distribution, term, dict(zip(own, corner, strict=False)), corner)
            for corner in corners
        )
        return total

    def _mean(
        self, distribution: SubsetDistribution, term: tuple[int, ...], own: dict[int, int], corner: tuple[int, ...]
    ) -> float:
        """Mean of φ_T at a corner of the readout's tasks; `own` says of those that the term holds which are in."""
        centre = np.array(self.centre)
        value = float(np.prod([own[k] - centre[k] for k in term if k in own]))
        others = [k for k in term if k not in own]
        if not others:
            return value
        R = len(centre) - len(corner)
        mixture = mixture_of(distribution, R, sum(corner))
        columns = others if mixture.within.shape[1] > 1 else [0] * len(others)
        out, within = mixture.out[:, columns], mixture.within[:, columns]
        mean = (within * (1 - centre[others]) - out * centre[others]).prod(axis=1)
        if depends_on_held(distribution):  # the tasks that the term does not name
            mean = mean * (mixture.out[:, 0] + mixture.within[:, 0]) ** (R - len(others))
        return value * float((mixture.weights * mean).sum().real)


@dataclass(frozen=True)
class SizeKernel(SubsetKernel):
    """(|s| - c)(|s'| - c): an effect of how many tasks are in, whichever they are."""

    centre: float

    def _sizes(self, rows: Array) -> Array:
        return np.asarray(rows.sum(axis=1) - self.centre)

    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows."""
        return np.outer(self._sizes(first), self._sizes(second))

    def diagonal(self, rows: Array) -> Array:
        """Squared sizes."""
        return np.asarray(self._sizes(rows) ** 2)

    def effects(self, distribution: SubsetDistribution, masks: Array) -> Array:
        """One more task; none where the size is fixed."""
        step = 0.0 if isinstance(distribution, FixedSize) else 1.0
        return np.outer(self._sizes(masks), np.full(masks.shape[1], step))

    def pair_effects(self, distribution: SubsetDistribution, masks: Array, first: Indices, second: Indices) -> Array:
        """None: sizes add up."""
        return np.zeros((len(masks), len(first)))

    def pair_sums(self, distribution: SubsetDistribution, masks: Array, theta: Array) -> Array:
        """None: sizes add up."""
        K = masks.shape[1]
        return np.zeros((K, K, theta.shape[1]))

    def pair_means(self, distribution: SubsetDistribution, masks: Array, j: int, k: int) -> Array:
        """Sizes times the mean size at each corner."""
        return np.outer(self._sizes(masks), mean_sizes(distribution, masks.shape[1], j, k) - self.centre)

    def prior(self, distribution: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """One squared step of a task; nothing for pairs."""
        return self.prior_between(distribution, distribution, K, *tasks)

    def prior_between(self, first: SubsetDistribution, second: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """One squared step of a task unless either size is fixed; nothing for pairs."""
        fixed = isinstance(first, FixedSize) or isinstance(second, FixedSize)
        return np.full(len(tasks[0]), 0.0 if len(tasks) > 1 or fixed else 1.0)


def mean_sizes(distribution: SubsetDistribution, K: int, j: int, k: int) -> Array:
    """Mean size at the four `CORNERS` of the pair (j, k), shape (4,)."""
    return np.asarray(mean_masks(distribution, K, j, k).sum(axis=1))
