"""Games whose every outcome is known: families of F(s), each drawn at random for K tasks and a seed.

Effects at all tasks, F(all) - F(all without k) and the second differences, are differences of a few values of F, so
the truth of every family is exact whatever its form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Masks = NDArray[np.bool_]


class Game(ABC):
    """F(s) without noise.

    Parameters
    ----------
    K : int
        Number of tasks.
    rng : numpy.random.Generator
        Draws the effects.
    """

    def __init__(self, K: int, rng: np.random.Generator) -> None:
        self.K = K
        self.rng = rng
        self.draw(K, rng)

    @abstractmethod
    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw the effects."""

    @abstractmethod
    def truth(self, s: Array) -> Array:
        """F of subsets given as 0.0 and 1.0, shape (m, K) -> (m,)."""

    def __call__(self, masks: NDArray[Any]) -> Array:
        """F of masks, shape (m,)."""
        return np.asarray(self.truth(np.asarray(masks, dtype=np.float64)))


def effects_at_all_tasks(
    predict: Callable[[Masks], Array], K: int, first: Indices, second: Indices
) -> tuple[Array, Array]:
    """Leave-one-out effects (K, ...) and second differences of some pairs (P, ...), at all tasks, of any function.

    For a loss a negative effect helps and a negative second difference is synergy. What is 0 but for rounding is 0.
    """
    alone = ~np.eye(K, dtype=np.bool_)
    both = np.ones((len(first), K), dtype=np.bool_)
    rows = np.arange(len(first))
    both[rows, first] = both[rows, second] = False
    values = predict(np.concatenate([np.ones((1, K), dtype=np.bool_), alone, both]))
    everything, without, without_both = values[0], values[1 : K + 1], values[K + 1 :]
    effects = everything - without, everything - without[first] - without[second] + without_both
    rounding = 1e-12 * np.abs(values).max()
    return np.where(np.abs(effects[0]) > rounding, effects[0], 0.0), np.where(
        np.abs(effects[1]) > rounding, effects[1], 0.0
    )


def pairs_asked(K: int, most: int = 2000) -> tuple[Indices, Indices]:
    """All pairs of K tasks, or `most` of them drawn at random with a fixed seed."""
    first, second = np.triu_indices(K, k=1)
    if len(first) > most:
        drawn = np.sort(np.random.default_rng(0).choice(len(first), most, replace=False))
        first, second = first[drawn], second[drawn]
    return first, second


def _groups(K: int, rng: np.random.Generator, sizes: tuple[int, int]) -> list[Indices]:
    """Tasks in random order, cut into groups of sizes within these bounds; the last may be smaller."""
    cuts = [0]
    while cuts[-1] < K:
        cuts.append(min(cuts[-1] + int(rng.integers(sizes[0], sizes[1] + 1)), K))
    order = rng.permutation(K)
    return [order[start:end] for start, end in pairwise(cuts)]


def _products(s: Array, groups: list[Indices], effects: Array) -> Array:
    return np.asarray(sum((e * s[:, g].prod(axis=1) for g, e in zip(groups, effects, strict=True)), np.zeros(len(s))))


class Additive(Game):
    """A sum of effects of single tasks."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw the effects."""
        self.single = rng.normal(size=K)

    def truth(self, s: Array) -> Array:
        """F(s)."""
        return np.asarray(s @ self.single)


class SparseProducts(Game):
    """Effects of single tasks, half as large, and of as many products of orders 2 (and 3) as there are tasks."""

    orders: tuple[int, ...] = (2,)

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw the effects."""
        self.single = rng.normal(0, 0.5, K)
        self.groups = [
            rng.choice(K, order, replace=False) for order in self.orders for _ in range(K // len(self.orders))
        ]
        self.effects = rng.normal(size=len(self.groups))

    def truth(self, s: Array) -> Array:
        """F(s)."""
        return np.asarray(s @ self.single + _products(s, self.groups, self.effects))


class ThirdOrder(SparseProducts):
    """Half of the products are of three tasks."""

    orders = (2, 3)


class DegreeFour(Game):
    """A sparse Fourier series: products of ±1 over one to four tasks."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw the coefficients."""
        self.groups = [
            rng.choice(K, order, replace=False)
            for order, count in ((1, K), (2, K // 2), (3, K // 2), (4, K // 2))
            for _ in range(count)
        ]
        self.effects = rng.normal(size=len(self.groups))

    def truth(self, s: Array) -> Array:
        """F(s)."""
        return _products(2 * s - 1, self.groups, self.effects)


class Exponential(Game):
    """Every task multiplies the outcome: exp of a sum, whose standard deviation at p = ½ is 0.7."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw the exponents."""
        self.single = rng.normal(0, 1.4 / np.sqrt(K), K)

    def truth(self, s: Array) -> Array:
        """F(s)."""
        return np.asarray(np.exp(s @ self.single))


class Threshold(Game):
    """Groups of 3 to 6 tasks, each of which acts once enough of its tasks are in."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw groups, how many tasks each needs, and its effect."""
        self.groups = _groups(K, rng, (3, 6))
        self.needed = [int(rng.integers(min(2, len(group)), len(group) + 1)) for group in self.groups]
        self.effects = rng.normal(size=len(self.groups))

    def truth(self, s: Array) -> Array:
        """F(s)."""
        reached = np.array([s[:, g].sum(axis=1) >= n for g, n in zip(self.groups, self.needed, strict=True)])
        return np.asarray(self.effects @ reached)


class BestAndWorst(Game):
    """In each group of 3 to 5 tasks the largest value among those that are in counts, or the smallest."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw groups, values, effects, and which groups take the largest."""
        self.groups = _groups(K, rng, (3, 5))
        self.values = rng.uniform(0.2, 1.0, K)
        self.effects = rng.normal(size=len(self.groups))
        self.largest = rng.random(len(self.groups)) < 0.5

    def truth(self, s: Array) -> Array:
        """F(s): an empty group counts 0 where the largest is taken, 1 where the smallest is."""
        total = np.zeros(len(s))
        for group, effect, largest in zip(self.groups, self.effects, self.largest, strict=True):
            inside = s[:, group] > 0
            if largest:
                total += effect * np.where(inside, self.values[group], 0.0).max(axis=1)
            else:
                total += effect * np.where(inside, self.values[group], 1.0).min(axis=1)
        return total


class Coverage(Game):
    """A loss that falls by the weight of each of 2K things which at least one of its one to four tasks covers."""

    def draw(self, K: int, rng: np.random.Generator) -> None:
        """Draw who covers what, and what it is worth."""
        self.covers = np.zeros((2 * K, K))
        for row in self.covers:
            row[rng.choice(K, int(rng.integers(1, 5)), replace=False)] = 1.0
        self.weights = rng.exponential(size=2 * K)

    def truth(self, s: Array) -> Array:
        """F(s)."""
        return np.asarray(-(((s @ self.covers.T) > 0) @ self.weights))


GAMES: dict[str, type[Game]] = {
    "additive": Additive,
    "sparse_pairs": SparseProducts,
    "third_order": ThirdOrder,
    "degree_4": DegreeFour,
    "exp": Exponential,
    "threshold": Threshold,
    "max_min": BestAndWorst,
    "coverage": Coverage,
}
