"""Who is compared: surrogates of kernelsm by name, and what experts would pick instead, each in its best setting."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import kernelsm
from kernelsm import KernelSurrogate, KernelSurrogateCV, LinearSurrogateCV, default_surrogate

Array = NDArray[np.float64]
SURROGATE_CODE = Path(kernelsm.__file__).parent / "surrogates"


class Contender(Protocol):
    """Fits a table of subsets and outcomes, predicts others."""

    def fit(self, masks: Array, values: Array) -> Any:
        """Fit to (m, K) masks and (m, q) values."""

    def predict(self, masks: Array) -> Array:
        """Predict, shape (m, q)."""


class EachTarget:
    """One regressor for each target."""

    def __init__(self, make: Callable[[Array, Array], Any]) -> None:
        self.make = make

    def fit(self, masks: Array, values: Array) -> EachTarget:
        """Fit a new regressor to each column."""
        X = np.asarray(masks, dtype=np.float64)
        self.parts = [self.make(X, column).fit(X, column) for column in values.T]
        return self

    def predict(self, masks: Array) -> Array:
        """Predict all columns."""
        X = np.asarray(masks, dtype=np.float64)
        return np.stack([np.asarray(part.predict(X)) for part in self.parts], axis=1)


def _hist_boosting(**settings: Any) -> Callable[[Array, Array], Any]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return lambda X, y: HistGradientBoostingRegressor(random_state=0, **settings)


def hist_boosting() -> Contender:
    """Scikit-learn's gradient boosting as it comes: 20 rows a leaf."""
    return EachTarget(_hist_boosting())


def hist_boosting_small_leaves() -> Contender:
    """The same with leaves of 5 rows, the better setting for hundreds of rows."""
    return EachTarget(_hist_boosting(min_samples_leaf=5))


def light_gbm() -> Contender:
    """LightGBM with leaves of 5 rows (its 20 leave stumps at 100 rows) and a slow rate, as its guide advises."""
    from lightgbm import LGBMRegressor

    settings: dict[str, Any] = {
        "n_estimators": 500, "learning_rate": 0.05, "num_leaves": 15, "min_child_samples": 5, "subsample": 0.8,
        "subsample_freq": 1, "colsample_bytree": 0.8, "random_state": 0, "n_jobs": 1, "verbose": -1,
    }  # fmt: skip
    return EachTarget(lambda X, y: LGBMRegressor(**settings))


class PairsOfColumns:
    """Columns, and products of all pairs of them."""

    def __call__(self, X: Array) -> Array:
        """Return (m, K + K(K-1)/2) columns of ±1: their products hardly correlate."""
        signs = 2.0 * X - 1.0
        first, second = np.triu_indices(X.shape[1], k=1)
        return np.concatenate([signs, signs[:, first] * signs[:, second]], axis=1)


class LassoOnPairs:
    """Lasso on all tasks and pairs of tasks, its penalty chosen by five-fold cross-validation."""

    def __init__(self) -> None:
        from sklearn.linear_model import LassoCV

        self.columns = PairsOfColumns()
        self.lasso = LassoCV(alphas=50, cv=5, max_iter=5000, random_state=0)

    def fit(self, X: Array, y: Array) -> LassoOnPairs:
        """Fit one target."""
        self.lasso.fit(self.columns(X), y)
        return self

    def predict(self, X: Array) -> Array:
        """Predict one target."""
        return np.asarray(self.lasso.predict(self.columns(X)))


def lasso_pairs() -> Contender:
    """Lasso on all pairs."""
    return EachTarget(lambda X, y: LassoOnPairs())


SURROGATES: dict[str, tuple[Callable[[], Contender], Sequence[str]]] = {
    "default": (default_surrogate, ("*.py",)),
    "tuned_linear": (LinearSurrogateCV, ("base.py", "linear.py", "tuning.py")),
    "tuned_rbf": (KernelSurrogateCV, ("base.py", "kernel*.py", "tuning.py")),
    "authors": (lambda: KernelSurrogate(ridge=0.1, fit_intercept=False), ("base.py", "kernel.py")),
}
RIVALS: dict[str, tuple[Callable[[], Contender], Sequence[str]]] = {
    "hist_boosting": (hist_boosting, ("scikit-learn",)),
    "hist_boosting_leaf_5": (hist_boosting_small_leaves, ("scikit-learn",)),
    "light_gbm": (light_gbm, ("lightgbm",)),
    "lasso_pairs": (lasso_pairs, ("scikit-learn",)),
}
REVISIONS: dict[str, int] = {}
"""Raised where the setting of a rival changes, so that what it answered before is asked anew."""


def contender(name: str) -> Contender:
    """Make a contender: a name of `SURROGATES` or `RIVALS`, or "module:Class(argument=literal, ...)"."""
    if name in SURROGATES:
        return SURROGATES[name][0]()
    if name in RIVALS:
        return RIVALS[name][0]()
    module, _, call = name.partition(":")
    if not call:
        known = ", ".join([*SURROGATES, *RIVALS])
        raise SystemExit(f"no contender {name!r}: take one of {known}, or module:Class(argument=literal)")
    made = ast.parse(call, mode="eval").body
    arguments = {}
    if isinstance(made, ast.Call):
        arguments = {str(word.arg): ast.literal_eval(word.value) for word in made.keywords}
        made = made.func
    return getattr(import_module(module), ast.unparse(made))(**arguments)  # type: ignore[no-any-return]


def fingerprint(name: str) -> str:
    """What a contender's answers depend on beside its table: versions of packages, or the code of the surrogates."""
    if name in RIVALS:
        parts = [f"{package} {version(package)}" for package in RIVALS[name][1]] + [str(REVISIONS.get(name, 0))]
    else:
        patterns = SURROGATES[name][1] if name in SURROGATES else ("*.py",)
        files = sorted({file for pattern in patterns for file in SURROGATE_CODE.rglob(pattern)})
        parts = [file.read_text() for file in files]
    return sha256("\n".join([name, *parts]).encode()).hexdigest()
