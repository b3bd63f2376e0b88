"""Predictions of the surrogates against textbook formulas and scikit-learn."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from kernelsm import KernelSurrogate, LinearSurrogate


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    X, new = ((rng.random((m, 7)) < 0.5).astype(float) for m in (30, 12))
    return X, rng.normal(size=(30, 3)) + 5.0, new


def assert_equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gamma", [None, 0.05, 2.0])
def test_the_kernel_surrogate_is_a_gaussian_process_with_a_flat_prior_on_its_mean(data, gamma):
    X, F, new = data
    ridge = 0.2
    rate = 1 / 7 if gamma is None else gamma
    k = np.exp(-rate * ((X[:, None] - X[None]) ** 2).sum(-1))
    k_new = np.exp(-rate * ((new[:, None] - X[None]) ** 2).sum(-1))
    # the joint system of universal kriging: [[k + ridge I, 1], [1', 0]] [theta; b] = [F; 0]
    m = len(X)
    system = np.block([[k + ridge * np.eye(m), np.ones((m, 1))], [np.ones((1, m)), np.zeros((1, 1))]])
    solution = np.linalg.solve(system, np.vstack([F, np.zeros((1, 3))]))
    theta, b = solution[:m], solution[m]
    g = KernelSurrogate(gamma=gamma, ridge=ridge).fit(X, F)
    assert_equal(g.dual_coef_, theta)
    assert_equal(g.intercept_, b)
    assert_equal(g.predict(new), k_new @ theta + b)


@pytest.mark.parametrize(
    ("kernel", "ours", "theirs"),
    [
        ("rbf", {"gamma": 0.3}, {"gamma": 0.3}),
        ("rbf", {}, {"gamma": 1 / 7}),
        ("linear", {}, {}),
        ("poly", {"gamma": 0.4, "degree": 3, "coef0": 1.0}, {"gamma": 0.4, "degree": 3, "coef0": 1.0}),
        ("poly", {"degree": 2}, {"gamma": 1 / 7, "degree": 2, "coef0": 0.0}),
    ],
)
def test_without_intercept_it_is_kernel_ridge_regression(data, kernel, ours, theirs):
    X, F, new = data
    g = KernelSurrogate(kernel=kernel, ridge=0.2, fit_intercept=False, **ours).fit(X, F)
    assert_equal(g.predict(new), KernelRidge(kernel=kernel, alpha=0.2, **theirs).fit(X, F).predict(new))


@pytest.mark.parametrize("intercept", [True, False])
def test_the_linear_surrogate_is_ridge_regression(data, intercept):
    X, F, new = data
    ours = LinearSurrogate(ridge=0.7, fit_intercept=intercept).fit(X, F)
    theirs = Ridge(alpha=0.7, fit_intercept=intercept).fit(X, F)
    assert_equal(ours.predict(new), theirs.predict(new))
    assert_equal(ours.coef_, theirs.coef_.T)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_linear_kernel_is_the_linear_surrogate(data, intercept):
    X, F, new = data
    kernel = KernelSurrogate(kernel="linear", ridge=0.7, fit_intercept=intercept).fit(X, F)
    linear = LinearSurrogate(ridge=0.7, fit_intercept=intercept).fit(X, F)
    assert_equal(kernel.predict(new), linear.predict(new))
    assert_equal(kernel.attribution().values, linear.coef_)


def test_a_constant_added_to_the_outcomes_moves_the_prediction_by_it(data):
    X, F, new = data
    for g in (LinearSurrogate(), KernelSurrogate()):
        before = g.fit(X, F).predict(new)
        assert_equal(g.fit(X, F + 100.0).predict(new), before + 100.0)


def test_targets_are_fitted_independently(data):
    X, F, new = data
    for g in (LinearSurrogate(), KernelSurrogate()):
        together = g.fit(X, F).predict(new)
        alone = np.column_stack([g.fit(X, F[:, j]).predict(new) for j in range(3)])
        assert_equal(together, alone)


def test_a_small_ridge_reproduces_the_training_outcomes(data):
    X, F, _ = data
    distinct, rows = np.unique(X, axis=0, return_index=True)
    assert len(rows) > 20
    g = KernelSurrogate(ridge=1e-9).fit(distinct, F[rows])
    np.testing.assert_allclose(g.predict(distinct), F[rows], atol=1e-4)


def test_a_huge_ridge_leaves_the_mean(data):
    X, F, new = data
    for g in (LinearSurrogate(ridge=1e12), KernelSurrogate(ridge=1e12)):
        np.testing.assert_allclose(g.fit(X, F).predict(new), np.tile(F.mean(axis=0), (12, 1)), rtol=1e-6)


@pytest.mark.parametrize("surrogate", [LinearSurrogate(), KernelSurrogate()])
def test_changing_the_training_array_later_does_not_change_the_fit(data, surrogate):
    X, F, new = data
    g = surrogate.fit(X, F)
    before, effects = g.predict(new), g.attribution().values
    X[:] = 0.0
    F[:] = 0.0
    assert np.array_equal(g.predict(new), before)
    assert np.array_equal(g.attribution().values, effects)
