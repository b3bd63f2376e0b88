"""The Gaussian process posterior behind a kernel surrogate, and the variances it leaves.

g is the posterior mean of b + f with f ~ GP(0, σ²k), a flat prior on b and independent noise of variance σ²λ. A
linear functional L of g (a prediction, a readout) then has variance σ² times

    LLk - (Lk)ᵀ(K+λI)⁻¹(Lk) + (L1 - 1ᵀ(K+λI)⁻¹Lk)² / 1ᵀ(K+λI)⁻¹1,

the last term for b, where it is fitted; L1 is 1 for a prediction and 0 for a difference (Rasmussen and Williams,
Gaussian Processes for Machine Learning, 2006, eq. 2.42).
"""

from __future__ import annotations

import warnings
from contextlib import suppress

import numpy as np
from scipy import linalg

from kernelsm.runtime.near_ties import varies
from kernelsm.surrogates.subset_distributions import Array

_RANK_TOLERANCE = 1e-12  # eigenvalues below this share of the largest are rounding
_ROUNDING = 1e-15  # posterior variances below this share of the prior's are rounding


class Posterior:
    """Solves with K + λI.

    Parameters
    ----------
    gram : ndarray, shape (m, m)
        K; overwritten.
    ridge : float
        λ ≥ 0. Where K + λI is singular (λ = 0 with duplicate subsets), the least-norm fit is used, with a warning.
    fit_intercept : bool
        Whether b is fitted, by generalised least squares: 1ᵀ(K+λI)⁻¹F / 1ᵀ(K+λI)⁻¹1.
    """

    def __init__(self, gram: Array, ridge: float, fit_intercept: bool) -> None:
        gram.flat[:: len(gram) + 1] += ridge
        self._lower: Array | None = None
        self._basis: Array | None = None
        if ridge > 0:
            with suppress(linalg.LinAlgError):  # a ridge below rounding counts as none
                self._lower = linalg.cholesky(gram, lower=True, check_finite=False)
        if self._lower is None:
            self._basis = _half_inverse(gram)
        self._ones = self._half(np.ones((len(gram), 1)))
        self._ones_total = float((self._ones**2).sum())
        # with all rows in the kernel's null space there is no mean to fit
        self.fit_intercept = fit_intercept and self._ones_total > 0

    def fit(self, values: Array) -> tuple[Array, Array, Array]:
        """Return θ (m, q), b (q,) and σ² (q,) of the marginal likelihood for outcomes (m, q).

        σ² = (F-b)ᵀ(K+λI)⁻¹(F-b) / (m - 1), the restricted likelihood estimate, or / m without intercept; NaN where
        no degree of freedom is left to estimate it from.
        """
        half = self._half(values)
        intercept = np.zeros(values.shape[1])
        if self.fit_intercept:
            intercept = (self._ones.T @ half)[0] / self._ones_total
            half -= self._ones * intercept
            # a constant target leaves only rounding, which would be taken for an effect
            constant = ~varies(values)
            half[:, constant], intercept[constant] = 0.0, values[0, constant]
        free = self.degrees_of_freedom(len(values))
        squares = (half**2).sum(axis=0)
        scale = squares / free if free else np.full(values.shape[1], np.nan)
        return self._half_transposed(half), intercept, scale

    def degrees_of_freedom(self, m: int) -> int:
        """Degrees of freedom of σ²: m, less one for the intercept."""
        return m - int(self.fit_intercept)

    def variance(self, cross: Array, prior: Array, constant: float = 0.0) -> Array:
        """Variance of R linear functionals, over σ²; shape (R,).

        Parameters
        ----------
        cross : ndarray, shape (m, R)
            L k(s_i, ·).
        prior : ndarray, shape (R,)
            LLk.
        constant : float
            L1.
        """
        half = self._half(cross)
        variance = prior - np.einsum("ij,ij->j", half, half)
        if self.fit_intercept:
            variance += (constant - (self._ones.T @ half)[0]) ** 2 / self._ones_total
        # exact zeros come out as rounding of either sign
        return np.asarray(np.maximum(variance, _ROUNDING * np.maximum(prior, 0.0)))

    def covariance(self, first: Array, second: Array, prior: Array, constants: tuple[float, float]) -> Array:
        """Covariance of R with R' linear functionals, over σ²; shape (R, R'). Arguments as in `variance`."""
        halves = self._half(first), self._half(second)
        covariance = prior - halves[0].T @ halves[1]
        if self.fit_intercept:
            left, right = (
                constant - (self._ones.T @ half)[0] for constant, half in zip(constants, halves, strict=True)
            )
            covariance += np.outer(left, right) / self._ones_total
        return np.asarray(covariance)

    def left_out(self, dual: Array, cross: Array) -> Array:
        """How linear functionals of g change when each row is left out of the fit, shape (m, R, q).

        Without row i, θ is that of the fit to outcomes whose i-th is its left-out prediction: θ - A_i θ_i / A_ii with
        A = (K+λI)⁻¹, projected off the intercept.

        Parameters
        ----------
        dual : ndarray, shape (m, q)
            θ.
        cross : ndarray, shape (m, R)
            L k(s_i, ·), of functionals that give a constant 0.
        """
        solved = self._projected(cross)
        own = self._projected(np.eye(len(cross))).diagonal()
        # a row that no other row says anything of: without it nothing is known to change
        weight = np.divide(dual, own[:, None], out=np.zeros_like(dual), where=own[:, None] > 0)
        return np.asarray(-solved[:, :, None] * weight[:, None, :])

    def _projected(self, right: Array) -> Array:
        """A right."""
        half = self._half(right)
        if self.fit_intercept:
            half -= self._ones @ (self._ones.T @ half) / self._ones_total
        return self._half_transposed(half)

    def _half(self, right: Array) -> Array:
        """H right, where HᵀH = (K+λI)⁻¹."""
        if self._lower is not None:
            return np.asarray(linalg.solve_triangular(self._lower, right, lower=True, check_finite=False))
        assert self._basis is not None
        return np.asarray(self._basis.T @ right)

    def _half_transposed(self, right: Array) -> Array:
        if self._lower is not None:
            return np.asarray(linalg.solve_triangular(self._lower, right, lower=True, trans="T", check_finite=False))
        assert self._basis is not None
        return np.asarray(self._basis @ right)


def _half_inverse(matrix: Array) -> Array:
    """B with BBᵀ the (pseudo-)inverse of a symmetric matrix, shape (m, rank)."""
    values, vectors = linalg.eigh(matrix, check_finite=False)
    kept = values > max(values[-1], 0.0) * _RANK_TOLERANCE * len(values)
    if not kept.all():
        warnings.warn(
            "the kernel matrix is singular (duplicate subsets and ridge 0?): the least-norm fit is used; raise ridge",
            linalg.LinAlgWarning,
            stacklevel=6,
        )
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))
