"""Every closed-form readout against its definition, summed over all 2^K subsets."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelsm import InputError, KernelSurrogate, LinearSurrogate
from kernelsm.surrogates.kernel_functions import RBF

SURROGATES = {
    "linear surrogate": LinearSurrogate(ridge=0.3),
    "linear surrogate without intercept": LinearSurrogate(ridge=0.3, fit_intercept=False),
    "rbf": KernelSurrogate(),
    "narrow rbf": KernelSurrogate(gamma=1.7, ridge=0.01),
    "rbf without intercept": KernelSurrogate(gamma=0.4, fit_intercept=False),
    "linear kernel": KernelSurrogate(kernel="linear"),
    **{
        f"poly {degree}, coef0 {coef0}": KernelSurrogate(kernel="poly", degree=degree, coef0=coef0, gamma=0.7)
        for degree, coef0 in product((1, 2, 3), (0.0, 1.0))
    },
}
K = 6
every = pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES.keys())
# weighted products have one path for q <= K and another for q > K
targets = pytest.mark.parametrize("q", [1, K, K + 3])


def all_subsets(tasks):
    return np.array(list(product((0.0, 1.0), repeat=tasks)))


def fitted(surrogate, q=2, tasks=K, m=25, seed=0):
    rng = np.random.default_rng(seed)
    return surrogate.fit((rng.random((m, tasks)) < 0.5).astype(float), rng.normal(size=(m, q)))


def with_task(at, k, value):
    changed = np.array(at, dtype=float)
    changed[k] = value
    return changed


def predicted(surrogate, *subsets):
    """Predictions of single subsets, one row each, as an array even for one target."""
    return surrogate.predict(np.array(subsets))


def leave_one_out(surrogate, at):
    return np.array([
        np.subtract(*predicted(surrogate, with_task(at, k, 1), with_task(at, k, 0))) for k in range(len(at))
    ])  # fmt: skip


def inclusion(surrogate, tasks, weight):
    """Mean of g over the subsets with k minus the mean over those without, subsets weighted by `weight`."""
    subsets = all_subsets(tasks)
    values, weights = surrogate.predict(subsets), weight(subsets)
    means = [
        [np.average(values[subsets[:, k] == held], axis=0, weights=weights[subsets[:, k] == held]) for held in (0, 1)]
        for k in range(tasks)
    ]
    return np.array([with_k - without_k for without_k, with_k in means])


def second_difference(surrogate, at):
    tasks = len(at)
    q = predicted(surrogate, at).shape[1]
    result = np.zeros((tasks, tasks, q))
    for j, k in product(range(tasks), repeat=2):
        if j != k:
            corners = [with_task(with_task(at, j, a), k, b) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0))]
            both, first, second, none = predicted(surrogate, *corners)
            result[j, k] = both - first - second + none
    return result


def assert_same(found, expected, surrogate, tasks):
    scale = np.abs(surrogate.predict(all_subsets(tasks))).max()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * scale)


@every
@targets
def test_leave_one_out_is_the_difference_of_two_predictions(surrogate, q):
    fitted(surrogate, q)
    anchors = [None, np.zeros(K), np.array([1, 0, 1, 1, 0, 0]), np.array([False, True, False, True, True, True])]
    for at in anchors:
        expected = leave_one_out(surrogate, np.ones(K) if at is None else at)
        assert_same(surrogate.attribution("leave_one_out", at=at).values, expected, surrogate, K)


@every
@targets
@pytest.mark.parametrize("p", [0.03, 0.5, 0.8])
def test_inclusion_averages_over_bernoulli_subsets(surrogate, q, p):
    fitted(surrogate, q)
    expected = inclusion(surrogate, K, lambda s: np.prod(np.where(s == 1, p, 1 - p), axis=1))
    assert_same(surrogate.attribution("inclusion", p=p).values, expected, surrogate, K)


@every
@targets
@pytest.mark.parametrize("size", range(1, K))
def test_inclusion_averages_over_subsets_of_one_size(surrogate, q, size):
    fitted(surrogate, q)
    expected = inclusion(surrogate, K, lambda s: (s.sum(axis=1) == size).astype(float))
    assert_same(surrogate.attribution("inclusion", size=size).values, expected, surrogate, K)


@every
def test_inclusion_means_p_one_half_where_nothing_is_said(surrogate):
    fitted(surrogate)
    plain, half = surrogate.attribution("inclusion"), surrogate.attribution("inclusion", p=0.5)
    assert np.array_equal(plain.values, half.values)


@every
@targets
def test_second_difference_is_made_of_four_predictions(surrogate, q):
    fitted(surrogate, q)
    for at in (None, np.zeros(K), np.array([1, 0, 1, 1, 0, 0])):
        expected = second_difference(surrogate, np.ones(K) if at is None else at)
        found = surrogate.interactions("second_difference", at=at).values
        assert_same(found, expected, surrogate, K)
        assert np.abs(found - found.transpose(1, 0, 2)).max() <= 1e-12 * max(1.0, np.abs(found).max())


@every
def test_a_second_difference_is_the_change_of_a_leave_one_out_effect(surrogate):
    fitted(surrogate)
    at = np.array([1, 0, 1, 1, 0, 0])
    with_2, without_2 = (surrogate.attribution(at=with_task(at, 2, value)).values for value in (1, 0))
    change = with_2 - without_2
    change[2] = 0
    assert_same(change, surrogate.interactions(at=at).values[:, 2], surrogate, K)


@settings(max_examples=60)
@given(
    tasks=st.integers(1, 7),
    m=st.integers(2, 20),
    q=st.integers(1, 9),
    seed=st.integers(0, 2**20),
    gamma=st.floats(1e-3, 20.0),
    ridge=st.floats(1e-2, 10.0),
    kernel=st.sampled_from(["rbf", "linear", "poly"]),
    degree=st.integers(1, 4),
    coef0=st.sampled_from([0.0, 0.5]),
    intercept=st.booleans(),
    p=st.floats(0.01, 0.99),
    data=st.data(),
)
def test_all_readouts_hold_for_any_shape_and_parameters(
    tasks, m, q, seed, gamma, ridge, kernel, degree, coef0, intercept, p, data
):
    surrogate = KernelSurrogate(
        kernel=kernel, gamma=gamma, ridge=ridge, degree=degree, coef0=coef0, fit_intercept=intercept
    )
    fitted(surrogate, q, tasks, m, seed)
    at = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=tasks, max_size=tasks)))
    assert_same(surrogate.attribution(at=at).values, leave_one_out(surrogate, at), surrogate, tasks)
    assert_same(surrogate.interactions(at=at).values, second_difference(surrogate, at), surrogate, tasks)
    expected = inclusion(surrogate, tasks, lambda s: np.prod(np.where(s == 1, p, 1 - p), axis=1))
    assert_same(surrogate.attribution("inclusion", p=p).values, expected, surrogate, tasks)
    if tasks > 1:
        size = data.draw(st.integers(1, tasks - 1))
        expected = inclusion(surrogate, tasks, lambda s: (s.sum(axis=1) == size).astype(float))
        assert_same(surrogate.attribution("inclusion", size=size).values, expected, surrogate, tasks)


def test_gamma_is_the_prior_on_interaction_order():
    # an effect of order t carries tanh(gamma/2)^t: each further order of the kernel's expansion shrinks by it
    gamma, tasks = 0.8, 5
    subsets = all_subsets(tasks)
    kernel = RBF(gamma).gram(subsets, subsets)
    weight_of = {}
    for order in range(tasks + 1):
        parity = np.prod(2 * subsets[:, :order] - 1, axis=1)  # the Walsh function of the first `order` tasks
        weight_of[order] = parity @ kernel @ parity / len(subsets) ** 2
    ratios = [b / a for a, b in pairwise(weight_of.values())]
    np.testing.assert_allclose(ratios, np.tanh(gamma / 2), rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"kind": "shapely"}, "kind"),
        ({"kind": "inclusion", "p": 0.0}, "p"),
        ({"kind": "inclusion", "p": 1.0}, "p"),
        ({"kind": "inclusion", "size": 0}, "size"),
        ({"kind": "inclusion", "size": K}, "size"),
        ({"kind": "inclusion", "size": 2, "p": 0.5}, "attribution"),
        ({"kind": "inclusion", "at": np.ones(K)}, "attribution"),
        ({"kind": "leave_one_out", "p": 0.5}, "attribution"),
        ({"at": np.ones(K - 1)}, "at"),
        ({"at": np.full(K, 0.5)}, "at"),
        ({"at": np.full(K, np.nan)}, "at"),
    ],
)
def test_impossible_readouts_are_refused(arguments, place):
    for surrogate in (LinearSurrogate(), KernelSurrogate()):
        fitted(surrogate)
        with pytest.raises(InputError) as caught:
            surrogate.attribution(**arguments)
        assert caught.value.place == place


def test_an_unknown_interaction_is_refused():
    with pytest.raises(InputError, match="kind"):
        fitted(KernelSurrogate()).interactions("shapely")
