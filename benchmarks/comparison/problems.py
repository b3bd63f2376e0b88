"""The tables that contenders are compared on: finished examples and planted games."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from comparison.answers import Problem
from comparison.planted_games import GAMES, effects_at_all_tasks, pairs_asked
from kernelsm import bernoulli_masks, load_example, load_truth
from kernelsm.examples.catalog import EXAMPLES

FINISHED_M = (100, 200, 400)
DRAWS = 3
HELD_OUT = 500


def finished(name: str, m: int, draws: int = DRAWS) -> Iterator[Problem]:
    """Draws of m of an example's subsets; all of them where there are no more, once."""
    outcomes, truth = load_example(name), load_truth(name)
    for draw in range(draws if m < outcomes.m else 1):
        rows = np.sort(np.random.default_rng([m, draw]).permutation(outcomes.m)[:m])
        yield Problem(
            f"tables/{name}/m{len(rows)}/draw{draw}",
            outcomes.masks[rows],
            outcomes.values[rows],
            truth.masks,
            truth.values,
        )


def finished_sizes(name: str) -> list[int]:
    """Sizes of `FINISHED_M` that an example has; its own where it has fewer than the largest."""
    m = EXAMPLES[name].subsets
    return sorted({min(size, m) for size in FINISHED_M})


@dataclass(frozen=True)
class GameCell:
    """One cell of the grid of planted games.

    Parameters
    ----------
    game : str
        Name in `GAMES`.
    K, m : int
        Tasks, and subsets to fit.
    p : float
        Inclusion probability, of fitted and held-out subsets alike.
    noise : float
        Standard deviation of the noise, as a share of that of F.
    """

    game: str
    K: int
    m: int
    p: float
    noise: float

    @property
    def name(self) -> str:
        """Name of the cell."""
        return f"games/{self.game}/K{self.K}/m{self.m}/p{self.p:g}/noise{round(100 * self.noise)}"

    def problems(self, seeds: int = 1) -> Iterator[Problem]:
        """One game a seed; of the same seed all m, p and noises are of the same game."""
        for seed in range(seeds):
            game = GAMES[self.game](self.K, np.random.default_rng([crc32(self.game.encode()), self.K, seed]))
            masks = bernoulli_masks(self.K, self.m, p=self.p, seed=seed)
            asked = bernoulli_masks(self.K, HELD_OUT, p=self.p, seed=10_000 + seed)
            truth = game(asked)
            drawn = np.random.default_rng([seed, 1]).normal(size=self.m)
            values = game(masks) + self.noise * truth.std() * drawn
            pairs = pairs_asked(self.K)
            effects, second_differences = effects_at_all_tasks(game, self.K, *pairs)
            yield Problem(
                f"{self.name}/seed{seed}", masks, values[:, None], asked, truth[:, None], pairs, effects,
                second_differences,
            )  # fmt: skip


QUICK_GAMES = (
    GameCell("additive", 20, 100, 0.5, 0.3),
    GameCell("sparse_pairs", 20, 100, 0.5, 0.1),
    GameCell("sparse_pairs", 20, 300, 0.9, 0.1),
    GameCell("third_order", 20, 300, 0.5, 0.1),
    GameCell("degree_4", 20, 300, 0.5, 0.1),
    GameCell("exp", 20, 100, 0.9, 0.1),
    GameCell("threshold", 20, 300, 0.5, 0.0),
    GameCell("max_min", 20, 300, 0.9, 0.1),
    GameCell("coverage", 20, 300, 0.5, 0.1),
    GameCell("sparse_pairs", 50, 300, 0.5, 0.1),
    GameCell("degree_4", 50, 300, 0.9, 0.1),
    GameCell("exp", 50, 300, 0.5, 0.3),
    GameCell("threshold", 50, 300, 0.9, 0.1),
    GameCell("coverage", 50, 100, 0.9, 0.0),
)
