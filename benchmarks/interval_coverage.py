"""Do 90 % intervals cover the truth 90 % of the time? On planted games whose every effect is known.

Each game has K = 10 tasks and noise whose size the fit is not given. A surrogate sees m subsets; the share of its
90 % intervals of leave-one-out attributions and of second differences, both at all tasks, that hold the true value is
averaged game by game. The families:

- products: main effects on all tasks, effects on some pairs and triples
- few_tasks: four tasks act, alone and in products, and six do nothing
- exp: every task multiplies the outcome
- outlier: products, and in every 100 rows one that is off by ten standard deviations of the outcome
- unseen: held out. Nobody looks at it while surrogates are designed; `--unseen` at the end

The default surrogate, and an RBF one tuned by leave-one-out, are compared on the first.

    .venv/bin/python benchmarks/interval_coverage.py
    .venv/bin/python benchmarks/interval_coverage.py --family exp --games 40 --subsets 100
"""

from __future__ import annotations

import argparse
from itertools import combinations
from typing import Any

import numpy as np
from comparison.contenders import contender
from comparison.planted_games import Array, Exponential, Game, effects_at_all_tasks, pairs_asked
from machine import publish

from kernelsm import bernoulli_masks
from kernelsm.runtime.threads import limit_blas_threads
from kernelsm.surrogates.base import Surrogate

GAMES, K, LEVEL = 200, 10, 0.9
SUBSETS = (100, 200, 400)
REVISION = 1
"""Raised where the games change."""
OUTLIER_EVERY, OUTLIER_SIZE = 100, 10.0


class Products(Game):
    """F(s) = sum of the effects of all single tasks, pairs and triples that s holds."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw effects, and the size of the noise."""
        self.single = rng.normal(0, 0.3, K)
        self.groups = [
            (group, rng.normal(0, size))
            for order, share, size in ((2, 0.3, 0.2), (3, 0.05, 0.1))
            for group in combinations(range(K), order)
            if rng.random() < share
        ]

    def truth(self, s: Array) -> Array:
        """F(s)."""
        return np.asarray(s @ self.single + sum(effect * s[:, group].prod(axis=1) for group, effect in self.groups))


class FewTasks(Products):
    """Four tasks act, alone and in all products of two and three; the others do nothing."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw the four and their effects."""
        acting = [int(task) for task in np.sort(rng.choice(K, 4, replace=False))]
        self.single = np.zeros(K)
        self.single[acting] = rng.normal(0, 0.5, 4)
        self.groups = [(group, rng.normal(0, 0.3)) for order in (2, 3) for group in combinations(acting, order)]


class Mixture(Game):
    """The unseen family: the mean outcome of the tasks that are in, by their weights, with a constant among them."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw weights and outcomes of tasks."""
        self.weights = rng.exponential(size=K)
        self.single = rng.normal(0, 0.6, K)

    def truth(self, s: Array) -> Array:
        """F(s)."""
        return np.asarray(s @ (self.weights * self.single) / (s @ self.weights + 1.0))


FAMILIES: dict[str, type[Game]] = {
    "products": Products, "few_tasks": FewTasks, "exp": Exponential, "outlier": Products, "unseen": Mixture,
}  # fmt: skip
UNSEEN = "unseen"


def play(family: str, seed: int, m: int) -> tuple[Game, Array, Array]:
    """A game, the masks and the noisy outcomes of m subsets."""
    rng = np.random.default_rng(seed)
    game = FAMILIES[family](K, rng)
    scale = 1.0 if family in ("products", "outlier") else 2.0 * float(game(bernoulli_masks(K, 1000, seed=0)).std())
    noise = scale * float(np.exp(rng.uniform(np.log(0.02), np.log(0.2))))
    masks = bernoulli_masks(K, m, seed=seed).astype(np.float64)
    values = game(masks) + np.random.default_rng([seed, 1]).normal(0, noise, m)
    if family == "outlier":
        rows = np.random.default_rng([seed, 2]).permutation(m)[: m // OUTLIER_EVERY]
        signs = np.random.default_rng([seed, 3]).choice([-1.0, 1.0], len(rows))
        values[rows] += OUTLIER_SIZE * values.std() * signs
    return game, masks, values


def covered(surrogate: Surrogate, family: str, seed: int, m: int) -> dict[str, float]:
    """Share of covered attributions and second differences of one game, and their mean half widths and errors."""
    game, masks, values = play(family, seed, m)
    first, second = pairs_asked(K)
    true_effects, true_seconds = effects_at_all_tasks(game, K, first, second)
    g = surrogate.fit(masks, values)
    attribution, interactions = g.attribution(), g.interactions()
    missed = np.abs(attribution.values[:, 0] - true_effects)
    margin = attribution.margin(LEVEL)[:, 0]
    pair_margin = interactions.quantile(LEVEL) * interactions.std_of(first, second)[:, 0]
    missed_pairs = np.abs(interactions.values[first, second, 0] - true_seconds)
    return {
        "leave_one_out": float((missed <= margin).mean()),
        "second_difference": float((missed_pairs <= pair_margin).mean()),
        "leave_one_out_half_width": float(margin.mean()),
        "second_difference_half_width": float(pair_margin.mean()),
        "leave_one_out_error": float(missed.mean()),
        "second_difference_error": float(missed_pairs.mean()),
    }


def coverage(name: str, family: str, m: int, games: int) -> dict[str, float]:
    """Means over games, and standard errors of the two shares."""
    found = [covered(_surrogate(name), family, seed, m) for seed in range(games)]
    result = {key: round(float(np.mean([one[key] for one in found])), 4) for key in found[0]}
    for key in ("leave_one_out", "second_difference"):
        result[f"{key}_standard_error"] = round(float(np.std([one[key] for one in found]) / np.sqrt(games)), 4)
    return result


def _surrogate(name: str) -> Surrogate:
    made = contender(name)
    if not isinstance(made, Surrogate):
        raise SystemExit(f"{name} has no intervals: take a surrogate of kernelsm")
    return made


def main() -> None:
    """Play all games with each number of subsets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surrogate", nargs="+", default=["default", "tuned_rbf"])
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=[f for f in FAMILIES if f != UNSEEN])
    parser.add_argument("--unseen", action="store_true", help="the held-out family, too")
    parser.add_argument("--games", type=int, default=GAMES)
    parser.add_argument("--subsets", type=int, nargs="+", default=SUBSETS)
    parser.add_argument("--name", default="interval_coverage", help="of the result file")
    chosen = parser.parse_args()
    limit_blas_threads()
    families = [*chosen.family, *([UNSEEN] if chosen.unseen else [])]
    result: dict[str, Any] = {"games": chosen.games, "K": K, "level": LEVEL, "coverage": {}}
    for family in dict.fromkeys(families):
        for name in chosen.surrogate:
            for m in chosen.subsets:
                found = coverage(name, family, m, chosen.games)
                result["coverage"].setdefault(family, {}).setdefault(name, {})[f"m{m}"] = found
                print(family, name, m, found, flush=True)
    publish(chosen.name, result)


if __name__ == "__main__":
    main()
