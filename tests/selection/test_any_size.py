"""The best subset of any size: against all 2^K - 1 of them, whatever the surrogate, the signs and the prices."""

import numpy as np
import pytest

from kernelsm import KernelSurrogate, LinearSurrogate, SharedSurrogate, bernoulli_masks, default_surrogate
from kernelsm.selection.any_size import Total, least_total

K = 8
SUBSETS = (np.arange(1, 2**K)[:, None] >> np.arange(K)) & 1 == 1
EVERYTHING = np.ones(K, dtype=bool)


def wild(seed, gamma=0.3, higher_is_better=False):
    """A surrogate of outcomes without any structure: the hardest to search."""
    masks = bernoulli_masks(K, 60, seed=seed)
    values = np.random.default_rng(seed).normal(size=60)
    return KernelSurrogate(gamma=gamma).fit(masks, values, higher_is_better=higher_is_better)


def totals(surrogate, prices):
    predicted = surrogate.predict(SUBSETS).reshape(len(SUBSETS), -1).mean(axis=1)
    return (-predicted if surrogate.higher_is_better_ else predicted) + SUBSETS @ prices


@pytest.mark.parametrize("higher_is_better", [False, True])
@pytest.mark.parametrize("price", [0.0, 0.1, 3.0])
@pytest.mark.parametrize("seed", range(6))
def test_no_subset_is_better_than_the_one_found(seed, price, higher_is_better):
    g = wild(seed, higher_is_better=higher_is_better)
    prices = price * np.random.default_rng(seed).random(K)
    found = least_total(Total(g, prices))
    values = totals(g, prices)
    assert values[(found == SUBSETS).all(axis=1)].item() == pytest.approx(values.min(), abs=1e-9)


SURROGATES = [KernelSurrogate(kernel="poly", coef0=1.0), LinearSurrogate(), SharedSurrogate(), default_surrogate()]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_every_surrogate_finds_the_helpers(surrogate):
    masks = bernoulli_masks(K, 100, seed=1)
    harm = np.array([0.5, -0.4, 0.3, -0.2, -0.3, 0.2, -0.5, 0.4])
    g = surrogate.fit(masks, masks @ harm + np.random.default_rng(1).normal(scale=0.01, size=100))
    assert least_total(Total(g, np.zeros(K))).tolist() == (harm < 0).tolist()


@pytest.mark.parametrize("higher_is_better", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_change_by_flipping_one_task_or_two_is_that_of_the_subsets(seed, higher_is_better):
    g, prices = wild(seed, higher_is_better=higher_is_better), np.arange(K) / 10.0
    total = Total(g, prices)
    mask = SUBSETS[37 + 40 * seed]
    ones = np.eye(K, dtype=bool)
    assert total.single_flips(mask) == pytest.approx(total.change(mask ^ ones, mask)[0], abs=1e-9)
    pairs = total.pair_flips(mask)
    for j in range(K):
        assert pairs[j, j] == np.inf
        others = [k for k in range(K) if k != j]
        assert pairs[j, others] == pytest.approx(total.change(mask ^ ones[j] ^ ones[others], mask)[0], abs=1e-9)


def test_several_targets_count_by_their_mean():
    masks = bernoulli_masks(4, 60, seed=0)
    effects = np.array([[1.0, -3.0], [3.0, -1.0], [0.5, 0.5], [-1.0, -1.0]])
    g = LinearSurrogate(ridge=1e-6).fit(masks, masks @ effects)
    assert least_total(Total(g, np.zeros(4))).tolist() == [True, False, False, True]


def test_a_subset_keeps_a_task_even_where_all_hurt_or_cost_too_much():
    masks = bernoulli_masks(5, 60, seed=0)
    g = LinearSurrogate(ridge=1e-6).fit(masks, masks @ np.array([0.5, 0.2, 0.4, 0.3, 0.6]))
    assert least_total(Total(g, np.zeros(5))).tolist() == [False, True, False, False, False]
    assert least_total(Total(g, np.full(5, 10.0))).sum() == 1
    alone = LinearSurrogate(ridge=1e-6).fit([[0], [1], [1]], [0.0, 1.0, 1.0])
    assert least_total(Total(alone, np.zeros(1))).tolist() == [True]


def test_only_two_tasks_at_once_lead_out_of_a_pair_that_hurts_together():
    def hurt(s):  # dropping either one alone makes it worse
        return 0.5 * (s[:, 0] != s[:, 1]) + 0.3 * (s[:, 0] & s[:, 1]) - 0.2 * s[:, 2]

    masks = bernoulli_masks(4, 200, seed=0)
    g = KernelSurrogate(gamma=0.5, ridge=1e-4).fit(masks, hurt(masks))
    assert least_total(Total(g, np.full(4, 1e-6)))[:3].tolist() == [False, False, True]


def test_what_does_nothing_stays_where_it_costs_nothing():
    masks = bernoulli_masks(6, 80, seed=0)
    g = LinearSurrogate(ridge=1e-9).fit(masks, 2.0 - masks[:, 0])
    assert least_total(Total(g, np.zeros(6))).all()
    assert least_total(Total(g, np.full(6, 0.01))).tolist() == [True, False, False, False, False, False]


def test_hundreds_of_tasks_take_few_steps(monkeypatch):
    rng = np.random.default_rng(0)
    harm = rng.normal(size=300)
    masks = bernoulli_masks(300, 800, seed=0)
    g = LinearSurrogate(ridge=1e-6).fit(masks, masks @ harm)
    steps = []
    single = Total.single_flips
    monkeypatch.setattr(Total, "single_flips", lambda total, mask: steps.append(1) or single(total, mask))
    assert least_total(Total(g, np.zeros(300))).tolist() == (harm < 0).tolist()
    assert len(steps) < 12
