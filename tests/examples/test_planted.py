"""The planted game: its stated truth is its real truth, and the surrogates find what they can."""

from itertools import product

import numpy as np
import pytest

from kernelsm import KernelSurrogate, LinearSurrogate, load_example, load_truth
from kernelsm.examples.planted.game import PlantedGame, planted_game


@pytest.fixture(params=["shipped", "crowded"])
def game(request):
    if request.param == "shipped":
        return planted_game()
    # a pair that is both a synergy and an XOR, and a task with every kind of effect
    return PlantedGame(
        task_names=tuple("abcd"),
        base=1.5,
        main={0: -0.3, 1: 0.2},
        pairs={(0, 1): 0.5, (0, 2): -0.4},
        xor={(0, 1): 0.7, (1, 3): -0.2},
        noise=0.0,
    )


def one(game, mask):
    return game.truth(np.array([mask], dtype=bool))[0]


def test_attribution_is_the_loss_with_minus_the_loss_without_each_task(game):
    full = np.ones(game.K, dtype=bool)
    for k, effect in enumerate(game.attribution()):
        without = full.copy()
        without[k] = False
        assert effect == pytest.approx(one(game, full) - one(game, without), abs=1e-9)


def test_interactions_are_second_differences_at_every_subset(game):
    rng = np.random.default_rng(0)
    anchors = [np.ones(game.K, dtype=bool), *(rng.random((5, game.K)) < 0.5)]
    stated = game.interactions()
    assert (np.diag(stated) == 0).all()
    for at, (j, k) in product(anchors, product(range(game.K), repeat=2)):
        if j == k:
            continue
        corner = {}
        for a, b in product((0, 1), repeat=2):
            mask = at.copy()
            mask[j], mask[k] = a, b
            corner[a, b] = one(game, mask)
        difference = corner[1, 1] - corner[1, 0] - corner[0, 1] + corner[0, 0]
        assert stated[j, k] == pytest.approx(difference, abs=1e-9)


def test_noise_has_the_stated_size_and_no_bias():
    game = planted_game()
    masks = np.random.default_rng(1).random((20_000, game.K)) < 0.5
    noise = game.play(masks, seed=3) - game.truth(masks)
    assert abs(noise.mean()) < 5 * game.noise / np.sqrt(20_000)
    assert noise.std() == pytest.approx(game.noise, rel=0.03)
    assert np.array_equal(game.play(masks, seed=3), game.play(masks, seed=3))
    assert not np.array_equal(game.play(masks, seed=3), game.play(masks, seed=4))


def test_the_kernel_surrogate_ranks_the_three_planted_pairs_first():
    g = KernelSurrogate().fit_outcomes(load_example("planted"))
    top = g.interactions().top(4)
    pairs = [{first, second} for first, second in zip(top["first"], top["second"], strict=True)]
    planted = [{"lock (with key)", "key (with lock)"}, {"XOR left", "XOR right"}, {"copy one", "copy two"}]
    assert all(pair in pairs[:3] for pair in planted)
    # the fourth is noise: well below the weakest of the three
    assert abs(top["value"][3]) < 0.6 * abs(top["value"][2])
    kinds = {frozenset(pair): kind for pair, kind in zip(pairs, top["kind"], strict=True)}
    assert kinds[frozenset({"lock (with key)", "key (with lock)"})] == "synergy"
    assert kinds[frozenset({"copy one", "copy two"})] == "redundancy or conflict"


def test_a_linear_surrogate_sees_no_interaction_and_no_xor():
    g = LinearSurrogate().fit_outcomes(load_example("planted"))
    assert not g.interactions().values.any()
    names = list(g.task_names_)
    effect = g.attribution().values[:, 0]
    xor = [abs(effect[names.index(name)]) for name in ("XOR left", "XOR right")]
    assert max(xor) < 0.05 < abs(effect[names.index("arithmetic (helps)")])


def test_the_kernel_surrogate_predicts_the_game_better_than_the_linear_one():
    outcomes, truth = load_example("planted"), load_truth("planted")
    error = {
        type(g).__name__: np.abs(g.fit_outcomes(outcomes).predict(truth.masks) - truth.values).mean()
        for g in (LinearSurrogate(), KernelSurrogate())
    }
    assert error["KernelSurrogate"] < 0.8 * error["LinearSurrogate"]
