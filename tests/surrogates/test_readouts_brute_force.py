"""Every readout and its interval against their definition: sums over all 2^K subsets of a dense Gaussian process."""

from itertools import combinations, pairwise, permutations, product
from math import factorial

import numpy as np
import pytest
from brute_force import all_subsets, corners, readouts_of, weights
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kernelsm import InputError, KernelSurrogate, KernelSurrogateCV, LinearSurrogate, LinearSurrogateCV
from kernelsm.surrogates.kernel_functions import RBF

SURROGATES = {
    "linear surrogate": LinearSurrogate(ridge=0.3),
    "linear surrogate without intercept": LinearSurrogate(ridge=0.3, fit_intercept=False),
    "tuned linear surrogate": LinearSurrogateCV(),
    "rbf": KernelSurrogate(),
    "wide rbf": KernelSurrogate(gamma=2e-3, ridge=0.02),
    "narrow rbf": KernelSurrogate(gamma=1.7, ridge=0.01),
    "very narrow rbf": KernelSurrogate(gamma=40.0),
    "rbf without intercept": KernelSurrogate(gamma=0.4, fit_intercept=False),
    "tuned rbf": KernelSurrogateCV(),
    "linear kernel": KernelSurrogate(kernel="linear"),
    "linear kernel without intercept": KernelSurrogate(kernel="linear", fit_intercept=False),
    **{
        f"poly {degree}, coef0 {coef0}{'' if intercept else ' without intercept'}": KernelSurrogate(
            kernel="poly", degree=degree, coef0=coef0, gamma=0.7, fit_intercept=intercept
        )
        for degree, coef0, intercept in product((1, 2, 3), (0.0, 1.0), (True, False))
    },
}
K = 6
every = pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES.keys())
ANCHORS = (np.ones(K), np.zeros(K), np.array([1.0, 0, 1, 1, 0, 0]), np.array([0.0, 1, 0, 1, 1, 1]))


def fitted(surrogate, q=2, tasks=K, m=25, seed=0):
    rng = np.random.default_rng(seed)
    return surrogate.fit((rng.random((m, tasks)) < 0.5).astype(float), rng.normal(size=(m, q)))


class Dense:
    """The Gaussian process behind a fitted surrogate, on all 2^K subsets, by inverting matrices."""

    def __init__(self, g, X, values):
        m, self.grid = len(X), all_subsets(X.shape[1])
        k = self.kernel_of(g)
        inverse = np.linalg.inv(k(X, X) + g.ridge_ * np.eye(m))
        cross = k(self.grid, X)
        projected = inverse.copy()
        self.covariance = k(self.grid, self.grid) - cross @ inverse @ cross.T
        self.mean = cross @ inverse @ values
        if g.fit_intercept:  # a constant with a flat prior, by generalised least squares
            ones, precision = np.ones(m), inverse.sum()
            projected -= np.outer(inverse @ ones, ones @ inverse) / precision
            left = 1 - cross @ inverse @ ones
            self.covariance += np.outer(left, left) / precision
            self.mean += np.outer(left, ones @ inverse @ values / precision)
        # restricted maximum likelihood
        self.scale = np.einsum("iq,ij,jq->q", values, projected, values) / (m - g.fit_intercept)

    @staticmethod
    def kernel_of(g):
        """The prior's covariance, written out."""
        kernel = getattr(g, "kernel", "linear")
        if kernel == "rbf":
            return lambda a, b: np.exp(-g.gamma_ * cdist(a, b, "sqeuclidean"))
        if kernel == "poly":
            return lambda a, b: (g.gamma_ * a @ b.T + g.coef0) ** g.degree
        return lambda a, b: a @ b.T

    def read(self, kind, which, **arguments):
        """Values and standard deviations of a readout of single tasks, or of pairs."""
        W = np.array([weights(self.grid, kind, tasks, **arguments) for tasks in which])
        variance = np.einsum("rs,sc,rc->r", W, self.covariance, W)
        return W @ self.mean, np.sqrt(np.outer(np.maximum(variance, 0), self.scale))


def assert_readouts_are_their_definitions(g, X, values, anchors, probabilities):
    dense = Dense(g, X, values)
    tasks = X.shape[1]
    scale = max(np.abs(dense.mean).max(), np.sqrt(dense.scale.max() * np.diag(dense.covariance).max()))

    def assert_same(found, expected):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * scale)

    def assert_same_std(found, expected):
        # compared as variances, which is what is computed: the root of rounding is not rounding
        assert_same(found**2 / scale, expected**2 / scale)

    mean, std = g.predict(dense.grid, return_std=True)
    assert_same(mean, dense.mean)
    assert_same_std(std, np.sqrt(np.outer(np.diag(dense.covariance), dense.scale)))
    np.testing.assert_allclose(g.noise_variance_, g.ridge_ * dense.scale, rtol=1e-8)
    reference = anchors[0]
    value, std = g.predict_change(dense.grid, reference)
    W = np.eye(len(dense.grid)) - (dense.grid == reference).all(axis=1)
    assert_same(value, W @ dense.mean)
    variance = np.einsum("rs,sc,rc->r", W, dense.covariance, W)
    assert_same_std(std, np.sqrt(np.outer(np.maximum(variance, 0), dense.scale)))
    for kind, arguments in readouts_of(tasks, anchors, probabilities, 1):
        found = g.attribution(kind, **arguments)
        value, std = dense.read(kind, [(k,) for k in range(tasks)], **arguments)
        assert_same(found.values, value)
        assert_same_std(found.std, std)
    for kind, arguments in readouts_of(tasks, anchors, probabilities, 2):
        found = g.interactions(kind, **arguments)
        first, second = found.pairs
        pairs = list(zip(first.tolist(), second.tolist(), strict=True))
        assert pairs == list(combinations(range(tasks), 2))
        if pairs:
            value, std = dense.read(kind, pairs, **arguments)
            assert_same(found.values[first, second], value)
            assert_same_std(found.std[first, second], std)
            j, k = pairs[tasks % len(pairs)]
            for a, b in ((j, k), (k, j)):
                means = g.pair_means(a, b, kind, **arguments)
                assert means.shape == (2, 2, values.shape[1])
                for held, chance in corners(dense.grid, kind, (a, b), **arguments).items():
                    np.testing.assert_allclose(chance.sum(), 1.0)
                    assert_same(means[held], chance @ dense.mean)
                # the table on screen is what the sentence above it says
                assert_same(means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0], found.values[a, b])
        for table in (found.values, found.std):
            assert_same(table, table.transpose(1, 0, 2))
            assert not table[np.arange(tasks), np.arange(tasks)].any()


# weighted products have one path for q <= K and another for q > K
@every
@pytest.mark.parametrize("q", [1, K, K + 3])
def test_every_readout_and_interval_is_its_definition(surrogate, q):
    rng = np.random.default_rng(q)
    X, values = (rng.random((25, K)) < 0.5).astype(float), rng.normal(size=(25, q)) + 3.0
    assert_readouts_are_their_definitions(surrogate.fit(X, values), X, values, ANCHORS, (0.03, 0.5, 0.8))


@pytest.mark.parametrize(
    ("surrogate", "tasks"),
    [
        (KernelSurrogate(), 9),
        (KernelSurrogate(kernel="poly", degree=3, coef0=1.0), 9),
        (KernelSurrogate(gamma=0.5, fit_intercept=False), 8),
        (LinearSurrogate(), 9),
    ],
    ids=str,
)
def test_more_tasks_change_nothing(surrogate, tasks):
    rng = np.random.default_rng(tasks)
    X, values = (rng.random((40, tasks)) < 0.5).astype(float), rng.normal(size=(40, 2))
    # the empty and the full subset are at the ends of the tables of counts
    X[0], X[1] = 0.0, 1.0
    at = (rng.random(tasks) < 0.5).astype(float)
    assert_readouts_are_their_definitions(surrogate.fit(X, values), X, values, (at,), (0.2,))


def test_subsets_of_one_size_are_read_exactly_too():
    # 4-of-K prompts: all training subsets have the same count
    rng = np.random.default_rng(1)
    X = (rng.random((30, 7)).argsort(axis=1) < 3).astype(float)
    values = rng.normal(size=(30, 2))
    for g in (KernelSurrogate(), KernelSurrogate(kernel="poly", coef0=1.0), LinearSurrogate()):
        assert_readouts_are_their_definitions(g.fit(X, values), X, values, (np.ones(7),), (0.4,))


@every
def test_one_task_alone_has_readouts_and_no_pairs(surrogate):
    # it has no others to average over
    X, values = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]]), np.array([[1.0], [3.0], [2.5], [1.2], [2.0]])
    assert_readouts_are_their_definitions(surrogate.fit(X, values), X, values, (np.ones(1), np.zeros(1)), (0.3,))


@settings(max_examples=60)
@given(
    tasks=st.integers(2, 6),  # one task: above
    m=st.integers(2, 16),
    q=st.integers(1, 8),
    seed=st.integers(0, 2**20),
    gamma=st.floats(1e-4, 5.0),
    ridge=st.floats(1e-2, 10.0),
    kernel=st.sampled_from(["rbf", "rbf", "linear", "poly"]),
    degree=st.integers(1, 4),
    coef0=st.sampled_from([0.0, 0.5]),
    intercept=st.booleans(),
    p=st.floats(0.01, 0.99),
    data=st.data(),
)
def test_all_readouts_hold_for_any_shape_and_parameters(
    tasks, m, q, seed, gamma, ridge, kernel, degree, coef0, intercept, p, data
):
    rng = np.random.default_rng(seed)
    X, values = (rng.random((m, tasks)) < 0.5).astype(float), rng.normal(size=(m, q))
    if kernel == "poly":  # a ridge in units of the kernel: else two ways of inverting differ by rounding alone
        ridge *= (gamma * tasks + coef0) ** degree
    g = KernelSurrogate(
        kernel=kernel, gamma=gamma, ridge=ridge, degree=degree, coef0=coef0, fit_intercept=intercept
    ).fit(X, values)
    at = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=tasks, max_size=tasks)))
    assert_readouts_are_their_definitions(g, X, values, (at,), (p,))


@settings(max_examples=30)
@given(
    tasks=st.integers(1, 6),
    m=st.integers(2, 16),
    q=st.integers(1, 8),
    seed=st.integers(0, 2**20),
    ridge=st.floats(1e-3, 100.0),
    intercept=st.booleans(),
)
def test_all_linear_readouts_hold_for_any_shape_and_ridge(tasks, m, q, seed, ridge, intercept):
    rng = np.random.default_rng(seed)
    X, values = (rng.random((m, tasks)) < 0.5).astype(float), rng.normal(size=(m, q))
    g = LinearSurrogate(ridge=ridge, fit_intercept=intercept).fit(X, values)
    assert_readouts_are_their_definitions(g, X, values, (np.ones(tasks),), (0.3,))


@pytest.mark.parametrize("intercept", [True, False])
def test_without_a_ridge_linear_intervals_are_those_of_least_squares(intercept):
    rng = np.random.default_rng(0)
    X, values = (rng.random((20, 4)) < 0.5).astype(float), rng.normal(size=(20, 2))
    design = np.column_stack([X, np.ones(20)]) if intercept else X
    beta = np.linalg.lstsq(design, values)[0]
    free = 20 - design.shape[1]
    noise = ((values - design @ beta) ** 2).sum(axis=0) / free
    g = LinearSurrogate(ridge=0.0, fit_intercept=intercept).fit(X, values)
    assert g.degrees_of_freedom_ == g.attribution().degrees_of_freedom == free
    errors = np.sqrt(np.outer(np.diag(np.linalg.inv(design.T @ design)), noise))
    np.testing.assert_allclose(g.attribution().std, errors[:4], rtol=1e-9)


@every
def test_shapley_values_sum_to_the_outcome_of_all_minus_that_of_none(surrogate):
    fitted(surrogate)
    everything, nothing = surrogate.predict(np.array([np.ones(K), np.zeros(K)]))
    np.testing.assert_allclose(surrogate.attribution("shapley").values.sum(axis=0), everything - nothing, atol=1e-9)


@every
def test_shapley_values_are_the_mean_over_random_orders(surrogate):
    # K! orders of four tasks, each added in turn
    fitted(surrogate, tasks=4)
    grid = all_subsets(4)
    g_of = {tuple(subset): value for subset, value in zip(grid, surrogate.predict(grid), strict=True)}
    total = np.zeros((4, 2))
    for order in permutations(range(4)):
        held = np.zeros(4)
        for k in order:
            before = g_of[tuple(held)]
            held[k] = 1
            total[k] += g_of[tuple(held)] - before
    found = surrogate.attribution("shapley").values
    np.testing.assert_allclose(found, total / factorial(4), atol=1e-9)


@every
@pytest.mark.parametrize(
    "arguments", [{"kind": "shapley"}, {"kind": "banzhaf", "p": 0.3}, {"at": np.ones(K)}], ids=str
)
def test_tasks_that_the_data_cannot_tell_apart_get_the_same(surrogate, arguments):
    # symmetry: tasks 0 and 1 swapped give the same table of subsets and outcomes
    rng = np.random.default_rng(3)
    X = (rng.random((12, K)) < 0.5).astype(float)
    values = rng.normal(size=(12, 1))
    swapped = X[:, [1, 0, 2, 3, 4, 5]]
    g = surrogate.fit(np.vstack([X, swapped]), np.vstack([values, values]))
    found = g.attribution(**arguments)
    for table in (found.values, found.std):
        np.testing.assert_allclose(table[0], table[1], atol=1e-9)
    pairs = {**arguments, "kind": arguments.get("kind", "second_difference")}
    between = g.interactions(**pairs)
    for table in (between.values, between.std):
        np.testing.assert_allclose(table[0, 2:], table[1, 2:], atol=1e-9)
    assert np.abs(found.values).max() > 0


def test_a_task_that_changes_nothing_gets_nothing():
    # every outcome is there twice, with task 0 and without it: no readout may credit it
    rng = np.random.default_rng(4)
    X = (rng.random((10, K)) < 0.5).astype(float)
    values = rng.normal(size=(10, 2))
    with_0, without_0 = X.copy(), X.copy()
    with_0[:, 0], without_0[:, 0] = 1.0, 0.0
    g = KernelSurrogate(gamma=0.6).fit(np.vstack([with_0, without_0]), np.vstack([values, values]))
    for kind, arguments in readouts_of(K, ANCHORS, (0.3,), 1):
        if "size" in arguments:
            continue  # with task 0 in there is one place less for the others: this contrast is not about task 0 alone
        found = g.attribution(kind, **arguments)
        np.testing.assert_allclose(found.values[0], 0.0, atol=1e-9)
        assert np.abs(found.values[1:]).max() > 0.01
    for kind, arguments in readouts_of(K, ANCHORS, (0.3,), 2):
        if "size" not in arguments:
            np.testing.assert_allclose(g.interactions(kind, **arguments).values[0], 0.0, atol=1e-9)


@every
@pytest.mark.parametrize("p", [0.1, 0.5, 0.85])
def test_banzhaf_is_inclusion_with_p(surrogate, p):
    fitted(surrogate)
    for read in (surrogate.attribution, surrogate.interactions):
        banzhaf, inclusion = read("banzhaf", p=p), read("inclusion", p=p)
        assert np.array_equal(banzhaf.values, inclusion.values)
        assert np.array_equal(banzhaf.std, inclusion.std)
        assert banzhaf.meta["readout"] == "banzhaf"


@every
def test_p_is_one_half_where_nothing_is_said(surrogate):
    fitted(surrogate)
    for kind in ("inclusion", "banzhaf"):
        for read in (surrogate.attribution, surrogate.interactions):
            assert np.array_equal(read(kind).values, read(kind, p=0.5).values)
            assert read(kind).meta["p"] == 0.5


@every
def test_the_anchor_is_all_tasks_where_nothing_is_said(surrogate):
    fitted(surrogate)
    for read in (surrogate.attribution, surrogate.interactions):
        assert np.array_equal(read().values, read(at=np.ones(K, dtype=bool)).values)
        assert read().meta["at"] == [1] * K


@every
def test_a_second_difference_is_the_change_of_a_leave_one_out_effect(surrogate):
    fitted(surrogate)
    at = ANCHORS[2]
    with_2, without_2 = at.copy(), at.copy()
    with_2[2], without_2[2] = 1, 0
    change = surrogate.attribution(at=with_2).values - surrogate.attribution(at=without_2).values
    change[2] = 0
    np.testing.assert_allclose(surrogate.interactions(at=at).values[:, 2], change, atol=1e-9)


@pytest.mark.parametrize("gamma", [1e-6, 1e-8])
def test_a_tiny_gamma_keeps_the_digits_of_every_readout(gamma):
    # k is 1 - γd + γ²d²/2 up to γ³: what a readout makes of d and d² is exact here, and no digit is lost
    rng = np.random.default_rng(5)
    X, values = (rng.random((15, 5)) < 0.5).astype(float), rng.normal(size=(15, 2))
    g = KernelSurrogate(gamma=gamma, ridge=1.0).fit(X, values)
    grid = all_subsets(5)
    distance = cdist(grid, X, "sqeuclidean")
    for kind, arguments in readouts_of(5, (np.ones(5), np.array([1.0, 0, 0, 1, 1])), (0.3,), 1):
        W = np.array([weights(grid, kind, (k,), **arguments) for k in range(5)])
        found = g.attribution(kind, **arguments)
        np.testing.assert_allclose(found.values, -gamma * (W @ distance) @ g.dual_coef_, rtol=1e-4, atol=1e-4 * gamma)
        # the outcomes tell next to nothing: the variance is the prior's, L⊗L of -γd
        prior = -gamma * np.einsum("rs,sc,rc->r", W, cdist(grid, grid, "sqeuclidean"), W)
        np.testing.assert_allclose(found.std**2, np.outer(prior, g.scale_), rtol=1e-4)
    for kind, arguments in readouts_of(5, (np.ones(5), np.array([1.0, 0, 0, 1, 1])), (0.3,), 2):
        found = g.interactions(kind, **arguments)
        first, second = found.pairs
        W = np.array([weights(grid, kind, pair, **arguments) for pair in zip(first, second, strict=True)])
        expected = gamma**2 / 2 * (W @ distance**2) @ g.dual_coef_
        np.testing.assert_allclose(found.values[first, second], expected, atol=1e-5 * np.abs(expected).max())
        prior = gamma**2 / 2 * np.einsum("rs,sc,rc->r", W, cdist(grid, grid, "sqeuclidean") ** 2, W)
        np.testing.assert_allclose(found.std[first, second] ** 2, np.outer(prior, g.scale_), rtol=1e-4)


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
    np.testing.assert_allclose(ratios, np.tanh(gamma / 2), rtol=1e-9)


IMPOSSIBLE = [
    ({"kind": "shapely"}, "kind"),
    ({"kind": "inclusion", "p": 0.0}, "p"),
    ({"kind": "inclusion", "p": 1.0}, "p"),
    ({"kind": "banzhaf", "p": float("nan")}, "p"),
    ({"kind": "inclusion", "size": 0}, "size"),
    ({"kind": "inclusion", "size": K}, "size"),
    ({"kind": "inclusion", "size": -1}, "size"),
    ({"kind": "inclusion", "size": 2.5}, "size"),
    ({"kind": "inclusion", "size": 2, "p": 0.5}, "readout"),
    ({"kind": "inclusion", "at": np.ones(K)}, "readout"),
    ({"kind": "banzhaf", "size": 2}, "readout"),
    ({"kind": "shapley", "p": 0.5}, "readout"),
    ({"kind": "shapley", "at": np.ones(K)}, "readout"),
    ({"p": 0.5}, "readout"),
    ({"at": np.ones(K - 1)}, "at"),
    ({"at": np.full(K, 0.5)}, "at"),
    ({"at": np.full(K, np.nan)}, "at"),
    ({"at": np.ones((1, K))}, "at"),
]


@pytest.mark.parametrize(("arguments", "place"), IMPOSSIBLE, ids=str)
@pytest.mark.parametrize("method", ["attribution", "interactions"])
def test_impossible_readouts_are_refused(method, arguments, place):
    for surrogate in (LinearSurrogate(), KernelSurrogate()):
        fitted(surrogate)
        with pytest.raises(InputError) as caught:
            getattr(surrogate, method)(**arguments)
        assert caught.value.place == place


def test_pairs_need_room_inside_and_outside_a_subset_of_fixed_size():
    g = fitted(KernelSurrogate())
    for size in (1, K - 1):
        with pytest.raises(InputError, match="expected 2 to 4"):
            g.interactions("inclusion", size=size)
    with pytest.raises(InputError, match="at least 4 tasks"):
        fitted(KernelSurrogate(), tasks=3).interactions("inclusion", size=2)
    with pytest.raises(InputError, match="at least 2 tasks"):
        fitted(KernelSurrogate(), tasks=1).attribution("inclusion", size=1)


@pytest.mark.parametrize("pair", [(0, 0), (0, K), (-1, 2)])
def test_the_means_of_a_pair_need_two_tasks(pair):
    with pytest.raises(InputError, match="two different tasks of 0 to 5"):
        fitted(KernelSurrogate()).pair_means(*pair)


def test_each_order_has_its_own_names():
    g = fitted(KernelSurrogate())
    with pytest.raises(InputError, match="second_difference") as caught:
        g.interactions("leave_one_out")
    assert caught.value.place == "kind"
    with pytest.raises(InputError, match="leave_one_out"):
        g.attribution("second_difference")
