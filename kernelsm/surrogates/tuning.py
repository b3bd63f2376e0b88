"""Leave-one-out errors of a kernel surrogate on a whole (γ, λ) grid, in closed form.

With A = (K+λI)⁻¹ projected off the intercept, the error of predicting row i from all others is [A F]_i / A_ii. One
eigendecomposition per γ serves every λ and every target (Rasmussen and Williams, 2006, section 5.4.2).

One row is left out at a time, even where another row has the same subset: with many repeated subsets of equal
outcome, errors are too small, and smallest at too small a λ. Splits and folds keep such rows together
(`random_parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import first_least, rising, varies
from kernelsm.surrogates.kernel_functions import LINEAR
from kernelsm.surrogates.subset_distributions import Array

RIDGES = tuple(float(f"{ridge:.4g}") for ridge in np.geomspace(1e-6, 10.0, 20))
# in units of 1/K
RELATIVE_GAMMAS = tuple(float(f"{gamma:.4g}") for gamma in np.geomspace(1e-2, 30.0, 20))
_DEFAULT_RIDGE = 0.1
ALIKE = 1e-6
"""Leave-one-out errors count as equal if their roots differ by less than this share of the outcomes' spread: with a
small λ few of their digits are certain."""
FEWEST_ROWS = 3  # with two, leaving one out predicts the other's outcome whatever the parameters
_FLOATS_AT_ONCE = 4_000_000


class Kernel(Protocol):
    """Computes kernel matrices of its inputs: rows of masks, or of whatever it is a kernel on."""

    def gram(self, first: NDArray[Any], second: NDArray[Any]) -> Array:
        """K of every pair of rows, shape (m, m')."""
        ...


@dataclass(frozen=True, eq=False)
class LooSurface:
    """Leave-one-out errors over a grid of γ and λ.

    Parameters
    ----------
    gammas : ndarray, shape (G,)
        γ; a single 1 for a kernel without it.
    ridges : ndarray, shape (R,)
        λ.
    errors : ndarray, shape (G, R, q)
        Mean squared leave-one-out error, in the outcome's unit squared.
    baseline : ndarray, shape (q,)
        The error of predicting each row by the mean of the others.
    default_gamma : float
        γ to take where the data cannot choose.
    """

    gammas: Array
    ridges: Array
    errors: Array
    baseline: Array
    default_gamma: float

    @cached_property
    def relative(self) -> Array:
        """Error over baseline, mean over the targets that vary, shape (G, R): 1 is no better than the mean."""
        varied = self.baseline > 0
        if not varied.any():
            return np.ones(self.errors.shape[:2])
        return np.asarray((self.errors[:, :, varied] / self.baseline[varied]).mean(axis=2))

    @property
    def best(self) -> tuple[float, float]:
        """γ and λ of the least relative error; where all are equal, the grid's nearest to 1/K and 0.1."""
        row, column = self.best_cell
        return float(self.gammas[row]), float(self.ridges[column])

    @property
    def best_cell(self) -> tuple[int, int]:
        """Indices of `best` in `gammas` and `ridges`."""
        errors = self.relative
        if not np.ptp(np.sqrt(errors)) > ALIKE:
            return (
                first_least(np.abs(np.log(self.gammas / self.default_gamma))),
                first_least(np.abs(np.log(self.ridges / _DEFAULT_RIDGE))),
            )
        return least_error(errors, self.gammas, self.ridges)

    @property
    def best_ridges(self) -> Array:
        """For each γ the λ of the least relative error, shape (G,)."""
        cells = [least_error(errors[None], self.gammas[:1], self.ridges) for errors in self.relative]
        return np.asarray(self.ridges[[column for _, column in cells]])


def least_error(errors: Array, gammas: Array, ridges: Array) -> tuple[int, int]:
    """Return the indices in `gammas` and in `ridges` of the least error.

    Ties (see `ALIKE`) go to the smoothest surrogate: the smallest γ, then the largest λ.

    Parameters
    ----------
    errors : ndarray, shape (G, R)
        Squared, relative to the outcomes' variance.
    gammas : ndarray, shape (G,)
    ridges : ndarray, shape (R,)
    """
    rows, columns = rising(gammas), rising(ridges)[::-1]
    row, column = divmod(first_least(np.sqrt(errors[np.ix_(rows, columns)]), tolerance=ALIKE), len(columns))
    return int(rows[row]), int(columns[column])


class Spectrum:
    """Eigenvectors of a kernel matrix off the intercept: residuals of every λ at once.

    λA = P + U diag(λ/(w+λ)) Uᵀ, where P projects on the directions that neither U nor the intercept spans.
    """

    def __init__(self, basis: Array, eigenvalues: Array, fit_intercept: bool, complete: bool) -> None:
        self._basis = basis
        self._eigenvalues = np.maximum(eigenvalues, 0.0)
        self._fit_intercept = fit_intercept
        self._complete = complete

    @classmethod
    def of_kernel(cls, gram: Array, fit_intercept: bool) -> Spectrum:
        """Decompose K, shape (m, m)."""
        if not fit_intercept:
            eigenvalues, basis = linalg.eigh(gram, driver="evd", check_finite=False)
            return cls(basis, eigenvalues, fit_intercept, complete=True)
        # a reflection that turns the vector of ones into the first axis leaves the other axes off the intercept
        m = len(gram)
        mirror = np.full(m, 1 / np.sqrt(m))
        mirror[0] += 1.0
        mirror /= np.linalg.norm(mirror)
        pull = gram @ mirror
        turned = gram - 2 * (np.outer(mirror, pull) + np.outer(pull, mirror))
        turned += 4 * (mirror @ pull) * np.outer(mirror, mirror)
        eigenvalues, vectors = linalg.eigh(turned[1:, 1:], driver="evd", check_finite=False, overwrite_a=True)
        basis = np.vstack([np.zeros(m - 1), vectors])
        basis -= 2 * np.outer(mirror, mirror @ basis)
        return cls(basis, eigenvalues, fit_intercept, complete=True)

    @classmethod
    def of_inputs(cls, X: Array, fit_intercept: bool) -> Spectrum:
        """Decompose the linear kernel of X, shape (m, K), without its m x m matrix."""
        centred = X - X.mean(axis=0) if fit_intercept else X
        basis, singular, _ = linalg.svd(centred, full_matrices=False, check_finite=False)
        kept = singular > 1e-10 * max(float(singular[0]), 1e-300)
        return cls(basis[:, kept], singular[kept] ** 2, fit_intercept, complete=False)

    def residuals(self, values: Array, ridges: Array) -> Array:
        """Leave-one-out errors F_i - (prediction from the others), shape (m, R, q).

        The mean of a single row is unknown: NaN.
        """
        m, q = values.shape
        projected = self._basis.T @ values
        shrink = self._shrink(ridges)
        weighted = (shrink[:, :, None] * projected[:, None, :]).reshape(len(shrink), len(ridges) * q)
        top = (self._basis @ weighted).reshape(m, len(ridges), q)
        if not self._complete:
            top += (self._centred(values) - self._basis @ projected)[:, None, :]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(top / self.unexplained(ridges)[:, :, None])

    def unexplained(self, ridges: Array) -> Array:
        """λA_ii, the share of row i's own outcome that the fit leaves unexplained; shape (m, R)."""
        share = self._basis**2 @ self._shrink(ridges)
        if not self._complete:
            share += (1 - self._fit_intercept / len(share) - (self._basis**2).sum(axis=1))[:, None]
        return np.asarray(share)

    def likelihood(self, values: Array, ridges: Array) -> Array:
        """Restricted log-likelihood of each λ with σ² at its best, times the signal's standard deviation; (R, q).

        Where effects drown in noise the likelihood alone is largest without any signal, and intervals would vanish:
        the factor keeps the choice off that end (Chung et al., 2013, A nondegenerate penalized likelihood estimator
        for variance parameters in multilevel models). A constant is left out.
        """
        directions = len(values) - int(self._fit_intercept)
        spread = self._eigenvalues[:, None] + ridges
        determinant = np.log(spread).sum(axis=0)
        if not self._complete:
            determinant += (directions - len(spread)) * np.log(ridges)
        scale = np.log(np.maximum(self._scale(values, ridges), 1e-300))
        return np.asarray(0.5 * (scale + np.log(self.mean_variance) - directions * scale - determinant[:, None]))

    def noise(self, values: Array, ridges: Array) -> Array:
        """Noise variance σ²λ that each λ implies, with the likeliest σ²; shape (R, q)."""
        return self._scale(values, ridges) * ridges[:, None]

    def _scale(self, values: Array, ridges: Array) -> Array:
        """The likeliest σ² of each λ, shape (R, q)."""
        projected = (self._basis.T @ values) ** 2
        squares = (1 / (self._eigenvalues[:, None] + ridges)).T @ projected
        if not self._complete:
            rest = np.maximum((self._centred(values) ** 2).sum(axis=0) - projected.sum(axis=0), 0.0)
            squares += rest / ridges[:, None]
        return np.asarray(squares / (len(values) - int(self._fit_intercept)))

    @property
    def mean_variance(self) -> float:
        """Mean variance of the kernel over the rows, off the intercept: its own scale."""
        return float(self._eigenvalues.sum() / len(self._basis))

    def _shrink(self, ridges: Array) -> Array:
        return np.asarray(ridges / (self._eigenvalues[:, None] + ridges))

    def _centred(self, values: Array) -> Array:
        return values - values.mean(axis=0) if self._fit_intercept else values


def spectrum_of(function: Kernel, X: NDArray[Any], fit_intercept: bool) -> Spectrum:
    """Decompose a kernel on the rows of X; the linear one in the smaller of its two spaces."""
    if function == LINEAR and X.shape[1] < len(X):
        return Spectrum.of_inputs(X, fit_intercept)
    return Spectrum.of_kernel(function.gram(X, X), fit_intercept)


def loo_surface(
    X: NDArray[Any],
    values: Array,
    functions: Sequence[tuple[float, Kernel]],
    ridges: Sequence[float],
    fit_intercept: bool,
) -> LooSurface:
    """Compute the mean squared leave-one-out error of every kernel and λ.

    Parameters
    ----------
    X : ndarray, shape (m, K)
        Masks, or one row per input of whatever the kernels are on.
    values : ndarray, shape (m, q)
    functions : sequence of (γ, kernel)
    ridges : sequence of float
        λ > 0.
    fit_intercept : bool
    """
    grid = np.asarray(ridges, dtype=np.float64)
    q = values.shape[1]
    errors = np.zeros((len(functions), len(grid), q))
    for g, (_, function) in enumerate(functions if len(X) >= FEWEST_ROWS else ()):
        spectrum = spectrum_of(function, X, fit_intercept)
        for columns in column_blocks(len(X) * len(grid), q):
            residuals = spectrum.residuals(values[:, columns], grid)
            errors[g, :, columns] = np.einsum("irq,irq->rq", residuals, residuals) / len(X)
    gammas = np.array([gamma for gamma, _ in functions])
    return LooSurface(gammas, grid, np.nan_to_num(errors), mean_error(values, fit_intercept), 1 / X.shape[1])


def mean_error(values: Array, fit_intercept: bool) -> Array:
    """Mean squared error of predicting each row by the mean of the others (by 0 without intercept), shape (q,)."""
    m = len(values)
    if not fit_intercept:
        return np.asarray((values**2).mean(axis=0))
    spread = values.var(axis=0) * (m / max(m - 1, 1)) ** 2
    # a constant column's variance is rounding
    return np.asarray(np.where(varies(values), spread, 0.0))


def column_blocks(floats_per_column: int, q: int) -> list[slice]:
    """Split q columns so that a block of work fits into some tens of megabytes."""
    width = max(1, _FLOATS_AT_ONCE // floats_per_column)
    return [slice(start, min(start + width, q)) for start in range(0, q, width)]


def check_grid(place: str, values: Sequence[float]) -> Array:
    """Return a grid of parameters in rising order.

    Raises
    ------
    InputError
        Empty, or a value that is not above 0 and finite.
    """
    grid = np.unique(np.asarray(values, dtype=np.float64).ravel())
    if not len(grid) or not (grid > 0).all() or not np.isfinite(grid).all():
        raise InputError(place, repr(list(values))[:80], "numbers above 0", "Give at least one.")
    return grid


def tuning_rows(m: int, most: int | None) -> slice | np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows on which parameters are chosen: all, or `most` of them drawn at random (seed 0).

    Raises
    ------
    InputError
        `most` is below 3.
    """
    if most is not None and most < FEWEST_ROWS:
        raise InputError("tuning_rows", f"{most}", f"None or at least {FEWEST_ROWS}", "500 is plenty.")
    if most is None or m <= most:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(m, most, replace=False))
