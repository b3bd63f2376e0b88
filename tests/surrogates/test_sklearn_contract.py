"""The surrogates keep scikit-learn's contract."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from kernelsm import KernelSurrogate, KernelSurrogateCV, LinearSurrogate, LinearSurrogateCV

FEW = {"gammas": (0.05, 0.5), "ridges": (1e-3, 0.1)}
EVERY = [LinearSurrogate(), LinearSurrogateCV(), KernelSurrogate(), KernelSurrogateCV()]


# (an even polynomial kernel without a constant cannot fit the straight lines that these checks use)
@parametrize_with_checks(
    [
        LinearSurrogate(),
        LinearSurrogateCV(ridges=(1e-3, 0.1)),
        KernelSurrogate(),
        KernelSurrogate(kernel="poly", coef0=1.0),
        KernelSurrogate(kernel="linear"),
        KernelSurrogateCV(**FEW),
        KernelSurrogateCV(kernel="linear", ridges=(1e-3, 0.1)),
    ]
)
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (
            KernelSurrogate,
            {"kernel": "poly", "gamma": 0.3, "ridge": 2.0, "degree": 3, "coef0": 1.0, "fit_intercept": False},
        ),
        (
            KernelSurrogateCV,
            {
                "kernel": "poly", "gammas": (0.3,), "ridges": (2.0, 1.0), "degree": 3, "coef0": 1.0,
                "fit_intercept": False, "tuning_rows": 7,
            },
        ),
        (LinearSurrogate, {"ridge": 2.0, "fit_intercept": False}),
        (LinearSurrogateCV, {"ridges": (2.0,), "fit_intercept": False}),
    ],
)  # fmt: skip
def test_clone_keeps_every_parameter(kind, parameters):
    assert clone(kind(**parameters)).get_params() == parameters


@pytest.mark.parametrize("surrogate", EVERY, ids=str)
def test_a_fit_leaves_its_parameters_alone(surrogate):
    before = surrogate.get_params()
    surrogate.fit(np.eye(4), np.arange(4.0))
    assert surrogate.get_params() == before


def test_grid_search_finds_the_ridge_that_predicts_best():
    rng = np.random.default_rng(0)
    masks = (rng.random((80, 8)) < 0.5).astype(float)
    F = masks @ rng.normal(size=8) + rng.normal(0, 0.1, 80)
    search = GridSearchCV(LinearSurrogate(), {"ridge": [1e-2, 1.0, 1e4]}, cv=4).fit(masks, F)
    assert search.best_params_["ridge"] < 1e4
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("surrogate", EVERY, ids=str)
def test_score_is_the_coefficient_of_determination(surrogate):
    rng = np.random.default_rng(1)
    masks = rng.random((40, 5)) < 0.5
    F = np.column_stack([masks @ rng.normal(size=5), rng.normal(size=40)])
    g = surrogate.fit(masks, F)
    residual = ((F - g.predict(masks)) ** 2).sum(axis=0) / ((F - F.mean(axis=0)) ** 2).sum(axis=0)
    assert g.score(masks, F) == pytest.approx((1 - residual).mean())
    # a target of pure noise is not predicted on held-out subsets
    assert cross_val_score(surrogate, masks, F[:, 1], cv=5).mean() < 0.3


@pytest.mark.parametrize("surrogate", EVERY, ids=str)
def test_a_surrogate_works_at_the_end_of_a_pipeline(surrogate):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 3)) * np.array([1.0, 100.0, 0.01])
    F = X @ np.array([1.0, 0.01, 100.0])
    assert make_pipeline(StandardScaler(), surrogate).fit(X, F).score(X, F) > 0.95


@pytest.mark.parametrize("surrogate", EVERY, ids=str)
def test_a_pickled_surrogate_reads_the_same(surrogate):
    rng = np.random.default_rng(3)
    g = surrogate.fit(rng.random((20, 4)) < 0.5, rng.normal(size=(20, 2)))
    again = pickle.loads(pickle.dumps(g))
    np.testing.assert_allclose(again.interactions("shapley").std, g.interactions("shapley").std, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(again.attribution().values, g.attribution().values, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("surrogate", EVERY, ids=str)
@pytest.mark.parametrize("y", [np.arange(6.0), np.arange(6.0)[:, None], np.ones((6, 3))], ids=lambda y: str(y.shape))
def test_standard_deviations_have_the_shape_of_the_predictions(surrogate, y):
    masks = np.eye(6)
    mean, std = surrogate.fit(masks, y).predict(masks[:4], return_std=True)
    assert mean.shape == std.shape == (4, *y.shape[1:])
    np.testing.assert_allclose(mean, surrogate.predict(masks[:4]), rtol=1e-7, atol=1e-9)
