"""What experts fit to a table instead of a kernel surrogate, each in its best documented setting for few rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

Array = NDArray[np.float64]

LEAST_LEAF = 5
"""Rows of a leaf: the 20 that LightGBM and scikit-learn ask for leave stumps where there are a hundred."""


class EachTarget:
    """One regressor for each target.

    Parameters
    ----------
    make : callable
        Returns a regressor with `fit(X, y)` and `predict(X)`.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def fit(self, masks: Array, values: Array) -> EachTarget:
        """Fit a new regressor to each column of (m, q) values."""
        X = np.asarray(masks, dtype=np.float64)
        self.parts = [self.make().fit(X, column) for column in values.T]
        return self

    def predict(self, masks: Array) -> Array:
        """Predict all columns, shape (m, q)."""
        X = np.asarray(masks, dtype=np.float64)
        return np.stack([np.asarray(part.predict(X)) for part in self.parts], axis=1)


def hist_boosting(**settings: Any) -> EachTarget:
    """Scikit-learn's gradient boosting on histograms."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return EachTarget(partial(HistGradientBoostingRegressor, random_state=0, **settings))


_SLOW: dict[str, Any] = {"subsample": 0.8, "subsample_freq": 1, "min_child_samples": LEAST_LEAF}
LIGHT_GBM_SETTINGS: tuple[dict[str, Any], ...] = (
    {"min_child_samples": LEAST_LEAF},
    {"n_estimators": 500, "learning_rate": 0.05, "num_leaves": 15, "colsample_bytree": 0.8, **_SLOW},
    {"n_estimators": 1000, "learning_rate": 0.05, "num_leaves": 8, "max_depth": 3, "colsample_bytree": 0.8, **_SLOW},
    {"n_estimators": 1000, "learning_rate": 0.03, "num_leaves": 8, "colsample_bytree": 0.5, "reg_lambda": 1.0,
     **_SLOW, "min_child_samples": 3},
)  # fmt: skip


def light_gbm() -> EachTarget:
    """LightGBM, for each target the best of `LIGHT_GBM_SETTINGS` by three-fold cross-validation."""
    from lightgbm import LGBMRegressor
    from sklearn.model_selection import GridSearchCV, KFold

    grid = [{name: [value] for name, value in settings.items()} for settings in LIGHT_GBM_SETTINGS]
    folds = KFold(3, shuffle=True, random_state=0)
    base = LGBMRegressor(random_state=0, n_jobs=1, verbose=-1)
    return EachTarget(lambda: _Named(GridSearchCV(base, grid, cv=folds, scoring="neg_mean_squared_error")))


class _Named:
    """Gives columns names, which LightGBM otherwise invents and then warns that predictions lack them."""

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, X: Array, y: Array) -> _Named:
        self.regressor.fit(_frame(X), y)
        return self

    def predict(self, X: Array) -> Array:
        return np.asarray(self.regressor.predict(_frame(X)))


def _frame(X: Array) -> Any:
    import pandas as pd

    return pd.DataFrame(X, columns=[f"f{k}" for k in range(X.shape[1])])


class LassoOnPairs:
    """Lasso on all tasks and all products of two; coding and penalty by cross-validation.

    Codings: 0/1, ±1, and standardised before products are taken, which are the same functions but not the same
    penalty. Five folds and 50 penalties; where there are more than `MANY` columns three and 20, of one coding: ±1
    where tasks are in about half of the subsets, else 0/1.
    """

    MANY = 5000

    def fit(self, X: Array, y: Array) -> LassoOnPairs:
        """Fit one target."""
        from sklearn.linear_model import LassoCV

        K = X.shape[1]
        mean, spread = X.mean(axis=0), np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
        raw, signs, standard = (np.zeros(K), np.ones(K)), (np.full(K, 0.5), np.full(K, 0.5)), (mean, spread)
        few = K * (K + 1) // 2 <= self.MANY
        codings = [raw, signs, standard] if few else [signs if abs(float(mean.mean()) - 0.5) < 0.25 else raw]
        folds, penalties = (5, 50) if few else (3, 20)
        fits = [
            LassoCV(alphas=penalties, cv=folds, tol=1e-3, random_state=0).fit(_tasks_and_pairs(X, *coding), y)
            for coding in codings
        ]
        best = int(np.argmin([fit.mse_path_.mean(axis=1).min() for fit in fits]))
        self.lasso, self.coding = fits[best], codings[best]
        return self

    def predict(self, X: Array) -> Array:
        """Predict one target."""
        return np.asarray(self.lasso.predict(_tasks_and_pairs(X, *self.coding)))


def _tasks_and_pairs(X: Array, mean: Array, spread: Array) -> Array:
    coded = (X - mean) / spread
    first, second = np.triu_indices(X.shape[1], k=1)
    return np.asfortranarray(np.concatenate([coded, coded[:, first] * coded[:, second]], axis=1))


class RelevanceProcess:
    """A Gaussian process with one length per task (automatic relevance), of most evidence: scikit-learn's.

    Scikit-learn's own optimiser asks for the evidence with an (m, m, K) array of derivatives; `_Evidence` gives the
    same numbers from matrix products, some fifty times faster, so that K = 200 and m = 1,000 can be compared.
    """

    def fit(self, X: Array, y: Array) -> RelevanceProcess:
        """Fit one target."""
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        K = X.shape[1]
        kernel = ConstantKernel(1.0, (1e-3, 1e5)) * RBF(np.full(K, np.sqrt(K)), (0.1, 1e3)) + WhiteKernel(
            0.1, (1e-6, 10.0)
        )
        scale = float(y.std()) or 1.0
        evidence = _Evidence(X, (y - y.mean()) / scale)
        self.process = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=evidence.optimise).fit(X, y)
        return self

    def predict(self, X: Array) -> Array:
        """Predict one target."""
        return np.asarray(self.process.predict(X))


class _Evidence:
    """Log marginal likelihood of c·exp(-Σ_k (x_k - x'_k)²/2l_k²) + noise, and its gradient in log c, l and noise."""

    STARTS = (0.0, 1.0)  # added to the log lengths of the first guess; the first alone above MANY rows
    MANY, STEPS = 500, 100

    def __init__(self, X: Array, y: Array) -> None:
        self.X, self.y = X, y

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Negative log marginal likelihood and its gradient."""
        size, lengths, noise = np.exp(theta[0]), np.exp(theta[1:-1]), np.exp(theta[-1])
        scaled = self.X / lengths
        squares = (scaled**2).sum(axis=1)
        smooth = size * np.exp(-0.5 * np.maximum(squares[:, None] + squares - 2 * scaled @ scaled.T, 0.0))
        m = len(self.y)
        try:
            root = linalg.cholesky(smooth + (noise + 1e-10) * np.eye(m), lower=True, check_finite=False)
        except linalg.LinAlgError:
            return np.inf, np.zeros_like(theta)
        inverse = linalg.cho_solve((root, True), np.eye(m), check_finite=False)
        weights = inverse @ self.y
        value = 0.5 * self.y @ weights + np.log(np.diag(root)).sum() + 0.5 * m * np.log(2 * np.pi)
        outer = np.outer(weights, weights) - inverse
        both = outer * smooth
        by_length = both.sum(axis=1) @ scaled**2 - np.einsum("ik,ik->k", scaled, both @ scaled)
        gradient = np.concatenate([[0.5 * both.sum()], by_length, [0.5 * noise * np.trace(outer)]])
        return float(value), -gradient

    def optimise(self, _objective: Any, start: Array, bounds: Array) -> tuple[Array, float]:
        """Scikit-learn's interface of an optimiser."""
        found = []
        for shift in self.STARTS if len(self.y) <= self.MANY else self.STARTS[:1]:
            begin = start.copy()
            begin[1:-1] += shift
            found.append(optimize.minimize(self, begin, jac=True, bounds=bounds, options={"maxiter": self.STEPS}))
        best = min(found, key=lambda one: float(one.fun))
        return best.x, float(best.fun)


class ProxySpex:
    """ProxySPEX by `spectralexplain`: the sparse Fourier series of a tuned LightGBM, refitted by ridge regression.

    As it comes it has leaves of 20 rows and no constant term: here leaves of `LEAST_LEAF`, and centred outcomes.
    """

    def fit(self, X: Array, y: Array) -> ProxySpex:
        """Fit one target."""
        from lightgbm import LGBMRegressor
        from spectralexplain import utils

        def small_leaves(**settings: Any) -> Any:
            return LGBMRegressor(**{**settings, "n_jobs": 1, "min_child_samples": LEAST_LEAF})

        self.mean = float(y.mean())
        library, utils.lgb = utils.lgb, SimpleNamespace(LGBMRegressor=small_leaves)
        try:
            series = utils.proxy_spex((X, y - self.mean), max_order=5)
        finally:
            utils.lgb = library
        self.tasks = np.array(list(series), dtype=np.float64)
        self.coefficients = np.array(list(series.values()))
        return self

    def predict(self, X: Array) -> Array:
        """Predict one target."""
        odd = np.rint(X @ self.tasks.T) % 2
        return np.asarray(self.mean + (1 - 2 * odd) @ self.coefficients)
