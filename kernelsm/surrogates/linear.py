"""LinearSurrogate: g(s) = b + Σ_k β_k s_k, the honest baseline of every kernel."""

from __future__ import annotations

import math

import numpy as np
from scipy import linalg

from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.base import Array, Surrogate


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
    """

    def __init__(self, *, ridge: float = 0.1, fit_intercept: bool = True) -> None:
        self.ridge = ridge
        self.fit_intercept = fit_intercept

    def _fit(self, X: Array, values: Array) -> None:
        if not 0 <= self.ridge < math.inf:
            raise InputError("ridge", f"{self.ridge}", "a finite number from 0", "0.1 is the default.")
        centre = X.mean(axis=0) if self.fit_intercept else np.zeros(X.shape[1])
        mean = values.mean(axis=0) if self.fit_intercept else np.zeros(values.shape[1])
        centred = X - centre
        if self.ridge > 0:
            gram = centred.T @ centred
            gram.flat[:: len(gram) + 1] += self.ridge
            self.coef_ = linalg.solve(gram, centred.T @ (values - mean), assume_a="pos")
        else:
            self.coef_ = linalg.lstsq(centred, values - mean)[0]
        self.intercept_ = mean - centre @ self.coef_

    def _predict(self, X: Array) -> Array:
        return np.asarray(X @ self.coef_ + self.intercept_)

    def _leave_one_out(self, at: Array) -> Array:
        return np.array(self.coef_)

    def _inclusion(self, p: float | None, size: int | None) -> Array:
        if size is None:
            return np.array(self.coef_)
        # with k in, one place fewer is left for each of the others
        K = len(self.coef_)
        others = (self.coef_.sum(axis=0) - self.coef_) / (K - 1)
        return np.asarray(self.coef_ - others)

    def _second_difference(self, at: Array) -> Array:
        K, q = self.coef_.shape
        return np.zeros((K, K, q))
