"""Nine in ten: intervals of differences between two views over many planted draws, in each of the four cases.

The settings here are apart from those that were looked at while the intervals were made.
"""

from itertools import product

import numpy as np
import pytest

from kernelsm import Outcomes
from kernelsm.evaluation.rank_agreement import rank_agreement
from kernelsm.evaluation.two_views import How, compare_views
from kernelsm.evaluation.views import View

K = 6
GRID = np.array(list(product((0, 1), repeat=K)))
PLACE = 2 ** np.arange(K)[::-1]
DRAWS = 120


def game_from_prior(rng, gamma):
    """What a game drawn from the prior gives each of the 2^K subsets."""
    covariance = np.exp(-gamma * ((GRID[:, None] - GRID[None]) ** 2).sum(axis=-1))
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ (np.sqrt(np.maximum(values, 0)) * rng.normal(size=len(GRID)))


def leave_one_out(game):
    full = np.ones(K, dtype=int)
    return np.array([game[full @ PLACE] - game[(full - row) @ PLACE] for row in np.eye(K, dtype=int)])


def inclusion(game):
    return np.array([game[GRID[:, k] == 1].mean() - game[GRID[:, k] == 0].mean() for k in range(K)])


def pair_at_all(game, j, k):
    full, one = np.ones(K, dtype=int), np.eye(K, dtype=int)
    corners = full, full - one[j], full - one[k], full - one[j] - one[k]
    both, without_j, without_k, neither = (game[corner @ PLACE] for corner in corners)
    return both - without_j - without_k + neither


def measured(rng, games, m, noise, rows=None):
    """A table of one target for each game; noise of a subset is half its own and half that of all targets."""
    rows = rng.integers(len(GRID), size=m) if rows is None else rows
    own = noise * np.sqrt(0.5) * rng.normal(size=(m, len(games)))
    shared = noise * np.sqrt(0.5) * rng.normal(size=(m, 1))
    return Outcomes(GRID[rows], np.column_stack([game[rows] for game in games]) + own + shared)


def share_covered(found, truth):
    return float((np.abs(found.values - truth) <= found.margin).mean())


@pytest.mark.parametrize(("gamma", "ridge", "m"), [(0.4, 0.3, 45), (0.08, 0.1, 25)])
def test_two_readouts_of_one_fit(gamma, ridge, m):
    rng = np.random.default_rng(101)
    covered = []
    for _ in range(DRAWS):
        game = game_from_prior(rng, gamma)
        outcomes = measured(rng, [game], m, np.sqrt(ridge))
        views = [View(outcomes, "", "rbf", gamma, ridge, readout) for readout in ("leave_one_out", "inclusion")]
        found = compare_views(*views)
        assert found.how is How.ONE_FIT
        covered.append(share_covered(found.differences, leave_one_out(game) - inclusion(game)))
    assert 0.85 <= np.mean(covered) <= 0.95


@pytest.mark.parametrize(("gamma", "ridge", "m"), [(0.4, 0.3, 45), (0.08, 0.1, 25)])
def test_two_targets_of_one_table(gamma, ridge, m):
    rng = np.random.default_rng(102)
    covered, of_pairs = [], []
    for _ in range(DRAWS):
        common, *own = (game_from_prior(rng, gamma) for _ in range(3))
        games = [0.8 * common + 0.6 * one for one in own]
        outcomes = measured(rng, games, m, np.sqrt(ridge))
        found = compare_views(*(View(outcomes, name, "rbf", gamma, ridge) for name in outcomes.target_names))
        assert found.how is How.DIFFERENCES
        covered.append(share_covered(found.differences, leave_one_out(games[0]) - leave_one_out(games[1])))
        pairs = found.pairs
        truth = [
            pair_at_all(games[0] - games[1], j, k) for j, k in zip(pairs.j, pairs.k, strict=True)
        ]  # fmt: skip
        of_pairs.append(share_covered(pairs.found, np.array(truth)))
    assert 0.85 <= np.mean(covered) <= 0.95
    assert 0.85 <= np.mean(of_pairs) <= 0.95


@pytest.mark.parametrize(("gamma", "ridge", "sizes"), [(0.4, 0.3, (45, 30)), (0.08, 0.1, (25, 60))])
def test_two_runs_on_other_subsets(gamma, ridge, sizes):
    rng = np.random.default_rng(103)
    covered = []
    for _ in range(DRAWS):
        games = [game_from_prior(rng, gamma) for _ in range(2)]
        tables = [measured(rng, [game], m, np.sqrt(ridge)) for game, m in zip(games, sizes, strict=True)]
        found = compare_views(*(View(table, "", "rbf", gamma, ridge) for table in tables))
        assert found.how is How.APART
        covered.append(share_covered(found.differences, leave_one_out(games[0]) - leave_one_out(games[1])))
    assert 0.85 <= np.mean(covered) <= 0.95


def test_two_runs_on_the_same_subsets():
    rng = np.random.default_rng(104)
    covered, shorter = [], []
    for _ in range(DRAWS):
        game = game_from_prior(rng, 0.3)
        change = 0.2 * game_from_prior(rng, 0.3)
        rows = rng.integers(len(GRID), size=40)
        before, after = (measured(rng, [one], 40, 0.1, rows) for one in (game, game + change))
        found = compare_views(View(before, "", "rbf", 0.3, 0.3), View(after, "", "rbf", 0.3, 0.3))
        assert found.how is How.DIFFERENCES
        covered.append(share_covered(found.differences, -leave_one_out(change)))
        shorter.append((found.differences.margin / np.hypot(*found.margins)).mean())
    assert 0.85 <= np.mean(covered) <= 0.95
    assert np.mean(shorter) < 0.7  # what both share is no doubt


@pytest.mark.parametrize(("m", "noise", "others"), [
    (70, 0.3, ("linear", None, 0.5)),
    (110, 0.15, ("rbf", 0.5, 0.1)),
])  # fmt: skip
def test_two_surrogates_of_one_table_cover_what_other_draws_of_subsets_give_on_average(m, noise, others):
    rng = np.random.default_rng(105)
    game = 0.7 * game_from_prior(rng, 0.2)
    found = []
    for _ in range(2 * DRAWS):
        outcomes = measured(rng, [game], m, noise)
        views = View(outcomes, "", "rbf", 0.1, 0.05), View(outcomes, "", *others)
        found.append(compare_views(*views).differences)
    expected = np.mean([one.values for one in found], axis=0)
    assert 0.85 <= np.mean([share_covered(one, expected) for one in found]) <= 0.95


@pytest.mark.parametrize("others", [("linear", None, 0.3), ("rbf", 0.3, 0.2)])
def test_the_default_surrogate_beside_another_one(others):
    rng = np.random.default_rng(107)
    game = 0.7 * game_from_prior(rng, 0.25)
    found = []
    for _ in range(30):
        outcomes = measured(rng, [game], 90, 0.2)
        found.append(compare_views(View(outcomes), View(outcomes, "", *others)).differences)
    expected = np.mean([one.values for one in found], axis=0)
    # intervals of the default surrogate err on the wide side, alone as well as here
    assert 0.85 <= np.mean([share_covered(one, expected) for one in found]) <= 0.99


@pytest.mark.parametrize(("n", "correlation"), [(9, 0.5), (25, 0.8), (40, 0.0)])
def test_rank_correlations_of_tasks_drawn_at_random(n, correlation):
    rng = np.random.default_rng(106)
    truth = 6 / np.pi * np.arcsin(correlation / 2)  # Spearman's of a normal pair
    covered = []
    for _ in range(1500):
        x, y = rng.normal(size=(2, n))
        agreement = rank_agreement(x, correlation * x + np.sqrt(1 - correlation**2) * y)
        covered.append(agreement.low <= truth <= agreement.high)
    assert 0.85 <= np.mean(covered) <= 0.95
