"""Do the subsets of a design answer the question? Effects at all tasks, by random subsets and by leave-outs.

Planted games with effects of tasks, pairs and triples, half of them bent by a softplus. `design_masks` draws 400
subsets of 20 tasks: random ones, or leave-outs first. How much of the true leave-one-out effects and second
differences at all tasks the default surrogate explains (R²), and its LDS on 500 other random subsets, median over the
games.

The second part tries the rule by which a table extrapolates to all tasks (`AnchorSupport.is_extrapolation`): R² of
leave-one-out from random subsets of several p, apart for tables that do and that do not.

    .venv/bin/python benchmarks/designs.py
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from machine import publish
from numpy.typing import NDArray

from kernelsm import anchor_support, bernoulli_masks, default_surrogate, design_masks, lds
from kernelsm.outcomes.designs import leave_out_masks
from kernelsm.runtime.threads import limit_blas_threads

GAMES, K, M = 20, 20, 400
NOISE = (0.0, 0.1)
RULE_GAMES, RULE_TASKS, RULE_SUBSETS, RULE_P = 6, (10, 20, 50), (100, 400), (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
Array = NDArray[np.float64]


class Game:
    """A loss of single tasks, of as many pairs as there are tasks, and of a third as many triples."""

    def __init__(self, seed: int, tasks: int) -> None:
        rng = np.random.default_rng(seed)
        self.single = rng.normal(0, 0.3, tasks)
        self.groups = [
            (rng.choice(tasks, order, replace=False), rng.normal(0, 0.3))
            for order, count in ((2, tasks), (3, tasks // 3))
            for _ in range(count)
        ]
        self.bent = seed % 2 == 1
        self.tasks = tasks

    def truth(self, masks: NDArray[Any]) -> Array:
        """F without noise, shape (m,)."""
        s = masks.astype(np.float64)
        value = s @ self.single + sum(effect * s[:, group].prod(axis=1) for group, effect in self.groups)
        return np.asarray(np.logaddexp(0.0, 2 * value) if self.bent else value)

    def effects(self) -> tuple[Array, Array]:
        """True leave-one-out effects, and second differences of all pairs, at all tasks."""
        values = self.truth(leave_out_masks(self.tasks))
        full, single, pairs = values[0], values[1 : self.tasks + 1], values[self.tasks + 1 :]
        first, second = np.array(list(combinations(range(self.tasks), 2))).T
        return full - single, full - single[first] - single[second] + pairs


def explained(true: Array, found: Array) -> float:
    """R²."""
    return float(1 - ((true - found) ** 2).sum() / ((true - true.mean()) ** 2).sum())


def scores(game: Game, masks: NDArray[np.bool_], noise: float, seed: int) -> tuple[float, float, float]:
    """R² of leave-one-out, R² of second differences, and LDS on random subsets."""
    fresh = bernoulli_masks(game.tasks, 500, seed=1000 + seed)
    truth = game.truth(fresh)
    values = game.truth(masks) + np.random.default_rng([seed, 1]).normal(0, noise * truth.std(), len(masks))
    g = default_surrogate().fit(masks, values)
    first, second = np.array(list(combinations(range(game.tasks), 2))).T
    singles, pairs = game.effects()
    return (
        explained(singles, g.attribution().values[:, 0]),
        explained(pairs, g.interactions().values[first, second, 0]),
        lds(truth, g.predict(fresh)),
    )


def main() -> None:
    """Compare the designs, then try the rule."""
    limit_blas_threads()
    result: dict[str, Any] = {"games": GAMES, "K": K, "m": M}
    for noise in NOISE:
        for design in ("random", "leave_outs"):
            tables = [design_masks(K, M, design, seed=seed) for seed in range(GAMES)]
            found = [scores(Game(seed, K), masks, noise, seed) for seed, masks in enumerate(tables)]
            middle = np.median(found, axis=0).round(3).tolist()
            key = f"{design}_noise_{noise:.0%}".replace("%", "")
            result[key] = dict(zip(("leave_one_out_r2", "second_difference_r2", "lds"), middle, strict=True))
            print(key, result[key], flush=True)
    rule: dict[bool, list[float]] = {True: [], False: []}
    for tasks in RULE_TASKS:
        for m in RULE_SUBSETS:
            for p in RULE_P:
                tables = [bernoulli_masks(tasks, m, p=p, seed=seed) for seed in range(RULE_GAMES)]
                middle = np.median([scores(Game(seed, tasks), s, 0.05, seed)[0] for seed, s in enumerate(tables)])
                far = sum(anchor_support(masks).is_extrapolation for masks in tables)
                rule[far > RULE_GAMES / 2].append(float(middle))
                print(f"K={tasks} m={m} p={p}: R² {middle:.2f}", flush=True)
    for extrapolates, name in ((True, "extrapolation"), (False, "near")):
        r2 = np.array(rule[extrapolates])
        result[f"{name}_r2"] = {
            "tables": len(r2), "least": round(float(r2.min()), 2), "median": round(float(np.median(r2)), 2),
            "most": round(float(r2.max()), 2),
        }  # fmt: skip
    publish("designs", result)


if __name__ == "__main__":
    main()
