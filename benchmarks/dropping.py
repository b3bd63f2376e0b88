"""How honest is "drop these"? On planted games, where the true change of every subset is known.

Each game is sampled (Bernoulli subsets with p, noise a share of the outcomes' spread), fitted by the surrogate of
Explore, and asked which tasks to drop. Kinds of games:

- dense: every task has an effect of either sign, a third of the pairs and a few triples too;
- sources: most tasks help, one in seven hurts, a quarter does nothing, some pairs;
- saturating: the exponential of such a game, where further good tasks add ever less;
- overlap: tasks cover facts, and a fact is learnt once; one in seven is mislabelled (not looked at while the two
  constants of the correction were chosen);
- helpful: no task hurts; and nothing: no task does anything. Nothing should be dropped there.

Written for each kind: how often a drop is advised, how often one that does not pay is, the predicted change before
and after the correction for having chosen the best, the true change, the best possible, and the share of the 90 %
intervals that hold the true change of the drop that is shown, before and after.

    .venv/bin/python benchmarks/dropping.py [games of each kind and setting]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from machine import publish
from numpy.typing import NDArray

from kernelsm import Outcomes, SharedSurrogate, bernoulli_masks, best_drop
from kernelsm.runtime.threads import limit_blas_threads

GAMES = 30
TASKS, SUBSETS, RATES, NOISES = (10, 20), (100, 300), (0.5, 0.9), (0.1, 0.3)
Array = NDArray[np.float64]
Truth = Callable[[NDArray[Any]], Array]


def polynomial(main: Array, groups: list[tuple[tuple[int, ...], float]]) -> Truth:
    """Sum of the effects of the tasks and groups that a subset holds."""

    def truth(masks: NDArray[Any]) -> Array:
        s = masks.astype(np.float64)
        return np.asarray(s @ main + sum((effect * s[:, list(group)].prod(axis=1) for group, effect in groups), 0.0))

    return truth


def dense(K: int, rng: np.random.Generator) -> Truth:
    """All effects of either sign."""
    groups = [
        (group, rng.normal(0, size))
        for order, share, size in ((2, 3.0 / K, 0.2), (3, 5.0 / K**2, 0.1))
        for group in combinations(range(K), order)
        if rng.random() < share
    ]
    return polynomial(rng.normal(0, 0.3, K), groups)


def sources(K: int, rng: np.random.Generator) -> Truth:
    """Data sources of which a few hurt."""
    main = -np.abs(rng.normal(0.15, 0.1, K))
    main[rng.choice(K, K // 4, replace=False)] = 0.0
    bad = rng.choice(K, max(1, K // 7), replace=False)
    main[bad] = np.abs(rng.normal(0.25, 0.15, len(bad)))
    groups: list[tuple[tuple[int, ...], float]] = [
        (tuple(rng.choice(K, 2, replace=False).tolist()), rng.normal(0, 0.12)) for _ in range(K // 3)
    ]
    return polynomial(main, groups)


def saturating(K: int, rng: np.random.Generator) -> Truth:
    """The exponential of such a game."""
    inner = sources(K, rng)
    return lambda masks: np.asarray(3 * np.exp(inner(masks) / 2))


def overlap(K: int, rng: np.random.Generator) -> Truth:
    """Tasks cover facts; a mislabelled one unteaches."""
    facts = rng.random((K, 60)) < 0.15
    weight = rng.exponential(1.0, 60)
    weight /= weight.sum()
    harm = np.zeros(K)
    harm[rng.choice(K, max(1, K // 7), replace=False)] = rng.uniform(0.02, 0.15, max(1, K // 7))
    return lambda masks: np.asarray((masks.astype(float) @ facts == 0) @ weight + masks.astype(float) @ harm)


def helpful(K: int, rng: np.random.Generator) -> Truth:
    """No task hurts, a quarter does nothing."""
    main = -np.abs(rng.normal(0.15, 0.1, K))
    main[rng.choice(K, K // 4, replace=False)] = 0.0
    return polynomial(main, [])


def nothing(K: int, rng: np.random.Generator) -> Truth:
    """No task does anything."""
    return polynomial(np.zeros(K), [])


KINDS = (dense, sources, saturating, overlap, helpful, nothing)


def least(truth: Truth, K: int) -> float:
    """The lowest change from all tasks: over all subsets, or where they are too many by flips of one and two."""
    everything = np.ones((1, K), dtype=bool)
    if K <= 12:
        subsets = (np.arange(1, 2**K)[:, None] >> np.arange(K)) & 1 == 1
        return float((truth(subsets) - truth(everything)).min())
    flips = np.array(
        [np.isin(np.arange(K), group) for size in (1, 2) for group in combinations(range(K), size)], dtype=bool
    )
    mask, now = everything[0], float(truth(everything)[0])
    while True:
        near = mask ^ flips
        values = truth(near)
        if not values.min() < now - 1e-12:
            return now - float(truth(everything)[0])
        mask, now = near[values.argmin()], float(values.min())


def play(make: Callable[[int, np.random.Generator], Truth], K: int, m: int, p: float, noise: float, seed: int) -> Any:
    """One game: what was advised, and what is true."""
    rng = np.random.default_rng([seed, K, KINDS.index(make)])
    truth = make(K, rng)
    masks = bernoulli_masks(K, m, p=p, seed=seed)
    clean = truth(masks)
    size = float(truth(bernoulli_masks(K, 2000, p=p, seed=1)).std()) or 1.0
    outcomes = Outcomes(masks, clean + rng.normal(0, noise * size, m))
    drop = best_drop(outcomes, SharedSurrogate(tuning_rows=500).fit_outcomes(outcomes))
    everything = np.ones((1, K), dtype=bool)
    true = float((truth(drop.kept[None]) - truth(everything))[0])
    return {
        "tasks": len(drop.tasks), "advised": drop.is_worth_it, "true": true, "best": least(truth, K),
        "predicted": drop.predicted, "change": drop.change,
        "held_before": abs(drop.predicted - true) <= drop.predicted_margin * (1 + 1e-9) + 1e-12,
        "held": abs(drop.change - true) <= drop.margin * (1 + 1e-9) + 1e-12,
        "half_widths": (true - drop.predicted) / drop.predicted_margin if drop.predicted_margin else 0.0,
    }  # fmt: skip


def summary(games: list[Any]) -> dict[str, float]:
    """What the games of one kind say together."""
    advised = [game for game in games if game["advised"]]
    shown = [game for game in games if game["tasks"]]

    def mean(some: list[Any], name: str) -> float:
        return round(float(np.mean([game[name] for game in some])), 4) if some else float("nan")

    return {
        "games": len(games), "advised": mean(games, "advised"),
        "advised_and_does_not_pay": round(float(np.mean([g["advised"] and g["true"] >= -1e-12 for g in games])), 4),
        "tasks_dropped": mean(advised, "tasks"),
        "predicted_before": mean(advised, "predicted"), "predicted": mean(advised, "change"),
        "true": mean(advised, "true"), "best_possible": mean(advised, "best"),
        "intervals_hold_before": mean(advised, "held_before"), "intervals_hold": mean(advised, "held"),
        "intervals_of_all_shown_hold_before": mean(shown, "held_before"),
        "intervals_of_all_shown_hold": mean(shown, "held"),
        "half_widths_too_good": mean(advised, "half_widths"),
    }  # fmt: skip


def main() -> None:
    """Play all games."""
    limit_blas_threads()
    games = int(sys.argv[1]) if len(sys.argv) > 1 else GAMES
    result: dict[str, Any] = {
        "games_of_each_setting": games, "tasks": TASKS, "subsets": SUBSETS, "p": RATES, "noise": NOISES
    }  # fmt: skip
    for make in KINDS:
        played = [
            play(make, K, m, p, noise, seed)
            for K in TASKS for m in SUBSETS for p in RATES for noise in NOISES for seed in range(games)
        ]  # fmt: skip
        result[make.__name__] = summary(played)
        print(make.__name__, result[make.__name__], flush=True)
    publish("dropping", result)


if __name__ == "__main__":
    main()
