"""KernelSurrogate: kernel ridge regression on subsets (paper eq. 7), with exact readouts."""

from __future__ import annotations

import math
import warnings
from typing import Literal

import numpy as np
from scipy import linalg

from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.base import Array, Surrogate
from kernelsm.surrogates.kernel_functions import RBF, Polynomial, SubsetKernel

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
        λ ≥ 0, added to the kernel matrix's diagonal.
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
    masks_ : ndarray, shape (m, K)
        Training inputs.
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

    def kernel_function(self, K: int) -> SubsetKernel:
        """Return the kernel for inputs of K tasks.

        Raises
        ------
        InputError
            A parameter out of its range.
        """
        gamma = 1.0 / K if self.gamma is None else self.gamma
        checks = (
            ("gamma", gamma, 0 < gamma < math.inf, "a finite number above 0"),
            ("ridge", self.ridge, 0 <= self.ridge < math.inf, "a finite number from 0"),
            ("degree", self.degree, self.degree >= 1 and int(self.degree) == self.degree, "a whole number from 1"),
            ("coef0", self.coef0, self.coef0 >= 0, "0 or more"),
        )
        for place, found, fine, expected in checks:
            if not fine:
                raise InputError(place, repr(found), expected, "Change this parameter.")
        if self.kernel == "rbf":
            return RBF(gamma)
        if self.kernel == "linear":
            return Polynomial(gamma=1.0, coef0=0.0, degree=1)
        if self.kernel == "poly":
            return Polynomial(gamma=gamma, coef0=self.coef0, degree=int(self.degree))
        raise InputError("kernel", repr(self.kernel), "'rbf', 'linear' or 'poly'", "Choose one of these.")

    def _fit(self, X: Array, values: Array) -> None:
        self._function = self.kernel_function(X.shape[1])
        matrix = self._function.gram(X, X)
        matrix.flat[:: len(matrix) + 1] += self.ridge
        solved = _solve(matrix, np.column_stack([values, np.ones(len(values))]), self.ridge)
        theta, ones = solved[:, :-1], solved[:, -1]
        if self.fit_intercept and ones.sum() > 0:
            self.intercept_ = theta.sum(axis=0) / ones.sum()
        else:
            self.intercept_ = np.zeros(values.shape[1])
        self.dual_coef_ = theta - np.outer(ones, self.intercept_)
        self.masks_ = X.copy()

    def _predict(self, X: Array) -> Array:
        return np.asarray(self._function.gram(X, self.masks_) @ self.dual_coef_ + self.intercept_)

    def _leave_one_out(self, at: Array) -> Array:
        return np.asarray(self._function.leave_one_out(self.masks_, at).T @ self.dual_coef_)

    def _inclusion(self, p: float | None, size: int | None) -> Array:
        return np.asarray(self._function.inclusion(self.masks_, p, size).T @ self.dual_coef_)

    def _second_difference(self, at: Array) -> Array:
        return self._function.second_difference(self.masks_, self.dual_coef_, at)


def _solve(matrix: Array, right: Array, ridge: float) -> Array:
    """Solve (K + λI) θ = F; a singular matrix (λ = 0 with duplicates) in the least-norm sense, with a warning."""
    if ridge > 0:
        try:
            return np.asarray(linalg.cho_solve(linalg.cho_factor(matrix, lower=True), right))
        except linalg.LinAlgError:  # a ridge below rounding: as good as none
            pass
    solved, _, rank, _ = linalg.lstsq(matrix, right)
    if rank < len(matrix):
        warnings.warn(
            "the kernel matrix is singular (duplicate subsets and ridge 0?): the least-norm fit is used; raise ridge",
            linalg.LinAlgWarning,
            stacklevel=4,
        )
    return np.asarray(solved)
