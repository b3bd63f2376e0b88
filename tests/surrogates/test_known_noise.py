"""Noise that repeated measurements tell of: estimated from orders, carried by the table, minded by the surrogates."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest

from kernelsm import (
    AutoSurrogate,
    InputError,
    LinearSurrogateCV,
    Outcomes,
    SharedSurrogate,
    fixed_size_masks,
    lds,
    load_example,
)
from kernelsm.prompts.orders import OrderedOutcomes, order_noise, orders_needed, with_noise
from kernelsm.workspace.tables import load_run_orders

MANY = 9
"""Demonstrations with so many orders that some are as good as drawn with repetition."""


def noisy_subsets(m=40, orders=3, q=5, seed=0):
    """Single orders of subsets whose noise is one common shock and a little of each target's own."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(m, 1, q))
    return level + rng.normal(size=(m, orders, 1)) * np.arange(1, q + 1) + 0.1 * rng.normal(size=(m, orders, q))


def test_the_covariance_is_that_within_subsets_over_the_number_of_orders():
    values = noisy_subsets()
    noise = order_noise(list(values), MANY)
    within = np.mean([np.cov(found.T) for found in values], axis=0) / 3
    assert len(noise) == 5
    np.testing.assert_allclose(noise.T @ noise, within, rtol=1e-5)
    # the common shock does not cancel in the mean over targets
    of_mean = values.mean(axis=2).var(axis=1, ddof=1).mean() / 3
    np.testing.assert_allclose((noise.mean(axis=1) ** 2).sum(), of_mean, rtol=1e-5)


def test_it_is_estimated_without_bias():
    found = [order_noise(list(noisy_subsets(m=200, seed=seed)), MANY) for seed in range(20)]
    truth = (np.outer(np.arange(1, 6), np.arange(1, 6)) + 0.01 * np.eye(5)) / 3
    np.testing.assert_allclose(np.mean([one.T @ one for one in found], axis=0), truth, rtol=0.05)


def test_single_orders_tell_nothing_and_few_rows_stay():
    assert order_noise([np.ones((1, 3)), np.zeros((1, 3))], 4) is None
    assert order_noise([np.ones((1, 3)), np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])], 4).shape == (2, 3)


def test_subsets_with_single_orders_are_left_out_of_the_estimate():
    values = list(noisy_subsets(m=10))
    np.testing.assert_allclose(order_noise([*values, values[0][:1]], 3), order_noise(values, 3))


def test_rows_of_one_subset_belong_together_wherever_they_stand():
    values = noisy_subsets(m=2, orders=2)
    orders = np.array([[0, 1, 4], [2, 3, 4], [3, 2, 4], [1, 0, 4]])
    found = OrderedOutcomes(orders, np.concatenate([values[0], values[1]])[[0, 2, 3, 1]])
    np.testing.assert_allclose(found.noise(), order_noise(list(values), 3))


def test_an_order_that_stands_there_twice_counts_once():
    values = noisy_subsets(m=4, orders=2)
    orders = np.array([[[k, 4, 5], [k, 5, 4]] for k in range(4)])
    once = OrderedOutcomes(orders.reshape(-1, 3), values.reshape(8, -1))
    again = [0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 5]
    twice = OrderedOutcomes(once.orders[again], once.values[again])
    for found, want in zip(twice.by_subset(), values, strict=True):
        np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(twice.noise(), once.noise())
    assert twice.needed() == once.needed()


@pytest.mark.parametrize("taken", [2, 3, 5, 6])
def test_the_noise_of_a_mean_is_that_of_orders_drawn_without_repetition(taken):
    # outcomes of all 6 orders of many subsets: the mean over all is what the mean over some is to be near to
    rng = np.random.default_rng(2)
    everything = rng.normal(size=(4000, 6))
    some = everything[:, :taken]
    away = some.mean(axis=1) - everything.mean(axis=1)
    noise = order_noise(list(some[:, :, None]), 3)
    assert (noise**2).sum() == pytest.approx(np.mean(away**2), rel=0.08, abs=1e-12)


def test_subsets_of_several_sizes_have_noise_of_their_own():
    # of two demonstrations both orders were tried: only the other half of the subsets has noise
    values = list(noisy_subsets(m=40, orders=2))
    half = order_noise(values, [2] * 20 + [MANY] * 20)
    np.testing.assert_allclose(half.T @ half, order_noise(values, MANY).T @ order_noise(values, MANY) / 2, rtol=1e-4)


def test_where_all_orders_were_tried_effects_are_learnt_however_large_those_of_the_order():
    rng = np.random.default_rng(0)
    masks = fixed_size_masks(20, 190, size=2, distinct=True)
    effects, places = 0.1 * rng.normal(size=20), rng.normal(size=20)
    orders = np.array([pair for mask in masks for pair in permutations(np.flatnonzero(mask))])
    values = effects[orders].sum(axis=1) + places[orders[:, 0]] - places[orders[:, 1]]
    found = OrderedOutcomes(orders, values[:, None])
    outcomes = with_noise(Outcomes(masks, masks @ effects), found)
    train, test = outcomes.split(0.7)
    assert found.needed() == 2
    assert lds(test.values, AutoSurrogate().fit_outcomes(train).predict(test.masks)) > 0.95


@pytest.mark.parametrize(
    ("ratio", "size", "wanted"),
    [
        (0.1, MANY, 2), (1.0, MANY, 2), (3.5, MANY, 4), (4.5, MANY, 5), (20.0, MANY, 6),
        # of the 6 orders of three, n leave 1 / n - 1 / 6 of the variance
        (0.1, 3, 2), (3.5, 3, 3), (20.0, 3, 5), (20.0, 2, 2),
    ],
)  # fmt: skip
def test_orders_are_needed_until_the_rest_of_their_noise_is_below_what_subsets_differ_by(ratio, size, wanted):
    rng = np.random.default_rng(0)
    level = rng.normal(size=(20_000, 1, 1))
    most = min(factorial(size), 1000)
    shifts = rng.normal(size=(20_000, 2, 1))
    # the mean over all orders of a subset is its level
    noise = shifts - shifts.sum(axis=1, keepdims=True) * (1 - np.sqrt((most - 2) / most)) / 2
    values = level + np.sqrt(ratio) * noise + np.zeros(3)
    assert orders_needed(list(values), size) == wanted


def test_too_few_subsets_or_no_noise_ask_for_two_orders():
    assert orders_needed([np.array([[1.0], [5.0]])] * 2, 4) == 2
    assert orders_needed([np.full((2, 1), level) for level in (1.0, 2.0, 5.0)], 4) == 2
    assert orders_needed([np.ones((2, 1))] * 4, 4) == 2
    assert orders_needed([np.array([[1.0], [5.0]])] * 4, 4) == 6
    assert orders_needed([np.array([[1.0], [5.0]])] * 4, 2) == 2
    assert orders_needed([np.ones((1, 1))] * 9, 4) == 2
    assert orders_needed([np.ones((1, 1))] * 9, 1) == 1


def test_a_table_carries_its_noise_to_targets_means_and_parts():
    noise = np.array([[1.0, 2.0], [0.0, 3.0]])
    outcomes = Outcomes(np.eye(4), np.arange(8.0).reshape(4, 2), noise=noise)
    np.testing.assert_array_equal(outcomes.target("target 2").noise, [[2.0], [3.0]])
    np.testing.assert_array_equal(outcomes.mean_target().noise, [[1.5], [1.5]])
    for part in (*outcomes.split(0.5), outcomes.take([0])):
        np.testing.assert_array_equal(part.noise, noise)
    assert outcomes.content_hash == Outcomes(outcomes.masks, outcomes.values).content_hash
    with pytest.raises(ValueError, match="read-only"):
        outcomes.noise[0, 0] = 7.0


@pytest.mark.parametrize("noise", [np.ones(2), np.ones((2, 3)), [[np.nan, 1.0]], [["a", "b"]]])
def test_noise_that_does_not_fit_is_refused(noise):
    with pytest.raises(InputError, match=r"noise.*\(n, 2\)"):
        Outcomes(np.eye(3), np.ones((3, 2)) + np.eye(3)[:, :2], noise=noise)
    with pytest.raises(InputError, match=r"noise.*\(n, 2\)"):
        SharedSurrogate().fit(np.eye(3), np.eye(3)[:, :2], noise=noise)


def test_orders_of_another_table_are_not_taken():
    outcomes = Outcomes(np.eye(4)[:2], np.ones((2, 3)))
    assert with_noise(outcomes, None) is outcomes
    other = OrderedOutcomes(np.array([[0, 1], [1, 0]]), np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert with_noise(outcomes, other) is outcomes


def pure_noise(seed, q=1, m=60, K=30):
    rng = np.random.default_rng(seed)
    return (rng.random((m, K)) < 0.3), rng.normal(size=(m, q))


@pytest.mark.parametrize("surrogate", [SharedSurrogate(), AutoSurrogate()], ids=str)
def test_a_surrogate_never_assumes_less_noise_than_is_known(surrogate):
    # some draws of pure noise look like signal, but not to one who knows how much noise there is
    loose, held = [], []
    for seed in range(12):
        masks, values = pure_noise(seed)
        fresh = np.random.default_rng([seed, 1]).random((400, masks.shape[1])) < 0.3
        for found, noise in ((loose, None), (held, [[1.0]])):
            g = surrogate.fit(masks, values, noise=noise)
            # of these 60 outcomes' own variance where that is less than 1
            share = float(g.noise_variance_[0]) / min(1.0, float(values.var(ddof=1)))
            found.append((share, float((g.predict(fresh) ** 2).mean())))
    assert min(loose)[0] < 0.5
    assert min(held)[0] > 0.9
    assert np.mean(held, axis=0)[1] < 0.95 * np.mean(loose, axis=0)[1]


def test_little_noise_changes_nothing_and_much_leaves_the_mean():
    rng = np.random.default_rng(3)
    masks = rng.random((80, 6)) < 0.5
    values = masks @ rng.normal(size=(6, 4)) + 0.1 * rng.normal(size=(80, 4))
    for sharing in ("components", "targets"):
        plain = SharedSurrogate(sharing=sharing).fit(masks, values).predict(masks)
        little = SharedSurrogate(sharing=sharing).fit(masks, values, noise=0.01 * np.eye(4)).predict(masks)
        np.testing.assert_allclose(little, plain, atol=0.005 * values.std())
        much = SharedSurrogate(sharing=sharing).fit(masks, values, noise=1e3 * np.eye(4)).predict(masks)
        assert np.abs(much - values.mean(axis=0)).max() < 0.05 * values.std()


def test_shared_noise_is_told_from_shared_signal():
    # one component is a shock that all targets have in common, another one a signal: only the first is noise
    rng = np.random.default_rng(5)
    masks = rng.random((100, 8)) < 0.5
    signal = np.outer(masks[:, 0] - 0.5, [1.0, -1.0, 1.0, -1.0])
    shock = np.outer(rng.normal(size=100), [1.0, 1.0, 1.0, 1.0])
    g = SharedSurrogate(sharing="components").fit(masks, signal + shock, noise=np.ones((1, 4)))
    effect = g.attribution("inclusion", p=0.5)
    np.testing.assert_allclose(effect.values[0] @ [0.25, -0.25, 0.25, -0.25], 1.0, atol=0.1)
    assert (effect.std[0] > 0.05).all()


def test_other_surrogates_take_noise_and_choose_by_leaving_out():
    masks, values = pure_noise(0)
    plain = LinearSurrogateCV().fit(masks, values).predict(masks)
    told = LinearSurrogateCV().fit(masks, values, noise=[[1.0]]).predict(masks)
    np.testing.assert_allclose(told, plain, rtol=1e-7, atol=1e-9)


def test_the_finished_prompts_know_their_noise():
    outcomes = load_example("movie-reviews").mean_target()
    spread = np.array(outcomes.meta["order_spread"])
    np.testing.assert_allclose((outcomes.noise**2).sum(), (spread**2).mean() * (1 / 2 - 1 / 24), rtol=1e-4)
    assert load_run_orders("movie-reviews").noise().shape == (100, 100)
    g = SharedSurrogate().fit_outcomes(outcomes)
    assert g.noise_variance_[0] >= (1 - 1e-6) * (outcomes.noise**2).sum()
