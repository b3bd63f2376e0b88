"""The surrogates keep scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from kernelsm import KernelSurrogate, LinearSurrogate


# (an even polynomial kernel without a constant cannot fit the straight lines that these checks use)
@parametrize_with_checks(
    [
        LinearSurrogate(),
        KernelSurrogate(),
        KernelSurrogate(kernel="poly", coef0=1.0),
        KernelSurrogate(kernel="linear"),
    ]
)
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def test_clone_keeps_every_parameter():
    parameters = {
        "kernel": "poly", "gamma": 0.3, "ridge": 2.0, "degree": 3, "coef0": 1.0, "fit_intercept": False,
    }  # fmt: skip
    assert clone(KernelSurrogate(**parameters)).get_params() == parameters
    assert clone(LinearSurrogate(ridge=2.0, fit_intercept=False)).get_params() == {
        "ridge": 2.0,
        "fit_intercept": False,
    }


def test_grid_search_finds_the_ridge_that_predicts_best():
    rng = np.random.default_rng(0)
    masks = (rng.random((80, 8)) < 0.5).astype(float)
    F = masks @ rng.normal(size=8) + rng.normal(0, 0.1, 80)
    search = GridSearchCV(LinearSurrogate(), {"ridge": [1e-2, 1.0, 1e4]}, cv=4).fit(masks, F)
    assert search.best_params_["ridge"] < 1e4
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("surrogate", [LinearSurrogate(), KernelSurrogate()])
def test_score_is_the_coefficient_of_determination(surrogate):
    rng = np.random.default_rng(1)
    masks = rng.random((40, 5)) < 0.5
    F = np.column_stack([masks @ rng.normal(size=5), rng.normal(size=40)])
    g = surrogate.fit(masks, F)
    residual = ((F - g.predict(masks)) ** 2).sum(axis=0) / ((F - F.mean(axis=0)) ** 2).sum(axis=0)
    assert g.score(masks, F) == pytest.approx((1 - residual).mean())
    # a target of pure noise is not predicted on held-out subsets
    assert cross_val_score(surrogate, masks, F[:, 1], cv=5).mean() < 0.3
