"""The surrogate of ordered prompts: its features, what it can and cannot see, and the comparison by subsets."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from kernelsm import InputError, lds
from kernelsm.prompts.order_gain import order_gain
from kernelsm.prompts.order_surrogate import PositionSurrogate, position_features
from kernelsm.surrogates.kernel import KernelSurrogate, KernelSurrogateCV

K, SIZE = 8, 3
LABELS = np.arange(K) % 2


def prompts(m=60, each=2, seed=0, k=SIZE):
    """Subsets of k of K, each under some different orders."""
    rng = np.random.default_rng(seed)
    subsets = [*itertools.combinations(range(K), k)]
    chosen = rng.permutation(len(subsets))[:m]
    found = []
    for i in chosen:
        ways = [*itertools.permutations(subsets[i])]
        found += [ways[j] for j in rng.permutation(len(ways))[:each]]
    return np.array(found)


def last_counts(orders, seed=0, noise=0.1, q=2):
    """Outcomes that depend on who is in and on the label of the last one."""
    rng = np.random.default_rng(seed)
    effect, last = rng.normal(size=(K, q)), rng.normal(size=(2, q)) * 3
    return effect[orders].sum(axis=1) + last[LABELS[orders[:, -1]]] + noise * rng.normal(size=(len(orders), q))


def order_is_noise(orders, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(K, 3))[orders].sum(axis=1) + 0.3 * rng.normal(size=(len(orders), 3))


def test_features_say_who_is_in_and_where_and_which_label_where():
    found = position_features([(2, 0), (1, 2)], 3, [0, 1, 1])
    want = [
        [1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0],
        [0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1],
    ]  # fmt: skip
    np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(position_features([(2, 0), (1, 2)], 3), np.array(want)[:, :9])


def test_without_the_order_features_are_those_of_the_subset():
    one, other = position_features([(2, 0, 1), (0, 1, 2)], 4, [0, 1, 1, 0], ordered=False)
    np.testing.assert_array_equal(one, other)
    seen = position_features([(2, 0, 1), (0, 1, 2)], 4, [0, 1, 1, 0])
    np.testing.assert_allclose(one.sum(), seen[0].sum())


@pytest.mark.parametrize(
    ("orders", "place"),
    [
        ([], "orders"), ([()], "orders"), ([(0, 1), (0,)], "orders"), ([(0, 0)], "orders"), ([(0, 8)], "orders"),
        ([(-1, 0)], "orders"), ([(0.5, 1.0)], "orders"),
    ],
)  # fmt: skip
def test_other_orders_are_refused(orders, place):
    with pytest.raises(InputError) as caught:
        position_features(orders, K)
    assert caught.value.place == place


@pytest.mark.parametrize("labels", [[0, 1], np.zeros(K), -np.ones(K, int), np.zeros((K, 1), int)])
def test_other_labels_are_refused(labels):
    with pytest.raises(InputError, match="labels"):
        position_features([(0, 1)], K, labels)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_an_effect_of_the_last_label_is_found(kernel, labels):
    orders = prompts(56)
    F = last_counts(orders)
    fitted = PositionSurrogate(kernel=kernel).fit(orders[:80], F[:80], K, labels)
    blind = PositionSurrogate(kernel=kernel, ordered=False).fit(orders[:80], F[:80], K, labels)
    seen, unseen = fitted.predict(orders[80:]), blind.predict(orders[80:])
    assert lds(F[80:], seen) > lds(F[80:], unseen) + 0.15
    assert np.abs(seen - F[80:]).mean() < 0.5 * np.abs(unseen - F[80:]).mean()
    assert any(fitted.weights_)
    assert fitted.error_ < blind.error_


def test_an_order_that_says_nothing_gets_no_say():
    orders = prompts(56)
    F = order_is_noise(orders)
    assert PositionSurrogate().fit(orders, F, K, LABELS).weights_ == (0, 0)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_of_weights_that_make_no_difference_the_first_are_taken_whatever_rounding_says(kernel):
    # one label for all: its places say nothing of prompts, whatever they weigh
    orders = prompts(40)
    F = order_is_noise(orders)
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(len(orders))
        fitted = PositionSurrogate(kernel=kernel).fit(orders[rows], F[rows], K, np.zeros(K, dtype=int))
        assert fitted.weights_[1] == 0


def test_weights_of_zero_are_a_kernel_surrogate_of_the_masks():
    orders = prompts(40, each=1)
    F = last_counts(orders)
    fitted = PositionSurrogate(weights=[(0, 0)]).fit(orders, F, K, LABELS)
    masks = position_features(orders, K)[:, :K]
    known = KernelSurrogateCV(gammas=[fitted.gamma_], ridges=[fitted.ridge_]).fit(masks, F)
    np.testing.assert_allclose(fitted.predict(orders), known.predict(masks))
    grid = KernelSurrogateCV(gammas=[g / K for g in (0.1, 1, 10)]).fit(masks, F)
    same = PositionSurrogate(weights=[(0, 0)], gammas=[g / K for g in (0.1, 1, 10)]).fit(orders, F, K)
    assert (same.gamma_, same.ridge_) == (grid.gamma_, grid.ridge_)
    assert same.error_ == pytest.approx(grid.surface_.relative.min())


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_it_is_a_kernel_surrogate_of_the_weighted_features(kernel, ordered):
    orders, others = prompts(30), prompts(20, seed=5)
    F = last_counts(orders)
    fitted = PositionSurrogate(kernel=kernel, weights=[(0.5, 2.0)], ridges=[0.1], ordered=ordered)
    fitted.fit(orders, F, K, LABELS)
    scale = np.repeat([1.0, 0.5, 2.0], [K, SIZE * K, SIZE * 2])
    known = KernelSurrogate(kernel=kernel, gamma=fitted.gamma_, ridge=0.1)
    known.fit(position_features(orders, K, LABELS, ordered=ordered) * scale, F)
    inputs = position_features(others, K, LABELS, ordered=ordered) * scale
    np.testing.assert_allclose(fitted.predict(others), known.predict(inputs), atol=1e-8)
    for found, wanted in zip(fitted.predict_mean(others), known.predict_mean(inputs), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("labels", [None, np.arange(K) % 3])
def test_exchanges_are_predicted_as_one_by_one(kernel, ordered, size, labels):
    orders = prompts(30, k=size)
    F = np.random.default_rng(0).normal(size=(len(orders), 2))
    fitted = PositionSurrogate(kernel=kernel, weights=[(1.0, 0.5)], ridges=[0.1], ordered=ordered)
    fitted.fit(orders, F, K, labels)
    prompt = [6, 2, 7, 0, 3][:size]
    of_orders, of_means = (fitted.predict_exchanges(prompt, over_orders=over) for over in (False, True))
    assert of_orders.shape == of_means.shape == (size, K, 2)
    for slot in range(size):
        for into in {*range(K)} - {*prompt} | {prompt[slot]}:
            now = [*prompt[:slot], into, *prompt[slot + 1 :]]
            np.testing.assert_allclose(of_orders[slot, into], fitted.predict([now])[0], atol=1e-9)
            mask = np.isin(np.arange(K), now)
            np.testing.assert_allclose(of_means[slot, into], fitted.predict_subsets(mask[None])[0], atol=1e-9)


def test_of_too_many_rows_the_first_orders_of_every_subset_are_fitted():
    orders = prompts(20, each=4)
    fitted = PositionSurrogate(most_rows=50).fit(orders, last_counts(orders), K, LABELS)
    turn = fitted.rows_ % 4
    assert (fitted.given_, len(fitted.rows_)) == (80, 50)
    assert np.bincount(turn).tolist() == [20, 20, 10]
    few = PositionSurrogate(most_rows=12).fit(orders, last_counts(orders), K, LABELS)
    assert len({*(few.rows_ // 4)}) == 12
    assert not (few.rows_ % 4).any()
    rest = PositionSurrogate(weights=[fitted.weights_], gammas=[fitted.gamma_], ridges=[fitted.ridge_])
    rest.fit(orders[fitted.rows_], last_counts(orders)[fitted.rows_], K, LABELS)
    np.testing.assert_allclose(fitted.predict(orders), rest.predict(orders))


def test_rows_that_do_not_tune_are_fitted_all_the_same():
    orders = prompts(50, each=4)
    F = last_counts(orders)
    all_rows, some = (PositionSurrogate(tuning_rows=most).fit(orders, F, K, LABELS) for most in (None, 40))
    assert len(some.rows_) == len(all_rows.rows_) == 200
    assert np.abs(some.predict(orders) - all_rows.predict(orders)).mean() < 0.3 * F.std()
    # as many as there are at most: nothing is left out
    twice, same = (PositionSurrogate(tuning_rows=m).fit(orders[::2], F[::2], K, LABELS) for m in (None, 100))
    assert (same.gamma_, same.ridge_, same.error_) == (twice.gamma_, twice.ridge_, twice.error_)


def test_orders_of_one_subset_do_not_tune_on_one_another():
    """Outcomes that only a twin knows: leaving out a prompt alone would find them predictable."""
    orders = prompts(50)
    values = np.repeat(np.random.default_rng(3).normal(size=(50, 2)), 2, axis=0)
    assert PositionSurrogate().fit(orders, values, K).error_ > 0.9


def test_the_order_of_the_rows_does_not_matter():
    orders = prompts(30)
    F = last_counts(orders)
    turned = [*range(0, 60, 2), *range(1, 60, 2)]
    one, other = (PositionSurrogate().fit(orders[rows], F[rows], K, LABELS) for rows in (slice(None), turned))
    np.testing.assert_allclose(one.predict(orders), other.predict(orders), atol=1e-8)


def test_a_subset_is_the_mean_over_all_its_orders():
    orders = prompts(40)
    fitted = PositionSurrogate().fit(orders, last_counts(orders), K, LABELS)
    masks = np.array([np.isin(range(K), subset) for subset in ((0, 1, 2), (3, 5, 7))])
    found = fitted.predict_subsets(masks)
    for row, mask in enumerate(masks):
        ways = [*itertools.permutations(np.flatnonzero(mask).tolist())]
        np.testing.assert_allclose(found[row], fitted.predict(ways).mean(axis=0))


@pytest.mark.parametrize(
    "masks",
    [np.ones(K, bool), np.ones((2, K), bool), np.zeros((1, K), bool), np.ones((1, 3), bool)],
)
def test_subsets_of_other_sizes_are_refused(masks):
    orders = prompts(10)
    fitted = PositionSurrogate().fit(orders, last_counts(orders), K)
    with pytest.raises(InputError, match="masks"):
        fitted.predict_subsets(masks)
    with pytest.raises(InputError, match="as in the fit"):
        fitted.predict([(0, 1)])


def test_subsets_with_too_many_orders_are_refused():
    orders = prompts(8, k=7)
    fitted = PositionSurrogate().fit(orders, last_counts(orders), K)
    with pytest.raises(InputError, match="at most 6"):
        fitted.predict_subsets(np.arange(K)[None] < 7)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel": "poly"}, {"weights": []}, {"weights": [(0, -1)]}, {"weights": [(0, np.nan)]},
        {"weights": [(1, 2, 3)]}, {"weights": [(np.inf, 0)]}, {"gammas": []}, {"gammas": [0]}, {"ridges": [-1]},
        {"tuning_rows": 5}, {"most_rows": 0},
    ],
)  # fmt: skip
def test_other_settings_are_refused(settings):
    orders = prompts(10)
    with pytest.raises(InputError):
        PositionSurrogate(**settings).fit(orders, last_counts(orders), K)


@pytest.mark.parametrize("change", ["rows", "flat", "nan"])
def test_other_values_are_refused(change):
    orders = prompts(10)
    F = last_counts(orders)
    wrong = {"rows": F[:-1], "flat": F[:, 0], "nan": np.where(np.arange(20)[:, None] == 3, np.nan, F)}[change]
    with pytest.raises(InputError, match="values"):
        PositionSurrogate().fit(orders, wrong, K)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_subsets_are_fitted(m):
    orders = prompts(m)
    assert np.isfinite(PositionSurrogate().fit(orders, last_counts(orders), K, LABELS).predict(orders)).all()


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_where_the_order_counts_seeing_it_gains(kernel):
    orders = prompts(50)
    found = order_gain(orders, last_counts(orders), K, LABELS, kernel=kernel)
    assert (found.subsets, found.orders, len(found.weights)) == (50, 2, 5)
    assert found.lds.low > 0
    assert found.spearman.low > 0
    assert found.relative_error.high < 0


def test_where_it_does_not_nothing_is_gained():
    orders = prompts(50)
    found = order_gain(orders, order_is_noise(orders), K, weights=[(0, 0)])
    assert found.lds.gain == found.relative_error.gain == 0
    assert not found.lds.is_clear


def test_labels_alone_are_no_gain_of_the_order():
    """Outcomes by the count of a label: what does not see the order knows it as well."""
    orders = prompts(50)
    F = (LABELS[orders].sum(axis=1) ** 2.0)[:, None] + 0.1 * np.random.default_rng(0).normal(size=(100, 1))
    found = order_gain(orders, F, K, LABELS)
    assert found.lds.second > 0.8
    assert abs(found.lds.gain) < 0.05


def test_all_orders_of_a_subset_are_on_one_side():
    """Outcomes that belong to a subset alone cannot be predicted where it is held out whole."""
    orders = prompts(50)
    values = np.repeat(np.random.default_rng(3).normal(size=(50, 4)), 2, axis=0)
    found = order_gain(orders, values, K)
    assert abs(found.lds.first) < 0.4
    shuffled = np.random.default_rng(0).permutation(100)
    again = order_gain(orders[shuffled], values[shuffled], K)
    assert abs(again.lds.first) < 0.4


@pytest.mark.parametrize("settings", [{"folds": 1}, {"folds": 11}, {"level": 1.0}])
def test_other_settings_of_the_comparison_are_refused(settings):
    orders = prompts(10)
    with pytest.raises(InputError):
        order_gain(orders, last_counts(orders), K, **settings)


def test_as_many_orders_of_each_subset_are_needed():
    orders = prompts(10)
    with pytest.raises(InputError, match="1 to 2 of a subset"):
        order_gain(orders[:-1], last_counts(orders)[:-1], K)


def test_it_needs_no_torch():
    code = "import sys, kernelsm.prompts.order_surrogate; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
