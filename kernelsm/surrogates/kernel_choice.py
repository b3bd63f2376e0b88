"""Candidate kernels (linear, and RBF of several widths), of which each column of outcomes takes the likeliest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.splitting import random_parts
from kernelsm.runtime.near_ties import NEAR, first_greatest
from kernelsm.surrogates.composite import CompositeSearch
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.kernel_functions import LINEAR, RBF
from kernelsm.surrogates.linear import LinearSurrogate
from kernelsm.surrogates.subset_distributions import Array, Indices
from kernelsm.surrogates.subset_kernel import SubsetKernel, SumKernel
from kernelsm.surrogates.term_kernel import SizeKernel
from kernelsm.surrogates.tuning import Spectrum, column_blocks, mean_error, spectrum_of

# γ in units of one over the mean squared distance of two subsets; λ in units of the kernel's mean variance
_GAMMAS = (0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
_SIZE_WEIGHT = 5.0  # variance of the effect of size over that of all others: it is one, and they are many
_FEW_TARGETS, _FEW_ROWS, _FEWER_ROWS = 4, 300, 200
_FOLDS = 3
_RIDGES = np.logspace(-6, 3, 28)
_PENALTY = 1e9  # far above any difference of likelihoods, and finite: they are added up
_LIKELIHOOD_TOLERANCE = 1e-6  # nats: likelihoods that differ by less differ by rounding


@dataclass(frozen=True, eq=False)
class CandidateKernel:
    """One kernel on the tuning subsets, its γ (NaN for the linear one), its spectrum, and its grid of λ."""

    function: SubsetKernel
    gamma: float
    spectrum: Spectrum
    ridges: Array

    def fitted(self, ridge: int, X: Array, columns: Array, *, noisy: bool) -> KernelSurrogate | LinearSurrogate:
        """Return a surrogate with this kernel and the λ at index `ridge` of its grid, fitted."""
        chosen = float(self.ridges[ridge])
        if self.function == LINEAR and noisy:
            linear = LinearSurrogate(ridge=chosen)
            linear._fit(X, columns)
            return linear
        surrogate = (
            KernelSurrogate(kernel="linear", ridge=chosen)
            if math.isnan(self.gamma)
            else KernelSurrogate(gamma=self.gamma, ridge=chosen)
        )
        surrogate.gamma_, surrogate.ridge_ = self.gamma, chosen
        surrogate._fit_function(self.function, X, columns, noisy=noisy)
        return surrogate


@dataclass(frozen=True, eq=False)
class KernelChoice:
    """The kernel and λ chosen for each of C columns.

    Parameters
    ----------
    kernel, ridge : ndarray of int, shape (C,)
        Indices of its kernel in `CandidateKernels.kernels` and of its λ in that kernel's grid.
    left_out : ndarray, shape (m, C)
        Leave-one-out predictions.
    variance : ndarray, shape (C,)
        Mean leave-one-out posterior variance of g.
    useful : ndarray of bool, shape (C,)
        Whether the leave-one-out predictions are better than the mean.
    """

    kernel: NDArray[np.intp]
    ridge: NDArray[np.intp]
    left_out: Array
    variance: Array
    useful: NDArray[np.bool_]


class CandidateKernels:
    """Kernels on the tuning subsets X, shape (m, K), each decomposed once for all columns of all tables."""

    def __init__(self, X: Array) -> None:
        self.rows = X
        self._composites: dict[int, CompositeSearch] = {}

    @cached_property
    def folds(self) -> list[tuple[Indices, Indices, CandidateKernels]]:
        """Three folds that keep equal rows together: rows to fit, rows to predict, and kernels on the rows to fit."""
        ends = np.cumsum([len(part) for part in np.array_split(self.rows, _FOLDS)])[:-1]
        parts = [part for part in random_parts(self.rows, ends.tolist(), 0) if len(part)]
        others = [np.sort(np.concatenate([other for other in parts if other is not part])) for part in parts]
        return [(fit, part, CandidateKernels(self.rows[fit])) for fit, part in zip(others, parts, strict=True)]

    def composites(self, targets: int) -> CompositeSearch:
        """Return what finds sums of kernels on these subsets; on fewer rows where many targets are to be fitted."""
        few_rows = _FEW_ROWS if targets <= _FEW_TARGETS else _FEWER_ROWS
        if few_rows not in self._composites:
            self._composites[few_rows] = CompositeSearch(self.rows, few_rows, thorough=targets <= _FEW_TARGETS)
        return self._composites[few_rows]

    @cached_property
    def spread(self) -> float:
        """Mean squared distance of two of these subsets; 0 where all are equal."""
        return 2 * float(self.rows.var(axis=0).sum()) * len(self.rows) / max(len(self.rows) - 1, 1)

    @cached_property
    def kernels(self) -> list[CandidateKernel]:
        """The kernels that vary over these subsets, each also with an effect of how many tasks are in."""
        spread = self.spread
        if spread == 0:
            return []
        functions = [(math.nan, LINEAR), *((gamma / spread, RBF(gamma / spread)) for gamma in _GAMMAS)]
        candidates = [self._candidate(gamma, function) for gamma, function in functions]
        variance = float(self.rows.sum(axis=1).var(ddof=1))
        if variance > NEAR * spread:
            candidates += [
                self._candidate(
                    known.gamma,
                    SumKernel(
                        (
                            (1.0, known.function),
                            (_SIZE_WEIGHT * known.spectrum.mean_variance / variance, SizeKernel(0.0)),
                        )
                    ),
                )
                for known in tuple(candidates)
            ]
        return candidates

    def _candidate(self, gamma: float, function: SubsetKernel) -> CandidateKernel:
        spectrum = spectrum_of(function, self.rows, True)
        return CandidateKernel(function, gamma, spectrum, _RIDGES * spectrum.mean_variance)

    def choose(self, columns: Array, most_pairs: int, noise: Array | None = None) -> KernelChoice:
        """Choose a kernel and λ for every column, shape (m, C), by the restricted likelihood; at most `most_pairs`.

        Where the variance of the noise is known (`noise`, shape (C,)), pairs that imply less noise are excluded;
        where all imply less, those that imply the most are kept. Ties go to the first pair: the linear kernel before
        the RBF ones, a smaller γ or λ before a larger. The intervals of this choice are better calibrated than those
        of a choice by leave-one-out error (`benchmarks/interval_coverage.py`).
        """
        m, column_count = columns.shape
        likelihood = np.concatenate(
            [candidate.spectrum.likelihood(columns, candidate.ridges) for candidate in self.kernels]
        )
        if noise is not None:
            amounts = np.concatenate(
                [candidate.spectrum.noise(columns, candidate.ridges) for candidate in self.kernels]
            )
            likelihood -= _PENALTY * (amounts < (1 - NEAR) * np.minimum(noise, amounts.max(axis=0)))
        kernel, ridge = np.divmod(_likeliest(likelihood, most_pairs), len(_RIDGES))
        left_out = np.empty_like(columns)
        variance = np.empty(column_count)
        for index, ridge_index in {(int(a), int(b)) for a, b in zip(kernel, ridge, strict=True)}:
            chosen = np.flatnonzero((kernel == index) & (ridge == ridge_index))
            spectrum, grid = self.kernels[index].spectrum, self.kernels[index].ridges[[ridge_index]]
            unexplained = spectrum.unexplained(grid)[:, 0]
            for block in column_blocks(m, len(chosen)):
                some = chosen[block]
                missed = spectrum.residuals(columns[:, some], grid)[:, 0]
                left_out[:, some] = columns[:, some] - missed
                # noise σ²λ = F'(λA)F / (m-1), and [λAF]_i = λA_ii e_i; σ²(1/A_ii - λ) is left of g without row i
                noise = (columns[:, some] * unexplained[:, None] * missed).sum(axis=0) / (m - 1)
                variance[some] = noise * (1 / unexplained - 1).mean()
        # a fit that only predicts the mean has the mean's error, up to rounding
        useful = ((columns - left_out) ** 2).mean(axis=0) < (1 - NEAR) * mean_error(columns, True)
        return KernelChoice(kernel, ridge, left_out, variance, useful)


def _likeliest(likelihood: Array, most_rows: int) -> NDArray[np.intp]:
    """Row of the largest entry of each column, from at most `most_rows` different rows; shape (C,).

    If the columns' own best rows are more than that, rows are added greedily by their gain in the sum over columns.
    """
    best = first_greatest(likelihood, tolerance=_LIKELIHOOD_TOLERANCE, axis=0)
    if len(np.unique(best)) <= most_rows:
        return best
    chosen: list[int] = []
    reached = np.full(likelihood.shape[1], -np.inf)
    for _ in range(most_rows):
        # the first row is the best for all; from then on only gains count
        row = first_greatest(
            np.maximum(likelihood, reached).sum(axis=1), tolerance=_LIKELIHOOD_TOLERANCE * likelihood.shape[1]
        )
        chosen.append(row)
        reached = np.maximum(reached, likelihood[row])
    return np.asarray(np.array(chosen)[first_greatest(likelihood[chosen], tolerance=_LIKELIHOOD_TOLERANCE, axis=0)])
