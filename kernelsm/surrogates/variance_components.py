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
from scipy.linalg import LinAlgError, lapack

from kernelsm.surrogates.subset_distributions import Array

_LEAST_AMPLITUDE, _LEAST_WEIGHT, _LEAST_NOISE = 1e-7, 1e-9, 1e-8  # as parts of the outcomes' variance
_NOTHING = 1e-9
_ROUNDING = 1e-11  # as a part of the variance of g: with less noise its matrix is singular to double precision


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    """Parts of g on the m fitted rows, and how large each is for one column of outcomes.

    Parameters
    ----------
    grams : tuple of ndarray, shape (m, m)
        Dense parts, of unit amplitude.
    amplitudes : ndarray, shape (parts,)
    features : ndarray, shape (m, T)
        Single terms.
    weights : ndarray, shape (T,)
        Prior variance of each term's coefficient.
    noise : float
        Variance of the noise.
    """

    grams: tuple[Array, ...]
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
        total = np.zeros_like(self.grams[0])
        for amplitude, gram in zip(self.amplitudes, self.grams, strict=True):
            if amplitude > 0:
                total += amplitude * gram
        if len(self.weights):
            total += (self.features * self.weights) @ self.features.T
        return total

    def solve(self, column: Array) -> Solution:
        """Condition on outcomes, shape (m,)."""
        total = self.covariance()
        total.flat[:: len(column) + 1] += self.noise
        projected = projected_inverse(total)
        return Solution(projected, projected @ column)

    def fitted(self, column: Array, steps: int, least_noise: float = 0.0) -> Self:
        """Return the components after some steps of the fixed point for outcomes of shape (m,)."""
        variance = float(column.var())
        parts = self
        for _ in range(steps):
            solution = parts.solve(column)
            A, alpha = solution.projected, solution.alpha
            amplitudes = [
                amplitude * _ratio(float(alpha @ gram @ alpha), float(np.vdot(A, gram)), float(np.trace(gram)), A)
                for amplitude, gram in zip(parts.amplitudes, parts.grams, strict=True)
            ]
            weights = parts.weights
            if len(weights):
                prior = np.einsum("it,it->t", parts.features, A @ parts.features)
                weights = weights * (parts.features.T @ alpha) ** 2 / np.maximum(prior, 1e-300)
            noise = parts.noise * float(alpha @ alpha) / max(float(np.trace(A)), 1e-300)
            parts = replace(
                parts,
                amplitudes=np.where(amplitudes, np.maximum(amplitudes, _LEAST_AMPLITUDE * variance), 0.0),
                weights=np.maximum(weights, _LEAST_WEIGHT * variance),
                noise=max(noise, least_noise, _LEAST_NOISE * variance, _ROUNDING * sum(amplitudes)),
            )
        return parts


@dataclass(frozen=True, eq=False)
class Solution:
    """A, shape (m, m), and α = A F, shape (m,), of one column of outcomes F."""

    projected: Array
    alpha: Array

    def left_out(self, column: Array) -> Array:
        """Leave-one-out predictions, shape (m,)."""
        return np.asarray(column - self.alpha / np.diag(self.projected))


def _ratio(said: float, prior: float, size: float, A: Array) -> float:
    """What the outcomes say of a part over what its prior alone would; 0 for a part that no two rows tell apart."""
    return said / prior if prior > _NOTHING * size * float(np.trace(A)) / len(A) else 0.0


def projected_inverse(gram: Array) -> Array:
    """Return the inverse of a positive matrix, shape (m, m), projected off the intercept; the matrix is overwritten.

    Raises
    ------
    LinAlgError
        The matrix is not positive to double precision.
    """
    lower, failed = lapack.dpotrf(gram.T, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise LinAlgError("the kernel matrix is not positive")
    half, _ = lapack.dpotri(lower, lower=1, overwrite_c=1)
    inverse = np.asarray(half + half.T)
    inverse.flat[:: len(gram) + 1] /= 2
    ones = inverse.sum(axis=1)
    inverse -= np.outer(ones, ones / ones.sum())
    return inverse
