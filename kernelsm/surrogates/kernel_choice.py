"""A bank of kernels, linear and RBF of several widths, from which each column of outcomes takes its likeliest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.splitting import random_parts
from kernelsm.runtime.near_ties import NEAR, first_greatest
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.kernel_functions import LINEAR, RBF
from kernelsm.surrogates.linear import LinearSurrogate
from kernelsm.surrogates.subset_distributions import Array, Indices
from kernelsm.surrogates.tuning import Spectrum, column_blocks, mean_error, spectrum_of

# γ in units of one over the mean squared distance of two subsets; λ in units of the kernel's mean variance
_GAMMAS = (0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
_FOLDS = 3
_RIDGES = np.logspace(-6, 3, 28)
_FORBIDDEN = 1e9  # far above any difference of likelihoods, and finite: they are added up
_LIKE = 1e-6  # nats: likelihoods that differ by less differ by rounding


@dataclass(frozen=True, eq=False)
class Member:
    """One kernel on the tuning subsets: γ (NaN for the linear one), its spectrum, and its grid of λ."""

    gamma: float
    spectrum: Spectrum
    ridges: Array

    def surrogate(self, ridge: int) -> KernelSurrogate | LinearSurrogate:
        """Unfitted surrogate with this kernel and the λ of that index."""
        chosen = float(self.ridges[ridge])
        return (
            LinearSurrogate(ridge=chosen)
            if math.isnan(self.gamma)
            else KernelSurrogate(gamma=self.gamma, ridge=chosen)
        )


@dataclass(frozen=True, eq=False)
class Choice:
    """What each of C columns took.

    Parameters
    ----------
    member, ridge : ndarray of int, shape (C,)
        Index of its kernel in the bank and of its λ.
    left_out : ndarray, shape (m, C)
        Leave-one-out predictions.
    variance : ndarray, shape (C,)
        Mean leave-one-out posterior variance of g.
    useful : ndarray of bool, shape (C,)
        Whether the leave-one-out predictions are better than the mean.
    """

    member: NDArray[np.intp]
    ridge: NDArray[np.intp]
    left_out: Array
    variance: Array
    useful: NDArray[np.bool_]


class KernelBank:
    """Kernels on the tuning subsets X, shape (m, K), each decomposed once for all columns of all tables."""

    def __init__(self, X: Array) -> None:
        self._X = X

    @cached_property
    def folds(self) -> list[tuple[Indices, Indices, KernelBank]]:
        """Three random parts, equal rows in one: rows to fit, rows to predict, and the bank of the former."""
        ends = np.cumsum([len(part) for part in np.array_split(self._X, _FOLDS)])[:-1]
        parts = [part for part in random_parts(self._X, ends.tolist(), 0) if len(part)]
        rest = [np.sort(np.concatenate([p for p in parts if p is not part])) for part in parts]
        return [(fit, part, KernelBank(self._X[fit])) for fit, part in zip(rest, parts, strict=True)]

    @cached_property
    def members(self) -> list[Member]:
        """The kernels that vary over these subsets."""
        spread = 2 * float(self._X.var(axis=0).sum()) * len(self._X) / max(len(self._X) - 1, 1)
        if spread == 0:
            return []
        functions = [(math.nan, LINEAR), *((gamma / spread, RBF(gamma / spread)) for gamma in _GAMMAS)]
        spectra = [(gamma, spectrum_of(function, self._X, True)) for gamma, function in functions]
        return [Member(gamma, spectrum, _RIDGES * spectrum.mean_variance) for gamma, spectrum in spectra]

    def choose(self, columns: Array, most: int, noise: Array | None = None) -> Choice:
        """Choose a kernel and λ for every column, shape (m, C), by the restricted likelihood; at most `most` pairs.

        Where the variance of the noise is known, `noise` of shape (C,), pairs that amount to less are taken only
        where all do: then those with the most. Of equally likely pairs the first is taken: the linear kernel before
        the RBF ones, a smaller γ or λ before a larger. The intervals of this choice are better calibrated than those
        of leave-one-out's (`benchmarks/interval_coverage.py`).
        """
        m, C = columns.shape
        likelihood = np.concatenate([one.spectrum.likelihood(columns, one.ridges) for one in self.members])
        if noise is not None:
            amounts = np.concatenate([one.spectrum.noise(columns, one.ridges) for one in self.members])
            likelihood -= _FORBIDDEN * (amounts < (1 - NEAR) * np.minimum(noise, amounts.max(axis=0)))
        member, ridge = np.divmod(_likeliest(likelihood, most), len(_RIDGES))
        left_out = np.empty_like(columns)
        variance = np.empty(C)
        for index, at in {(int(a), int(b)) for a, b in zip(member, ridge, strict=True)}:
            chosen = np.flatnonzero((member == index) & (ridge == at))
            spectrum, grid = self.members[index].spectrum, self.members[index].ridges[[at]]
            own = spectrum.unexplained(grid)[:, 0]
            for block in column_blocks(m, len(chosen)):
                some = chosen[block]
                missed = spectrum.residuals(columns[:, some], grid)[:, 0]
                left_out[:, some] = columns[:, some] - missed
                # noise σ²λ = F'(λA)F / (m-1), and [λAF]_i = λA_ii e_i; σ²(1/A_ii - λ) is left of g without row i
                noise = (columns[:, some] * own[:, None] * missed).sum(axis=0) / (m - 1)
                variance[some] = noise * (1 / own - 1).mean()
        # what predicts the mean has the mean's error, but for rounding
        useful = ((columns - left_out) ** 2).mean(axis=0) < (1 - NEAR) * mean_error(columns, True)
        return Choice(member, ridge, left_out, variance, useful)


def _likeliest(likelihood: Array, most: int) -> NDArray[np.intp]:
    """Row of the largest entry of each column, from at most `most` different rows; shape (C,).

    Where there are more, rows are taken greedily by what they add to the sum over columns.
    """
    best = first_greatest(likelihood, tolerance=_LIKE, axis=0)
    if len(np.unique(best)) <= most:
        return best
    chosen: list[int] = []
    reached = np.full(likelihood.shape[1], -np.inf)
    for _ in range(most):
        # the first row is the best for all; from then on only gains count
        row = first_greatest(np.maximum(likelihood, reached).sum(axis=1), tolerance=_LIKE * likelihood.shape[1])
        chosen.append(row)
        reached = np.maximum(reached, likelihood[row])
    return np.asarray(np.array(chosen)[first_greatest(likelihood[chosen], tolerance=_LIKE, axis=0)])
