"""g(s) = b + Σ_k β_k s_k, the honest baseline of every kernel: λ given, or tuned by leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from kernelsm.runtime.checks import check_number
from kernelsm.runtime.near_ties import varies
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel_functions import LINEAR
from kernelsm.surrogates.subset_distributions import Array, FixedSize, Indices, SubsetDistribution, mean_masks
from kernelsm.surrogates.tuning import LooSurface, check_grid, loo_surface

LINEAR_RIDGES = tuple(float(f"{ridge:.4g}") for ridge in np.geomspace(1e-4, 1e4, 33))
_RANK_TOLERANCE = 1e-10  # singular values below this share of the largest are rounding


class LinearSurrogate(Surrogate):
    """Ridge regression on the indicator of each task, with a free intercept (paper eq. 3, regularised).

    Parameters
    ----------
    ridge : float
        λ ≥ 0 of λ‖β‖²; 0 is least squares of minimum norm.
    fit_intercept : bool
        Whether b is fitted (not penalised).

    Attributes
    ----------
    coef_ : ndarray, shape (K, q)
        β, the attribution at every subset.
    intercept_ : ndarray, shape (q,)
        b.
    ridge_ : float
        λ of the fit.

    Examples
    --------
    >>> from kernelsm import LinearSurrogate, bernoulli_masks
    >>> masks = bernoulli_masks(K=3, m=30)
    >>> g = LinearSurrogate(ridge=1e-6).fit(masks, 2.0 - masks[:, 0] + 0.5 * masks[:, 1] + 0.2 * masks[:, 2])
    >>> g.coef_.ravel().round(3).tolist()
    [-1.0, 0.5, 0.2]
    >>> bool(g.interactions().values.any())  # always zero, whatever the data
    False
    """

    def __init__(self, *, ridge: float = 0.1, fit_intercept: bool = True) -> None:
        self.ridge = ridge
        self.fit_intercept = fit_intercept

    def _ridge(self, X: Array, values: Array) -> float:
        check_number("ridge", self.ridge, least=0, fix="0.1 is the default.")
        return self.ridge

    def _fit(self, X: Array, values: Array) -> None:
        self.ridge_ = self._ridge(X, values)
        m = len(X)
        self._centre = X.mean(axis=0) if self.fit_intercept else np.zeros(X.shape[1])
        mean = values.mean(axis=0) if self.fit_intercept else np.zeros(values.shape[1])
        centred = values - mean
        if self.fit_intercept:  # a constant target leaves only rounding, which would be taken for an effect
            constant = ~varies(values)
            centred[:, constant], mean[constant] = 0.0, values[0, constant]
        basis, singular, axes = linalg.svd(X - self._centre, full_matrices=False, check_finite=False)
        kept = singular > _RANK_TOLERANCE * max(float(singular[0]), 1e-300)
        basis, singular, axes = basis[:, kept], singular[kept], axes[kept]
        self.coef_ = axes.T @ ((singular / (singular**2 + self.ridge_))[:, None] * (basis.T @ centred))
        self.intercept_ = mean - self._centre @ self.coef_
        self._rows = m
        # β ~ N(0, σ²/λ) before the data, σ² the noise: F'(F - fit) / (m - 1) is its restricted likelihood estimate.
        # Without a ridge β has no prior and each fitted direction costs a degree of freedom.
        used = int(self.fit_intercept) + (0 if self.ridge_ > 0 else len(singular))
        self.degrees_of_freedom_ = max(m - used, 0)
        self._centred = X - self._centre
        self._residuals = centred - self._centred @ self.coef_
        squares = np.einsum("iq,iq->q", centred, self._residuals)
        free = self.degrees_of_freedom_
        self.noise_variance_ = np.maximum(squares, 0.0) / free if free else np.full(len(mean), np.nan)
        # square root of the covariance of β over σ²; directions in which no subset varies keep their prior
        self._posterior_root = axes.T / np.sqrt(singular**2 + self.ridge_)
        self._axes = axes

    def _variance(self, directions: Array, constant: float) -> Array:
        """Variance of β'v (v in rows) plus `constant` times b at the centre, shape (R, q)."""
        factor = ((directions @ self._posterior_root) ** 2).sum(axis=1)
        unseen = np.maximum((directions**2).sum(axis=1) - ((directions @ self._axes.T) ** 2).sum(axis=1), 0.0)
        unseen[unseen < 1e-12 * (directions**2).sum(axis=1)] = 0.0
        factor = factor + (unseen / self.ridge_ if self.ridge_ > 0 else np.where(unseen > 0, np.inf, 0.0))
        factor += constant / self._rows if self.fit_intercept else 0.0
        with np.errstate(invalid="ignore"):  # zero noise times infinite uncertainty: unknown
            return np.outer(factor, self.noise_variance_)

    def _predict(self, X: Array) -> Array:
        return np.asarray(X @ self.coef_ + self.intercept_)

    def _predict_exchanges(self, at: Array, out: Indices, into: Indices) -> Array:
        return np.asarray(self._predict(at[None])[0] - self.coef_[out, None] + self.coef_[into])

    def _predict_variance(self, X: Array) -> Array:
        return self._variance(X - self._centre, 1.0)

    def _change(self, X: Array, reference: Array) -> tuple[Array, Array]:
        directions = X - reference
        return directions @ self.coef_, self._variance(directions, 0.0)

    def _attribution(self, distribution: SubsetDistribution) -> tuple[Array, Array]:
        directions = self._directions(distribution)
        return directions @ self.coef_, self._variance(directions, 0.0)

    def _directions(self, distribution: SubsetDistribution) -> Array:
        """What every task's readout makes of β, in rows, shape (K, K)."""
        K = len(self.coef_)
        directions = np.eye(K)
        if isinstance(distribution, FixedSize):  # with k in, one place fewer remains for the others
            directions -= (1 - np.eye(K)) / (K - 1)
        return directions

    def _left_out(self, distribution: SubsetDistribution) -> Array:
        """How every task's readout changes when each row is left out of the fit, shape (m, K, q).

        Without row i, β is less by C⁻¹x_i e_i / (1 - h_i), with C = X'X + λI and the leverage h_i.
        """
        scaled = self._centred @ self._posterior_root
        free = 1 - (scaled**2).sum(axis=1) - (1 / self._rows if self.fit_intercept else 0.0)
        # a row that alone decides a direction: without it nothing is known to change
        weight = np.divide(
            self._residuals, free[:, None], out=np.zeros_like(self._residuals), where=free[:, None] > 0
        )
        steps = scaled @ (self._directions(distribution) @ self._posterior_root).T
        return np.asarray(-steps[:, :, None] * weight[:, None, :])

    def _interactions(self, distribution: SubsetDistribution) -> Array:
        K, q = self.coef_.shape
        return np.zeros((K, K, q))

    def _pair_means(self, distribution: SubsetDistribution, j: int, k: int) -> Array:
        return self._predict(mean_masks(distribution, len(self.coef_), j, k))

    def _pair_variance(self, distribution: SubsetDistribution, first: Indices, second: Indices) -> Array:
        return np.zeros((len(first), self.coef_.shape[1]))


class LinearSurrogateCV(LinearSurrogate):
    """LinearSurrogate with the λ of the least leave-one-out error, one for all targets.

    Parameters
    ----------
    ridges : sequence of float
        λ tried, above 0.
    fit_intercept : bool

    Attributes
    ----------
    surface_ : LooSurface
        Leave-one-out errors of all λ; one row.
    ridge_ : float
        The best. Errors are relative to each target's own, so that targets count alike.

    Examples
    --------
    >>> from kernelsm import LinearSurrogateCV, bernoulli_masks
    >>> masks = bernoulli_masks(K=3, m=30)
    >>> g = LinearSurrogateCV(ridges=[0.001, 100.0]).fit(masks, 2.0 - masks[:, 0])
    >>> g.ridge_
    0.001
    """

    def __init__(self, *, ridges: Sequence[float] = LINEAR_RIDGES, fit_intercept: bool = True) -> None:
        self.ridges = ridges
        self.fit_intercept = fit_intercept

    def _ridge(self, X: Array, values: Array) -> float:
        ridges = check_grid("ridges", self.ridges).tolist()
        self.surface_: LooSurface = loo_surface(X, values, [(1.0, LINEAR)], ridges, self.fit_intercept)
        return self.surface_.best[1]
