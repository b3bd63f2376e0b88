"""Do 90 % intervals cover the truth 90 % of the time? On planted games whose every effect is known.

Each game has main effects on all of its K = 10 tasks, effects on some pairs and triples, and noise whose size the fit
is not given. The default surrogate, and an RBF one tuned by leave-one-out, see m subsets; the share of their 90 %
intervals of leave-one-out attributions and of second differences, both at all tasks, that hold the true value is
averaged game by game.

    .venv/bin/python benchmarks/interval_coverage.py
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from machine import publish
from numpy.typing import NDArray

from kernelsm import KernelSurrogateCV, bernoulli_masks, default_surrogate
from kernelsm.runtime.threads import limit_blas_threads
from kernelsm.surrogates.base import Surrogate

GAMES, K, LEVEL = 200, 10, 0.9
SUBSETS = (100, 200, 400)
Array = NDArray[np.float64]


class Game:
    """F(s) = sum of the effects of all single tasks, pairs and triples that s holds."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.single = rng.normal(0, 0.3, K)
        self.groups = [
            (group, rng.normal(0, size))
            for order, share, size in ((2, 0.3, 0.2), (3, 0.05, 0.1))
            for group in combinations(range(K), order)
            if rng.random() < share
        ]
        self.noise = float(np.exp(rng.uniform(np.log(0.02), np.log(0.2))))

    def truth(self, masks: NDArray[Any]) -> Array:
        """F without noise, shape (m,)."""
        s = masks.astype(np.float64)
        return np.asarray(s @ self.single + sum(effect * s[:, group].prod(axis=1) for group, effect in self.groups))

    def second_differences(self) -> Array:
        """True second differences at all tasks, shape (K, K)."""
        masks = np.ones((K, K, 4, K))
        for j in range(K):
            masks[j, :, [1, 3], j] = 0.0
            masks[:, j, [2, 3], j] = 0.0
        values = self.truth(masks.reshape(-1, K)).reshape(K, K, 4)
        return np.asarray(values @ np.array([1.0, -1.0, -1.0, 1.0]))

    def leave_one_out(self) -> Array:
        """True leave-one-out attributions at all tasks, shape (K,)."""
        return np.asarray(self.truth(np.ones((1, K))) - self.truth(1 - np.eye(K)))


def covered(surrogate: Surrogate, game: Game, seed: int, m: int) -> tuple[float, float]:
    """Share of covered attributions and second differences of one game."""
    masks = bernoulli_masks(K, m, seed=seed)
    noise = np.random.default_rng([seed, 1]).normal(0, game.noise, m)
    g = surrogate.fit(masks, game.truth(masks) + noise)
    attribution, interactions = g.attribution(), g.interactions()
    missed = np.abs(attribution.values[:, 0] - game.leave_one_out())
    first, second = interactions.pairs
    margin = interactions.quantile(LEVEL) * interactions.std_of(first, second)[:, 0]
    missed_pairs = np.abs(interactions.values[first, second, 0] - game.second_differences()[first, second])
    return float((missed <= attribution.margin(LEVEL)[:, 0]).mean()), float((missed_pairs <= margin).mean())


def main() -> None:
    """Play all games with each number of subsets."""
    limit_blas_threads()
    result: dict[str, Any] = {"games": GAMES, "K": K, "level": LEVEL}
    for m in SUBSETS:
        for label, surrogate in (("", default_surrogate()), ("_tuned_rbf", KernelSurrogateCV())):
            shares = np.array([covered(surrogate, Game(seed), seed, m) for seed in range(GAMES)])
            for column, name in enumerate(("leave_one_out", "second_difference")):
                key = f"{name}{label}_m{m}"
                result[key] = round(float(shares[:, column].mean()), 4)
                result[f"{key}_standard_error"] = round(float(shares[:, column].std() / np.sqrt(GAMES)), 4)
                print(key, result[key], flush=True)
    publish("interval_coverage", result)


if __name__ == "__main__":
    main()
