"""The variances of a Gaussian process whose kernel is a sum, by restricted likelihood.

g has independent parts: dense ones, each a kernel matrix with an amplitude, and single terms, each a feature with a
weight. All amplitudes, weights and the noise follow the fixed point of the restricted likelihood (MacKay, 1992,
Bayesian interpolation; Harville, 1977): a part's amplitude is multiplied by αᵀGα / tr(AG), what the outcomes say of
it over what its prior alone would, with A = (K + noise I)⁻¹ projected off the intercept and α = A F. Every step takes
one Cholesky decomposition, however many parts there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, blas, lapack

from kernelsm.surrogates.subset_distributions import Array

_LEAST_AMPLITUDE, _LEAST_WEIGHT, _LEAST_NOISE = 1e-7, 1e-9, 1e-8  # as parts of the outcomes' variance
_NOTHING = 1e-9
_ROUNDING = 1e-11  # as a part of the variance of g: with less noise its matrix is singular to double precision


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    """Parts of g on the m fitted rows, and how large each is for one column of outcomes.

    Parameters
    ----------
    grams : ndarray, shape (P, m, m)
        Dense parts, of unit amplitude.
    amplitudes : ndarray, shape (P,)
    features : ndarray, shape (m, T)
        Single terms.
    weights : ndarray, shape (T,)
        Prior variance of each term's coefficient.
    noise : float
        Variance of the noise.
    """

    grams: Array
    amplitudes: Array
    features: Array
    weights: Array
    noise: float

    @property
    def total(self) -> float:
        """Variance of a single outcome."""
        of_terms = float((self.features**2).mean(axis=0) @ self.weights) if len(self.weights) else 0.0
        return float(self.amplitudes.sum()) + of_terms + self.noise

    def scaled(self, factor: float) -> Self:
        """Return all variances times a factor."""
        return replace(
            self, amplitudes=self.amplitudes * factor, weights=self.weights * factor, noise=self.noise * factor
        )

    def covariance(self) -> Array:
        """Return the prior covariance of g at the rows, shape (m, m), without the noise."""
        m = self.grams.shape[1]
        total = (self.amplitudes @ self.grams.reshape(-1, m * m)).reshape(m, m)
        if len(self.weights):
            total += (self.features * self.weights) @ self.features.T
        return np.asarray(total)

    def solve(self, column: Array) -> Solution:
        """Condition on outcomes, shape (m,)."""
        total = self.covariance()
        total.flat[:: len(column) + 1] += self.noise
        projected = projected_inverse(total)
        return Solution(np.diag(projected).copy(), projected @ column, projected)

    def solve_each(self, column: Array) -> Solution:
        """The same without the whole of A, which costs most."""
        total = self.covariance()
        total.flat[:: len(column) + 1] += self.noise
        return Solution(*_projected_diagonal(total, column))

    def fitted(self, column: Array, steps: int, least_noise: float = 0.0) -> Self:
        """Return the components after some steps of the fixed point for outcomes of shape (m,)."""
        variance = float(column.var())
        parts, m = self, len(column)
        traces = np.trace(self.grams, axis1=1, axis2=2)
        for _ in range(steps):
            solution = parts.solve(column)
            A, alpha = solution.whole, solution.alpha
            trace = float(solution.diagonal.sum())
            said = (parts.grams.reshape(-1, m) @ alpha).reshape(-1, m) @ alpha
            prior = parts.grams.reshape(-1, m * m) @ A.ravel()
            # a part that no two rows tell apart says nothing
            told = prior > _NOTHING * traces * trace / m
            amplitudes = np.where(told, parts.amplitudes * said / np.where(told, prior, 1.0), 0.0)
            weights = parts.weights
            if len(weights):
                of_terms = np.einsum("it,it->t", parts.features, A @ parts.features)
                weights = weights * (parts.features.T @ alpha) ** 2 / np.maximum(of_terms, 1e-300)
            noise = parts.noise * float(alpha @ alpha) / max(trace, 1e-300)
            parts = replace(
                parts,
                amplitudes=np.where(amplitudes > 0, np.maximum(amplitudes, _LEAST_AMPLITUDE * variance), 0.0),
                weights=np.maximum(weights, _LEAST_WEIGHT * variance),
                noise=max(noise, least_noise, _LEAST_NOISE * variance, _ROUNDING * float(amplitudes.sum())),
            )
        return parts


@dataclass(frozen=True, eq=False)
class Solution:
    """What a column of outcomes F says, with A = (K + noise I)⁻¹ projected off the intercept.

    Parameters
    ----------
    diagonal : ndarray, shape (m,)
        Of A.
    alpha : ndarray, shape (m,)
        A F.
    projected : ndarray, shape (m, m), optional
        A, where all of it is needed.
    """

    diagonal: Array
    alpha: Array
    projected: Array | None = None

    @property
    def whole(self) -> Array:
        """A, which must have been asked for."""
        assert self.projected is not None
        return self.projected

    def left_out(self, column: Array) -> Array:
        """Leave-one-out predictions, shape (m,)."""
        return np.asarray(column - self.alpha / self.diagonal)


def projected_inverse(gram: Array) -> Array:
    """Return the inverse of a positive matrix, shape (m, m), projected off the intercept; the matrix is overwritten.

    Raises
    ------
    LinAlgError
        The matrix is not positive to double precision.
    """
    half, _ = lapack.dpotri(_lower(gram), lower=1, overwrite_c=1)
    inverse = np.asarray(half + half.T)
    inverse.flat[:: len(gram) + 1] /= 2
    ones = inverse.sum(axis=1)
    # in place: the matrix is symmetric, so its transpose is as good and in the order that BLAS takes
    blas.dger(-1 / ones.sum(), ones, ones, a=inverse.T, overwrite_a=1)
    return inverse


def _projected_diagonal(gram: Array, column: Array) -> tuple[Array, Array]:
    """Return the diagonal of that inverse and its product with a column; the matrix is overwritten."""
    half, _ = lapack.dtrtri(_lower(gram), lower=1, overwrite_c=1)
    ones, solved = (half.T @ (half @ np.column_stack([np.ones(len(gram)), column]))).T
    total = float(ones.sum())
    return np.einsum("ij,ij->j", half, half) - ones**2 / total, solved - ones * (float(solved.sum()) / total)


def _lower(gram: Array) -> Array:
    """Return the Cholesky factor of a positive matrix, which is overwritten."""
    lower, failed = lapack.dpotrf(gram.T, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise LinAlgError("the kernel matrix is not positive")
    return np.asarray(lower)
