"""Kernel ridge regression on subsets (paper eq. 7) with exact readouts: γ and λ given, or tuned by leave-one-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from sklearn.utils.validation import check_is_fitted

from kernelsm.runtime.checks import check_choice, check_number, check_whole
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel_functions import IDENTITY, LINEAR, RBF, Polynomial
from kernelsm.surrogates.measured_rows import distinct_rows, without_noise
from kernelsm.surrogates.posterior import Posterior
from kernelsm.surrogates.subset_distributions import Array, Indices, SubsetDistribution
from kernelsm.surrogates.subset_kernel import SubsetKernel, SumKernel
from kernelsm.surrogates.tuning import RELATIVE_GAMMAS, RIDGES, check_grid, loo_surface, tuning_rows

KernelName = Literal["rbf", "linear", "poly"]


class KernelSurrogate(Surrogate):
    """g(s) = b + Σ_i θ_i k(s_i, s) with θ = (K + λI)⁻¹(F - b).

    Parameters
    ----------
    kernel : {"rbf", "linear", "poly"}
        exp(-γ‖s-s'‖²), <s, s'>, or (γ<s, s'> + coef0)^degree.
    gamma : float, optional
        γ > 0 of "rbf" and "poly"; 1/K, the paper's, where not given. For "rbf" it is the prior on the order of
        interactions: an effect of order t carries tanh(γ/2)^t.
    ridge : float
        λ ≥ 0, added to the kernel matrix's diagonal: the noise's variance over the prior's.
    degree : int
        Degree ≥ 1 of "poly".
    coef0 : float
        Constant ≥ 0 of "poly".
    fit_intercept : bool
        Whether b is fitted: the generalised least squares mean 1'(K+λI)⁻¹F / 1'(K+λI)⁻¹1, not penalised.

    Attributes
    ----------
    dual_coef_ : ndarray, shape (m, q)
        θ.
    intercept_ : ndarray, shape (q,)
        b.
    scale_ : ndarray, shape (q,)
        σ² of each target, from the marginal likelihood.
    gamma_, ridge_ : float
        γ (NaN for "linear") and λ of the fit.
    masks_ : ndarray, shape (m, K)
        Training inputs; without noise each subset once.

    Notes
    -----
    With `fit(noise=0)` what λ leaves unexplained is no noise but part of F: a deviation that every subset has of its
    own. Fitted subsets keep their outcomes, and intervals hold what is unknown of the others.

    Examples
    --------
    >>> from kernelsm import KernelSurrogate, bernoulli_masks
    >>> masks = bernoulli_masks(K=6, m=80)
    >>> losses = 2.0 - masks[:, 0] - 0.5 * masks[:, 1] * masks[:, 2]  # tasks 2 and 3 help only together
    >>> g = KernelSurrogate(gamma=0.1, ridge=0.001).fit(masks, losses)
    >>> g.predict([[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1]]).round(1).tolist()
    [0.5, 1.0]
    >>> g.interactions().top(1)[["first", "second", "kind"]].values.tolist()
    [['task 2', 'task 3', 'synergy']]
    """

    def __init__(
        self,
        *,
        kernel: KernelName = "rbf",
        gamma: float | None = None,
        ridge: float = 0.1,
        degree: int = 2,
        coef0: float = 0.0,
        fit_intercept: bool = True,
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.ridge = ridge
        self.degree = degree
        self.coef0 = coef0
        self.fit_intercept = fit_intercept

    def _hyperparameters(self, X: Array, values: Array) -> tuple[float, float]:
        """Return γ and λ for these outcomes."""
        gamma = 1.0 / X.shape[1] if self.gamma is None else self.gamma
        check_number("gamma", gamma, above=0)
        check_number("ridge", self.ridge, least=0)
        return math.nan if self.kernel == "linear" else gamma, self.ridge

    def _fit(self, X: Array, values: Array) -> None:
        self.gamma_, self.ridge_ = self._hyperparameters(X, values)
        function = kernel_of(self.kernel, self.gamma_, self.degree, self.coef0)
        if without_noise(self._noise):
            self.measured_rows_ = distinct_rows(X, values)
            X, values = self.measured_rows_.masks, self.measured_rows_.values
        self._fit_function(function, X, values, noisy=self.measured_rows_ is None)

    def _fit_function(
        self, function: SubsetKernel, X: Array, values: Array, *, noisy: bool, gram: Array | None = None
    ) -> None:
        """Fit with this kernel; where outcomes have no noise, λ is the variance of every subset's own deviation.

        `gram` is its matrix where that is known already; it is overwritten.
        """
        self._posterior = Posterior(function.gram(X, X) if gram is None else gram, self.ridge_, self.fit_intercept)
        self.dual_coef_, self.intercept_, self.scale_ = self._posterior.fit(values)
        self._function = (
            function if noisy or not self.ridge_ else SumKernel(((1.0, function), (self.ridge_, IDENTITY)))
        )
        self.masks_ = X.copy()
        self.noise_variance_ = self.scale_ * (self.ridge_ if noisy else 0.0)
        self.degrees_of_freedom_ = self._posterior.degrees_of_freedom(len(X))

    def _predict(self, X: Array) -> Array:
        return np.asarray(self._function.gram(X, self.masks_) @ self.dual_coef_ + self.intercept_)

    def _predict_exchanges(self, at: Array, out: Indices, into: Indices) -> Array:
        return self._function.exchange_sums(self.masks_, self.dual_coef_, at, out, into) + self.intercept_

    def _predict_variance(self, X: Array) -> Array:
        cross = self._function.gram(self.masks_, X)
        return np.outer(self._posterior.variance(cross, self._function.diagonal(X), 1.0), self.scale_)

    def _change(self, X: Array, reference: Array) -> tuple[Array, Array]:
        function = self._function
        cross = function.gram(self.masks_, X) - function.gram(self.masks_, reference)
        prior = function.diagonal(X) + function.diagonal(reference) - 2 * function.gram(X, reference)[:, 0]
        return cross.T @ self.dual_coef_, np.outer(self._posterior.variance(cross, prior), self.scale_)

    def predict_mean(self, X: Array) -> tuple[Array, Array]:
        """Predict the mean of g over inputs, and its posterior standard deviation.

        Parameters
        ----------
        X : ndarray, shape (rows, K)

        Returns
        -------
        (ndarray, ndarray)
            Shape (q,) each. The deviation is that of the mean itself: doubts that the inputs share do not cancel.
        """
        check_is_fitted(self)
        cross = self._function.gram(self.masks_, X).mean(axis=1, keepdims=True)
        prior = np.array([self._function.gram(X, X).mean()])
        value = (cross.T @ self.dual_coef_)[0] + self.intercept_
        return value, np.sqrt(self._posterior.variance(cross, prior, 1.0)[0] * self.scale_)

    def _attribution(self, distribution: SubsetDistribution) -> tuple[Array, Array]:
        effects = self._function.effects(distribution, self.masks_)
        K = self.masks_.shape[1]
        prior = self._function.prior(distribution, K, np.arange(K))
        return effects.T @ self.dual_coef_, np.outer(self._posterior.variance(effects, prior), self.scale_)

    def _interactions(self, distribution: SubsetDistribution) -> Array:
        return self._function.pair_sums(distribution, self.masks_, self.dual_coef_)

    def _pair_means(self, distribution: SubsetDistribution, j: int, k: int) -> Array:
        means = self._function.pair_means(distribution, self.masks_, j, k)
        return np.asarray(means.T @ self.dual_coef_ + self.intercept_)

    def _pair_variance(self, distribution: SubsetDistribution, first: Indices, second: Indices) -> Array:
        effects = self._function.pair_effects(distribution, self.masks_, first, second)
        prior = self._function.prior(distribution, self.masks_.shape[1], first, second)
        return np.outer(self._posterior.variance(effects, prior), self.scale_)


class KernelSurrogateCV(KernelSurrogate):
    """KernelSurrogate with the γ and λ of the least leave-one-out error, one pair for all targets.

    Parameters
    ----------
    kernel : {"rbf", "linear", "poly"}
    gammas : sequence of float, optional
        γ tried; twenty from 0.01/K to 30/K where not given.
    ridges : sequence of float
        λ tried, above 0.
    degree, coef0, fit_intercept
        As of `KernelSurrogate`.
    tuning_rows : int, optional
        At most this many subsets, drawn at random, choose γ and λ (the fit takes all): an eigendecomposition per γ
        grows with their cube. None takes all.

    Attributes
    ----------
    surface_ : LooSurface
        Leave-one-out errors of the whole grid.
    gamma_, ridge_ : float
        The best. Errors are relative to each target's own, so that targets count alike. With fewer than three subsets
        or no target that varies there is nothing to choose by: the grid's nearest to 1/K and 0.1.

    Examples
    --------
    >>> from kernelsm import KernelSurrogateCV, bernoulli_masks
    >>> masks = bernoulli_masks(K=6, m=80)
    >>> losses = 2.0 - masks[:, 0] - 0.5 * masks[:, 1] * masks[:, 2]  # tasks 2 and 3 help only together
    >>> g = KernelSurrogateCV().fit(masks, losses)
    >>> g.surface_.relative.shape  # leave-one-out error of every γ and λ, as a part of the variance
    (20, 20)
    >>> bool(g.surface_.relative.min() < 0.001)
    True
    """

    def __init__(
        self,
        *,
        kernel: KernelName = "rbf",
        gammas: Sequence[float] | None = None,
        ridges: Sequence[float] = RIDGES,
        degree: int = 2,
        coef0: float = 0.0,
        fit_intercept: bool = True,
        tuning_rows: int | None = 1000,
    ) -> None:
        self.kernel = kernel
        self.gammas = gammas
        self.ridges = ridges
        self.degree = degree
        self.coef0 = coef0
        self.fit_intercept = fit_intercept
        self.tuning_rows = tuning_rows

    def _hyperparameters(self, X: Array, values: Array) -> tuple[float, float]:
        gammas = default_gammas(X.shape[1]) if self.gammas is None else self.gammas
        tried = [1.0] if self.kernel == "linear" else check_grid("gammas", gammas).tolist()
        functions = [(gamma, kernel_of(self.kernel, gamma, self.degree, self.coef0)) for gamma in tried]
        rows = tuning_rows(len(X), self.tuning_rows)
        self.surface_ = loo_surface(
            X[rows], values[rows], functions, check_grid("ridges", self.ridges).tolist(), self.fit_intercept
        )
        gamma, ridge = self.surface_.best
        return math.nan if self.kernel == "linear" else gamma, ridge


def default_gammas(K: int) -> tuple[float, ...]:
    """Grid of γ around 1/K."""
    return tuple(gamma / K for gamma in RELATIVE_GAMMAS)


def kernel_of(kernel: str, gamma: float, degree: int = 2, coef0: float = 0.0) -> SubsetKernel:
    """Return the kernel of that name.

    Raises
    ------
    InputError
        An unknown name, or a parameter out of its range.
    """
    if kernel == "rbf":
        return RBF(gamma)
    if kernel == "linear":
        return LINEAR
    check_choice("kernel", kernel, get_args(KernelName))
    check_number("coef0", coef0, least=0)
    return Polynomial(gamma=gamma, coef0=coef0, degree=check_whole("degree", degree, floats=True))
