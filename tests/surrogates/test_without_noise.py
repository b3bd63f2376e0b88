"""Outcomes without noise: measured subsets keep their outcomes, and readouts of them have no width."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from brute_force import all_subsets, readouts_of, weights

from kernelsm import AutoSurrogate, InputError, KernelSurrogate, Outcomes, SharedSurrogate, bernoulli_masks

K = 6
GRID = all_subsets(K)


def rough(masks):
    """A function of the subset with effects of every order."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(2**K, 2))
    return values[(masks @ 2 ** np.arange(K)[::-1]).astype(int)] + masks[:, :2]


GAMES = {
    "glove": (["L", "R", "S"], lambda L, R, S: float(L and (R or S)), (2 / 3, 1 / 6, 1 / 6)),
    "airport": ("abcd", lambda *s: max(cost * has for cost, has in zip((1, 2, 3, 5), s, strict=True)),
                (1 / 4, 7 / 12, 13 / 12, 37 / 12)),
}  # fmt: skip


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("surrogate", [AutoSurrogate(), SharedSurrogate()])
def test_a_complete_table_is_answered_by_its_rows(game, surrogate):
    names, play, shapley = GAMES[game]
    masks = np.array(list(product((0, 1), repeat=len(names))))
    values = np.array([play(*row) for row in masks])
    g = surrogate.fit(masks, values, task_names=list(names))
    found = g.attribution("shapley")
    np.testing.assert_allclose(found.values[:, 0], shapley, atol=1e-9)
    assert not found.std.any()
    assert found.measured.all()
    np.testing.assert_allclose(g.predict(masks), values, atol=1e-12)
    assert not g.noise_variance_.any()


def test_all_readouts_of_a_complete_table_are_sums_over_it():
    g = AutoSurrogate().fit(GRID, rough(GRID))
    for order in (1, 2):
        for kind, arguments in readouts_of(K, GRID[[0, 37, 63]], (0.3, 0.5), order):
            for own in ([1], [4]) if order == 1 else ([0, 3], [2, 5]):
                wanted = weights(GRID, kind, own, **arguments) @ rough(GRID)
                read = g.attribution if order == 1 else g.interactions
                result = read(kind, **arguments)
                np.testing.assert_allclose(result.values[tuple(own)], wanted, atol=1e-9)
                assert result.measured[tuple(own)]
                assert not result.std[tuple(own)].any()


@pytest.mark.parametrize("surrogate", [AutoSurrogate(), SharedSurrogate(), KernelSurrogate(gamma=0.3, ridge=0.5)])
def test_measured_rows_are_read_and_others_predicted(surrogate):
    rng = np.random.default_rng(0)
    masks = np.vstack([np.ones((1, K)), 1 - np.eye(K)[:4], GRID[rng.permutation(40)]])
    masks = masks[np.sort(np.unique(masks, axis=0, return_index=True)[1])]
    left_out = GRID[[not (masks == subset).all(axis=1).any() for subset in GRID]]
    g = surrogate.fit(masks, rough(masks), noise=0)
    predicted, std = g.predict(np.vstack([masks, left_out]), return_std=True)
    np.testing.assert_allclose(predicted[: len(masks)], rough(masks), atol=1e-12)
    assert not std[: len(masks)].any()
    assert (std[len(masks) :] > 0.01).all()
    effects = g.attribution()
    known = [k for k in range(K) if (masks == 1 - np.eye(K)[k]).all(axis=1).any()]
    np.testing.assert_array_equal(np.flatnonzero(effects.measured), known)
    full = rough(np.ones((1, K)))
    for k in known:
        np.testing.assert_allclose(effects.values[k], (full - rough(1 - np.eye(K)[[k]]))[0], atol=1e-12)
    assert not effects.std[known].any()
    assert (effects.std[~effects.measured] > 0.01).all()
    pairs = g.interactions()
    assert not pairs.std[pairs.measured].any()
    change, doubt = g.predict_change(masks[1:3], reference=masks[0])
    np.testing.assert_allclose(change, rough(masks[1:3]) - rough(masks[:1]), atol=1e-12)
    assert not doubt.any()


def test_intervals_of_what_is_not_measured_hold_the_truth():
    """What λ leaves is part of F: the intervals hold differences of F, of functions smooth and rough."""
    held, asked = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = GRID @ rng.normal(size=K) + rng.choice([0.1, 1.0]) * rng.normal(size=2**K)
        rows = rng.choice(2**K - 1, size=40, replace=False)
        effects = SharedSurrogate().fit(GRID[rows], truth[rows], noise=0).attribution()
        wanted = [truth[-1] - truth[2**K - 1 - 2 ** (K - 1 - k)] for k in range(K)]
        low, high = effects.interval(0.9)
        held += int(((low[:, 0] <= wanted) & (wanted <= high[:, 0])).sum())
        asked += K
    assert 0.84 < held / asked < 0.96


def test_repeated_rows_that_agree_say_that_there_is_no_noise():
    masks = bernoulli_masks(10, 30, seed=0).astype(float)
    again = np.vstack([masks, masks[:3]])
    smooth = again @ np.linspace(-1, 1, 10) + 0.3 * again[:, 0] * again[:, 1]
    assert AutoSurrogate().fit(again, smooth).measured_rows_ is not None
    assert AutoSurrogate().fit(masks, smooth[:30]).measured_rows_ is None  # nothing was measured twice
    noisy = smooth + np.random.default_rng(0).normal(size=len(smooth)) * 0.1
    assert AutoSurrogate().fit(again, noisy).measured_rows_ is None
    # one of two values: three rows that agree may do so by chance
    assert AutoSurrogate().fit(again, (smooth > smooth.mean()).astype(float)).measured_rows_ is None


def test_a_contradiction_is_named():
    with pytest.raises(InputError, match=r"rows 0 and 2: found one subset with different outcomes"):
        KernelSurrogate().fit([[0, 1], [1, 1], [0, 1]], [1.0, 2.0, 1.5], noise=0)


def test_outcomes_that_were_computed_exactly_are_taken_so():
    masks = bernoulli_masks(10, 30, seed=0)
    values = masks @ np.linspace(-1, 1, 10)
    exact = {"estimator": "gradex", "projection": "exact basis"}
    assert AutoSurrogate().fit_outcomes(Outcomes(masks, values, meta=exact)).measured_rows_ is not None
    rough_meta = {"estimator": "gradex", "projection": "Gaussian, 64 dimensions"}
    assert AutoSurrogate().fit_outcomes(Outcomes(masks, values, meta=rough_meta)).measured_rows_ is None


def test_results_say_what_was_measured_after_they_were_saved(tmp_path):
    g = AutoSurrogate().fit(GRID, rough(GRID))
    for result in (g.attribution(), g.interactions()):
        again = type(result).load(result.save(Path(tmp_path) / "result.npz"))
        np.testing.assert_array_equal(again.measured, result.measured)
