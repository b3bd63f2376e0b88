"""The tables that contenders are compared on, part by part, in groups that make one cell of the result each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
from coin_flip import FITTED, SPLITS, published

from comparison.answers import Problem
from comparison.made_tables import FITTED_ROWS, TABLES, like_modular_addition
from comparison.planted_games import GAMES, effects_at_all_tasks, pairs_asked
from comparison.shapley_values import all_subsets, shapley_of_all_outcomes
from kernelsm import bernoulli_masks, load_example, load_truth
from kernelsm.examples.catalog import EXAMPLES, load_estimates_of_truth

FINISHED_M, DRAWS = (100, 200, 400), 3
HELD_OUT = 500
GRID_K, GRID_M, GRID_P, GRID_NOISE = (20, 50, 200), (100, 300, 1000), (0.5, 0.9), (0.0, 0.1, 0.3)
SHAPLEY_K = 10
Interval = Literal["draws", "games"]


@dataclass(frozen=True)
class Group:
    """Problems that make one cell of the result.

    Parameters
    ----------
    name : str
        Part and sizes, parted by slashes.
    problems : callable
        Returns them, one fit each.
    interval : {"draws", "games"}
        See `comparison.scores.paired_gain`.
    """

    name: str
    problems: Callable[[], Iterator[Problem]]
    interval: Interval

    @property
    def part(self) -> str:
        """Part of the benchmark."""
        return self.name.split("/")[0]


def finished(name: str, m: int, draws: int = DRAWS) -> Iterator[Problem]:
    """Draws of m of an example's subsets; all of them, once, where there are no more."""
    outcomes, truth, estimates = load_example(name), load_truth(name), load_estimates_of_truth(name)
    for draw in range(draws if m < outcomes.m else 1):
        rows = np.sort(np.random.default_rng([m, draw]).permutation(outcomes.m)[:m])
        yield Problem(
            f"tables/{name}/m{m}/draw{draw}", outcomes.masks[rows], outcomes.values[rows], truth.masks, truth.values,
            estimates=None if estimates is None else estimates.values,
        )  # fmt: skip


def finished_tables() -> Iterator[Group]:
    """All examples with a held-out truth, at each of `FINISHED_M` subsets, or at all they have."""
    for name, example in EXAMPLES.items():
        for m in sorted({min(size, example.subsets) for size in FINISHED_M}):
            yield Group(f"tables/{name}/m{m}", partial(finished, name, m), "draws")


def coin_flips(folder: Path) -> Iterator[Group]:
    """The outcomes published with the paper, where they are."""

    def splits() -> Iterator[Problem]:
        outcomes = published(folder)
        for seed in range(SPLITS):
            train, test = outcomes.split(FITTED, seed=seed)
            yield Problem(f"coin_flip/split{seed}", train.masks, train.values, test.masks, test.values)

    if (folder / "coin_flip_subset_scores_loss.json").exists():
        yield Group("coin_flip", splits, "games")
    else:
        print(f"Part coin_flip is left out: the published outcomes are not at {folder} (--coin-flip FOLDER)")


def modular_tables() -> Iterator[Group]:
    """Tables made like the published ones of modular addition."""

    def tables() -> Iterator[Problem]:
        for seed in range(TABLES):
            masks, values = like_modular_addition(seed)
            fitted, held_out = slice(None, FITTED_ROWS), slice(FITTED_ROWS, None)
            yield Problem(f"modular/table{seed}", masks[fitted], values[fitted], masks[held_out], values[held_out])

    yield Group("modular", tables, "games")


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
                f"{self.name}/seed{seed}", masks, values[:, None], asked, truth[:, None], pairs=pairs,
                effects=effects, second_differences=second_differences,
            )  # fmt: skip


def game_grid(
    *,
    games: Iterable[str] = tuple(GAMES),
    K: Iterable[int] = GRID_K,
    m: Iterable[int] = GRID_M,
    p: Iterable[float] = GRID_P,
    noise: Iterable[float] = GRID_NOISE,
    seeds: int = 1,
) -> Iterator[Group]:
    """All cells of the grid, small ones first."""
    for tasks, rows, share, inclusion, game in product(K, m, noise, p, games):
        cell = GameCell(game, tasks, rows, inclusion, share)
        yield Group(cell.name, partial(cell.problems, seeds), "games")


def shapley_games(seeds: int = 5) -> Iterator[Group]:
    """Games of 10 tasks, their Shapley values and interactions known from all 1,024 outcomes; p = ½, noise 10 %."""

    def play(game: str, m: int) -> Iterator[Problem]:
        asked = all_subsets(SHAPLEY_K)
        for seed in range(seeds):
            truth = GAMES[game](SHAPLEY_K, np.random.default_rng([crc32(game.encode()), SHAPLEY_K, seed]))(asked)
            rows = np.random.default_rng([seed, m]).choice(len(asked), m, replace=False)
            noise = np.random.default_rng([seed, 1]).normal(0, 0.1 * truth.std(), m)
            yield Problem(
                f"shapley/{game}/m{m}/seed{seed}", asked[rows], (truth[rows] + noise)[:, None], asked, truth[:, None],
                shapley=shapley_of_all_outcomes(truth),
            )  # fmt: skip

    for m, game in product((60, 100, 300), GAMES):
        yield Group(f"shapley/{game}/m{m}", partial(play, game, m), "games")
