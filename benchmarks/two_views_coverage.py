"""Whether 90 % intervals of the difference between two views hold the true difference 90 % of the time.

On the planted games of `interval_coverage.py`, K = 10 tasks, with the default surrogate. The cases are those of
`kernelsm.evaluation.two_views`:

- one_fit: leave-one-out less Shapley, read off one fit
- differences: two targets on the same subsets, which share most of the game and half of the noise
- apart: two games measured on other subsets
- rows_left_out: the default surrogate less a linear one; over many draws of subsets of one game, the truth is what
  they differ by on average

    .venv/bin/python benchmarks/two_views_coverage.py
    .venv/bin/python benchmarks/two_views_coverage.py --games 40 --family exp
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from comparison.planted_games import Array, Game, effects_at_all_tasks, pairs_asked
from interval_coverage import FAMILIES
from machine import publish

from kernelsm import Outcomes, bernoulli_masks
from kernelsm.evaluation.two_views import Differences, How, compare_views
from kernelsm.evaluation.views import View
from kernelsm.runtime.threads import limit_blas_threads

GAMES, DRAWS, K, SUBSETS = 60, 20, 10, 100
FIRST_SEED = 50_000
"""Apart from the games that were looked at while the intervals were made."""
CASES = ("one_fit", "differences", "apart", "rows_left_out")


def main() -> None:
    """Play all games in every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=["products", "few_tasks", "exp", "unseen"])
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--games", type=int, default=GAMES)
    parser.add_argument("--name", default="two_views_coverage", help="of the result file")
    chosen = parser.parse_args()
    limit_blas_threads()
    result: dict[str, Any] = {"games": chosen.games, "K": K, "subsets": SUBSETS, "level": 0.9, "coverage": {}}
    for family in chosen.family:
        for case in chosen.case:
            shares = _PLAYED[case](family, chosen.games)
            found = {
                "share": round(float(np.mean(shares)), 4),
                "standard_error": round(float(np.std(shares) / np.sqrt(len(shares))), 4),
            }
            result["coverage"].setdefault(family, {})[case] = found
            print(family, case, found, flush=True)
    publish(chosen.name, result)


def one_fit(family: str, games: int) -> list[float]:
    """Share of covered differences of two readouts, game by game."""
    shares = []
    for seed in range(FIRST_SEED, FIRST_SEED + games):
        game = FAMILIES[family](K, np.random.default_rng(seed))
        outcomes = measured([game], seed)
        found = compare_views(View(outcomes), View(outcomes, readout="shapley"))
        assert found.how is How.ONE_FIT
        shares.append(covered(found.differences, leave_one_out(game) - shapley(game)))
    return shares


def differences(family: str, games: int) -> list[float]:
    """The same for two targets of one table."""
    shares = []
    for seed in range(FIRST_SEED, FIRST_SEED + games):
        rng = np.random.default_rng(seed)
        common, *own = (FAMILIES[family](K, rng) for _ in range(3))
        sides = [mixed(common, one) for one in own]
        outcomes = measured(sides, seed)
        found = compare_views(*(View(outcomes, name) for name in outcomes.target_names))
        assert found.how is How.DIFFERENCES
        shares.append(covered(found.differences, leave_one_out(sides[0]) - leave_one_out(sides[1])))
    return shares


def apart(family: str, games: int) -> list[float]:
    """The same for two runs on other subsets."""
    shares = []
    for seed in range(FIRST_SEED, FIRST_SEED + games):
        rng = np.random.default_rng(seed)
        common, *own = (FAMILIES[family](K, rng) for _ in range(3))
        sides = [mixed(common, one) for one in own]
        tables = [measured([side], 2 * seed + number) for number, side in enumerate(sides)]
        found = compare_views(*(View(table) for table in tables))
        assert found.how is How.APART
        shares.append(covered(found.differences, leave_one_out(sides[0]) - leave_one_out(sides[1])))
    return shares


def rows_left_out(family: str, games: int) -> list[float]:
    """Share of covered mean differences of two surrogates, for a few games drawn many times each."""
    shares = []
    for seed in range(FIRST_SEED, FIRST_SEED + max(1, games // DRAWS)):
        game = FAMILIES[family](K, np.random.default_rng(seed))
        found: list[Differences] = []
        for draw in range(DRAWS):
            outcomes = measured([game], seed + 1000 * (draw + 1))
            two = compare_views(View(outcomes), View(outcomes, kernel="linear", ridge=1.0))
            assert two.how is How.ROWS_LEFT_OUT
            assert two.differences is not None
            found.append(two.differences)
        values = np.array([one.values for one in found])
        for number, one in enumerate(found):  # the mean over the other draws, whose own error is allowed for
            rest = np.delete(values, number, axis=0).mean(axis=0)
            widened = one.margin * np.sqrt(1 + 1 / (DRAWS - 1))
            shares.append(float((np.abs(one.values - rest) <= widened).mean()))
    return shares


def mixed(common: Game, own: Game) -> Any:
    """A game that is mostly another one."""
    return lambda masks: 0.8 * common(masks) + 0.4 * own(masks)


def measured(games: list[Any], seed: int) -> Outcomes:
    """Noisy outcomes of one target for each game; half of the noise of a subset is that of all targets."""
    rng = np.random.default_rng([seed, 1])
    masks = bernoulli_masks(K, SUBSETS, seed=seed)
    truth = np.column_stack([game(masks) for game in games])
    noise = float(truth.std()) * np.exp(rng.uniform(np.log(0.02), np.log(0.2)))
    own, shared = rng.normal(size=truth.shape), rng.normal(size=(SUBSETS, 1))
    return Outcomes(masks, truth + noise * np.sqrt(0.5) * (own + shared))


def leave_one_out(game: Any) -> Array:
    """True effects at all tasks."""
    return effects_at_all_tasks(game, K, *pairs_asked(K))[0]


def shapley(game: Any) -> Array:
    """True Shapley values, by all 2^K subsets."""
    grid = (np.arange(2**K)[:, None] >> np.arange(K)) & 1
    values, size = game(grid.astype(bool)), grid.sum(axis=1)
    # |S|! (K - |S| - 1)! / K! of every subset without the task
    ways = np.array([1.0 / (K * _binomial(K - 1, int(n))) if n < K else 0.0 for n in size])
    place = np.arange(2**K)
    return np.array([
        (ways * (values[place | (1 << k)] - values))[grid[:, k] == 0].sum() for k in range(K)
    ])  # fmt: skip


def covered(found: Differences | None, truth: Array) -> float:
    """Share of the intervals that hold the truth."""
    assert found is not None
    return float((np.abs(found.values - truth) <= found.margin).mean())


def _binomial(n: int, k: int) -> float:
    return float(np.prod([(n - i) / (i + 1) for i in range(k)]))


_PLAYED = {"one_fit": one_fit, "differences": differences, "apart": apart, "rows_left_out": rows_left_out}

if __name__ == "__main__":
    main()
