"""Surrogates at the edges: few subsets, one task, constant targets, duplicates, extreme parameters."""

import warnings

import numpy as np
import pytest
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from kernelsm import InputError, KernelSurrogate, LinearSurrogate

KINDS = [LinearSurrogate(), KernelSurrogate(), KernelSurrogate(kernel="linear"), KernelSurrogate(kernel="poly")]
each = pytest.mark.parametrize("surrogate", KINDS, ids=repr)


def everything(g, K):
    """All that can be read off a surrogate."""
    read = [
        g.predict(np.eye(K)), g.attribution().values, g.attribution(at=np.zeros(K)).values,
        g.attribution("inclusion", p=0.3).values, g.interactions().values, g.interactions(at=np.zeros(K)).values,
    ]  # fmt: skip
    return [*read, g.attribution("inclusion", size=1).values] if K > 1 else read


def assert_finite(g, K):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(np.isfinite(array).all() for array in everything(g, K))


@each
def test_two_subsets_are_enough(surrogate):
    g = surrogate.fit([[1, 0, 1], [0, 1, 1]], [1.0, 3.0])
    assert_finite(g, 3)
    # task 3 was in both subsets, so nothing is known of it
    effect = g.attribution("inclusion").values[:, 0]
    assert effect[0] < 0 < effect[1]
    assert effect[0] == pytest.approx(-effect[1])


@each
def test_one_task_has_an_effect_and_no_interactions(surrogate):
    g = surrogate.fit([[1], [0], [1], [0]], [1.0, 2.0, 1.0, 2.0])
    assert_finite(g, 1)
    assert -1.0 < g.attribution().values[0, 0] < -0.5
    assert g.interactions().values.tolist() == [[[0.0]]]
    assert len(g.interactions().top()) == 0
    with pytest.raises(InputError, match="size"):
        g.attribution("inclusion", size=1)


@pytest.mark.parametrize("surrogate", [g for g in KINDS if g.fit_intercept], ids=repr)
def test_a_constant_target_has_no_effects(surrogate):
    rng = np.random.default_rng(0)
    masks = rng.random((15, 4)) < 0.5
    g = surrogate.fit(masks, np.column_stack([np.full(15, 3.25), rng.normal(size=15)]))
    np.testing.assert_allclose(g.predict(np.eye(4))[:, 0], 3.25, rtol=1e-9)
    for array in (g.attribution().values[:, 0], g.interactions().values[:, :, 0]):
        np.testing.assert_allclose(array, 0.0, atol=1e-9)
    assert np.abs(g.attribution().values[:, 1]).max() > 0.01


@each
def test_tasks_that_are_always_in_or_never_in_are_no_trouble(surrogate):
    rng = np.random.default_rng(1)
    masks = rng.random((20, 4)) < 0.5
    masks[:, 0], masks[:, 3] = True, False
    assert_finite(surrogate.fit(masks, rng.normal(size=20)), 4)


@each
def test_only_empty_subsets_are_no_trouble(surrogate):
    g = surrogate.fit(np.zeros((4, 3)), [1.0, 2.0, 3.0, 6.0])
    assert_finite(g, 3)
    np.testing.assert_allclose(g.predict(np.zeros((1, 3))), 3.0, rtol=1e-9)


def test_duplicate_subsets_without_ridge_warn_and_give_the_least_norm_fit():
    # many draws: rounding lets some singular matrices pass for positive definite ones
    for seed in range(100):
        rng = np.random.default_rng(seed)
        masks = (rng.random((12, 4)) < 0.5).astype(float)
        F = rng.normal(size=12)
        if len(np.unique(masks, axis=0)) == 12:
            continue
        with pytest.warns(LinAlgWarning, match="raise ridge"):
            g = KernelSurrogate(ridge=0.0).fit(masks, F)
        assert_finite(g, 4)
        assert np.abs(g.dual_coef_).max() < 1e6
        # two outcomes of one subset are averaged
        mean = [F[(masks == row).all(axis=1)].mean() for row in masks]
        np.testing.assert_allclose(g.predict(masks), mean, atol=1e-6)


def test_linear_least_squares_of_duplicate_tasks_splits_their_effect():
    column = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    g = LinearSurrogate(ridge=0.0).fit(np.column_stack([column, column]), 3.0 * column)
    np.testing.assert_allclose(g.coef_[:, 0], [1.5, 1.5], rtol=1e-9)


@pytest.mark.parametrize("gamma", [1e-8, 1e4])
@pytest.mark.parametrize("q", [1, 7])
def test_extreme_gamma_stays_finite(gamma, q):
    rng = np.random.default_rng(2)
    masks = rng.random((30, 5)) < 0.5
    g = KernelSurrogate(gamma=gamma).fit(masks, rng.normal(size=(30, q)))
    assert_finite(g, 5)


def test_a_huge_gamma_knows_only_the_subsets_it_has_seen():
    masks = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]])
    g = KernelSurrogate(gamma=1e4, ridge=1.0, fit_intercept=False).fit(masks, [2.0, 4.0, 6.0])
    np.testing.assert_allclose(g.predict(masks), [1.0, 2.0, 3.0], rtol=1e-9)
    np.testing.assert_allclose(g.predict([[1, 1, 1], [0, 0, 0]]), 0.0, atol=1e-9)


def test_a_tiny_gamma_keeps_its_digits():
    # 1 - exp(-gamma) would lose eight of them: the linear term of the kernel is the reference
    masks = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1]])
    g = KernelSurrogate(gamma=1e-10, ridge=1.0).fit(masks, [2.0, 4.0, 6.0, 1.0])
    signs = 2.0 * masks - 1.0
    np.testing.assert_allclose(g.attribution().values[:, 0], 1e-10 * (signs.T @ g.dual_coef_)[:, 0], rtol=1e-8)


@each
def test_readouts_refuse_inputs_that_are_no_masks(surrogate):
    rng = np.random.default_rng(3)
    g = surrogate.fit(rng.normal(size=(10, 3)), rng.normal(size=10))
    assert np.isfinite(g.predict(rng.normal(size=(4, 3)))).all()
    for read in (g.attribution, g.interactions):
        with pytest.raises(InputError, match="not 0/1"):
            read()


@each
def test_readouts_and_predictions_need_a_fit(surrogate):
    g = clone(surrogate)
    for call in (g.attribution, g.interactions, lambda: g.predict([[1, 0]])):
        with pytest.raises(NotFittedError):
            call()


@each
def test_a_vector_of_outcomes_gives_a_vector_of_predictions(surrogate):
    masks, F = np.array([[1, 0], [0, 1], [1, 1]]), np.array([1.0, 2.0, 4.0])
    assert surrogate.fit(masks, F).predict(masks).shape == (3,)
    assert surrogate.attribution().values.shape == (2, 1)
    assert surrogate.fit(masks, F[:, None]).predict(masks).shape == (3, 1)


def test_fitting_again_forgets_the_first_fit():
    first, second = np.array([[1, 0], [0, 1]]), np.array([[1, 0, 0], [0, 1, 1], [1, 1, 1]])
    for g in (LinearSurrogate(), KernelSurrogate()):
        g.fit(first, [[1.0, 2.0], [3.0, 4.0]], task_names=("a", "b"))
        refitted = g.fit(second, [1.0, 2.0, 3.0])
        fresh = clone(g).fit(second, [1.0, 2.0, 3.0])
        assert np.array_equal(refitted.attribution().values, fresh.attribution().values)
        assert refitted.attribution().task_names == ("task 1", "task 2", "task 3")


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"gamma": 0.0}, "gamma"),
        ({"gamma": -1.0}, "gamma"),
        ({"gamma": float("nan")}, "gamma"),
        ({"gamma": float("inf")}, "gamma"),
        ({"ridge": -0.1}, "ridge"),
        ({"ridge": float("nan")}, "ridge"),
        ({"ridge": float("inf")}, "ridge"),
        ({"kernel": "cosine"}, "kernel"),
        ({"kernel": "poly", "degree": 0}, "degree"),
        ({"kernel": "poly", "degree": 1.5}, "degree"),
        ({"kernel": "poly", "coef0": -1.0}, "coef0"),
    ],
)
def test_impossible_parameters_of_the_kernel_surrogate_are_refused(parameters, place):
    with pytest.raises(InputError) as caught:
        KernelSurrogate(**parameters).fit([[1, 0], [0, 1]], [1.0, 2.0])
    assert caught.value.place == place


@pytest.mark.parametrize("ridge", [-0.1, float("nan"), float("inf")])
def test_an_impossible_ridge_of_the_linear_surrogate_is_refused(ridge):
    with pytest.raises(InputError, match="ridge"):
        LinearSurrogate(ridge=ridge).fit([[1, 0], [0, 1]], [1.0, 2.0])
