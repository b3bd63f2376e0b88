"""The games of the comparison are what they say: their truths equal plain loops over all subsets."""

from itertools import combinations

import numpy as np
import pytest
from comparison.made_tables import FITTED_ROWS, like_modular_addition
from comparison.planted_games import GAMES, effects_at_all_tasks, pairs_asked
from comparison.shapley_values import all_subsets, shapley_of_all_outcomes
from interval_coverage import FAMILIES, OUTLIER_SIZE, play

from kernelsm import lds

K = 6


def product_effects(game, inside):
    groups = [(group, effect) for group, effect in zip(game.groups, game.effects, strict=True)]
    return sum(effect for group, effect in groups if set(map(int, group)) <= inside)


def additive(game, inside):
    return sum(game.single[k] for k in inside)


def products(game, inside):
    return additive(game, inside) + product_effects(game, inside)


def degree_4(game, inside):
    total = 0.0
    for group, effect in zip(game.groups, game.effects, strict=True):
        outside = sum(int(k) not in inside for k in group)
        total += effect * (-1) ** outside
    return total


def exponential(game, inside):
    return np.prod([np.exp(game.single[k]) for k in inside])


def threshold(game, inside):
    groups = zip(game.groups, game.needed, game.effects, strict=True)
    return sum(effect for group, needed, effect in groups if len(set(map(int, group)) & inside) >= needed)


def max_min(game, inside):
    total = 0.0
    for group, effect, largest in zip(game.groups, game.effects, game.largest, strict=True):
        values = [game.values[k] for k in group if int(k) in inside]
        total += effect * (max(values, default=0.0) if largest else min(values, default=1.0))
    return total


def coverage(game, inside):
    covered = (any(row[k] for k in inside) for row in game.covers)
    return -sum(weight for weight, is_covered in zip(game.weights, covered, strict=True) if is_covered)


def some_products(game, inside):
    return additive(game, inside) + sum(effect for group, effect in game.groups if set(group) <= inside)


def mixture(game, inside):
    weight = 1.0 + sum(game.weights[k] for k in inside)
    return sum(game.weights[k] * game.single[k] for k in inside) / weight


LOOPS = {
    "additive": additive, "sparse_pairs": products, "third_order": products, "degree_4": degree_4,
    "exp": exponential, "threshold": threshold, "max_min": max_min, "coverage": coverage,
}  # fmt: skip
INTERVAL_LOOPS = {
    "products": some_products, "few_tasks": some_products, "exp": exponential, "outlier": some_products,
    "unseen": mixture,
}  # fmt: skip


def looped(loop, game):
    return np.array([loop(game, set(map(int, np.flatnonzero(row)))) for row in all_subsets(K)])


def test_every_family_has_a_loop():
    assert set(LOOPS) == set(GAMES)
    assert set(INTERVAL_LOOPS) == set(FAMILIES)


@pytest.mark.parametrize("name", GAMES)
def test_the_truth_of_a_game_is_a_plain_loop_over_its_effects(name):
    game = GAMES[name](K, np.random.default_rng(3))
    outcomes = game(all_subsets(K))
    assert np.ptp(outcomes) > 0.1
    assert outcomes == pytest.approx(looped(LOOPS[name], game), abs=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_truth_of_a_game_of_intervals_is_a_plain_loop_over_its_effects(name):
    game = FAMILIES[name](K, np.random.default_rng(3))
    assert game(all_subsets(K)) == pytest.approx(looped(INTERVAL_LOOPS[name], game), abs=1e-12)


@pytest.mark.parametrize("name", GAMES)
def test_effects_at_all_tasks_are_differences_of_outcomes(name):
    game = GAMES[name](K, np.random.default_rng(5))
    first, second = pairs_asked(K)
    effects, second_differences = effects_at_all_tasks(game, K, first, second)
    outcomes = looped(LOOPS[name], game)
    everything = 2**K - 1
    for k in range(K):
        assert effects[k] == pytest.approx(outcomes[everything] - outcomes[everything - 2**k], abs=1e-12)
    assert list(zip(first, second, strict=True)) == list(combinations(range(K), 2))
    for (j, k), found in zip(combinations(range(K), 2), second_differences, strict=True):
        with_both, without_j, without_k = (outcomes[everything - gone] for gone in (0, 2**j, 2**k))
        expected = with_both - without_j - without_k + outcomes[everything - 2**j - 2**k]
        assert found == pytest.approx(expected, abs=1e-12)


def test_an_additive_game_has_no_interactions_not_even_by_rounding():
    game = GAMES["additive"](50, np.random.default_rng(0))
    _, second_differences = effects_at_all_tasks(game, 50, *pairs_asked(50))
    assert not second_differences.any()


def test_of_many_pairs_some_are_asked_once_each():
    first, second = pairs_asked(200)
    assert len(first) == 2000 == len(set(zip(first.tolist(), second.tolist(), strict=True)))
    assert (first < second).all()


def test_shapley_values_and_interactions_are_those_of_dividends():
    game = GAMES["third_order"](K, np.random.default_rng(1))
    values, interactions = shapley_of_all_outcomes(game(all_subsets(K)))
    # every dividend is shared equally among its tasks, and among the pairs of its tasks by order less one
    dividends = [((k,), effect) for k, effect in enumerate(game.single)]
    dividends += [(tuple(map(int, group)), effect) for group, effect in zip(game.groups, game.effects, strict=True)]
    for j in range(K):
        assert values[j] == pytest.approx(sum(e / len(group) for group, e in dividends if j in group))
        for k in range(j):
            expected = sum(e / (len(group) - 1) for group, e in dividends if j in group and k in group)
            assert interactions[j, k] == interactions[k, j] == pytest.approx(expected)


def test_one_row_in_a_hundred_of_the_outlier_games_is_far_off():
    _, masks, clean = play("products", 7, 200)
    _, same_masks, with_outliers = play("outlier", 7, 200)
    moved = np.abs(with_outliers - clean)
    assert (masks == same_masks).all()
    assert (moved > 0).sum() == 2
    assert moved[moved > 0] == pytest.approx(OUTLIER_SIZE * clean.std())


def test_in_the_made_tables_size_alone_orders_all_targets_a_little():
    masks, values = like_modular_addition(0)
    assert masks.shape == values.shape == (140, 500)
    size = -masks[FITTED_ROWS:].sum(axis=1)
    assert 0.15 < lds(values[FITTED_ROWS:], np.repeat(size[:, None], 500, axis=1)) < 0.3
