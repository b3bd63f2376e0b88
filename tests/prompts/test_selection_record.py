"""How good choices are: ways to choose compared on a made-up model whose losses are known."""

import json

import numpy as np
import pytest

from kernelsm import Outcomes
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.selection_record import (
    CAUTIOUS,
    ORDERED,
    OWN_ORDER,
    PAIRWISE,
    RANDOM,
    SEEDS,
    SelectionRecord,
    choices,
    selection_record,
)

K, SIZE = 14, 3
EFFECT = np.linspace(-0.2, 0.2, K)
QUERY = np.linspace(0.8, 1.2, 6)
LABELS = np.arange(K) % 2


def truth(masks):
    """Loss of each query: effects of single demonstrations, and a pair that helps only together."""
    masks = np.atleast_2d(masks).astype(float)
    together = -0.8 * masks[:, 10] * masks[:, 11]
    return (1.5 + masks @ EFFECT + together)[:, None] * QUERY


def in_order(order):
    """Loss of each query: the subset's, and 0.3 more or less by whether the last one is of class 0."""
    mask = np.zeros(K)
    mask[list(order)] = 1
    return truth(mask)[0] + (-0.3 if LABELS[order[-1]] == 0 else 0.3) * QUERY


@pytest.fixture(scope="module")
def outcomes():
    masks = np.unique(fixed_size_masks(K, 260, size=SIZE, seed=2), axis=0)
    return Outcomes(masks, truth(masks) + np.random.default_rng(0).normal(0, 0.01, (len(masks), len(QUERY))))


@pytest.fixture(scope="module")
def ordered(outcomes):
    rng = np.random.default_rng(1)
    orders = np.array([rng.permutation(np.flatnonzero(mask)) for mask in outcomes.masks for _ in range(2)])
    return OrderedOutcomes(orders, np.stack([in_order(order) for order in orders]))


@pytest.fixture(scope="module")
def record(outcomes, ordered):
    def losses(prompt, orders):
        mask = np.zeros(K)
        mask[list(prompt)] = 1
        return in_order(prompt) if orders is None else truth(mask)[0]

    return selection_record(
        outcomes, ordered, LABELS, list(range(K)), losses, orders=4, random_orders=2, random_count=30, random_seed=5
    )


def by_name(record):
    return {choice.name: choice for choice in record.choices}


def test_every_way_chooses_prompts_of_the_size(outcomes, ordered):
    found = choices(outcomes, ordered, LABELS, list(range(K)), 0)
    assert {len(set(prompt)) for prompt in found.values()} == {SIZE}
    assert found["nearest to the queries"] == (11, 12, 13)


def test_only_a_choice_that_sees_pairs_finds_the_pair(record):
    found = by_name(record)
    assert all({10, 11} <= set(prompt) for prompt in found[PAIRWISE].prompts)
    assert any(not {10, 11} <= set(prompt) for prompt in found["top by linear surrogate"].prompts)
    assert found[PAIRWISE].loss < found["top by linear surrogate"].loss
    assert found["nearest to the queries"].worse > found["nearest to the queries"].worse_margin > 0


def test_the_order_aware_choice_finds_the_good_last_place_too(record):
    found = by_name(record)
    assert all(LABELS[prompt[-1]] == 0 for name in OWN_ORDER for prompt in found[name].prompts)
    assert found[ORDERED].loss < found[PAIRWISE].loss - 0.2
    assert found[PAIRWISE].worse > found[PAIRWISE].worse_margin


def test_losses_are_means_over_seeds_and_queries_and_the_gain_follows(record):
    found = by_name(record)
    for choice in found.values():
        if choice.name not in (RANDOM, *OWN_ORDER):
            masks = np.zeros((SEEDS, K))
            for row, prompt in enumerate(choice.prompts):
                masks[row, prompt] = 1
            assert choice.loss == pytest.approx(truth(masks).mean())
    assert record.gain == pytest.approx(1 - found[CAUTIOUS].loss / found[RANDOM].loss)
    assert found[ORDERED].worse == 0
    assert found[RANDOM].worse > 0


def test_surrogates_are_ranked_on_prompts_that_they_have_not_seen(record):
    fits = {fit.name: fit for fit in record.fits}
    assert fits["kernel"].lds > fits["ridge"].lds + 0.02
    assert fits["kernel"].low > 0
    assert fits["ridge"].low == fits["ridge"].high == 0
    assert fits["linear"].lds == pytest.approx(fits["ridge"].lds, abs=0.05)


def test_the_order_is_told_to_gain_what_it_gains(record, ordered):
    assert record.order.subsets * record.order.orders == len(ordered.orders)
    assert record.order.lds > 0.9 > record.order.lds_alone
    assert 0 < record.order.low < record.order.lds - record.order.lds_alone < record.order.high
    assert record.order.error < record.order.error_alone


def test_a_record_comes_back_from_its_file(record):
    assert SelectionRecord.from_json(json.loads(record.to_json())) == record
