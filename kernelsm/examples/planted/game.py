"""The planted example: a game whose every effect is known, to teach with and to test against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PlantedGame:
    """A loss that is a sum of main effects and pair effects, plus noise.

    F(s) = base + Σ_k main_k s_k + Σ pair_jk s_j s_k + Σ xor_jk [s_j ≠ s_k] + noise

    Parameters
    ----------
    task_names : tuple of str
        Names of the K tasks.
    base : float
        Loss of the empty subset.
    main : dict
        Task index -> main effect (negative helps).
    pairs : dict
        (j, k) -> extra loss when both are in (negative: synergy; positive: redundancy).
    xor : dict
        (j, k) -> extra loss when exactly one of the two is in.
    noise : float
        Standard deviation of independent Gaussian noise.
    """

    task_names: tuple[str, ...]
    base: float
    main: dict[int, float]
    pairs: dict[tuple[int, int], float]
    xor: dict[tuple[int, int], float]
    noise: float

    @property
    def K(self) -> int:  # noqa: N802 - the field's sign for the number of tasks
        """Number of tasks."""
        return len(self.task_names)

    def truth(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Loss without noise, shape (m,)."""
        s = masks.astype(np.float64)
        loss = np.full(len(s), self.base)
        for k, effect in self.main.items():
            loss += effect * s[:, k]
        for (j, k), effect in self.pairs.items():
            loss += effect * s[:, j] * s[:, k]
        for (j, k), effect in self.xor.items():
            loss += effect * (masks[:, j] != masks[:, k])
        return loss

    def play(self, masks: NDArray[np.bool_], *, seed: int) -> NDArray[np.float64]:
        """Observed loss with noise, shape (m,)."""
        return self.truth(masks) + np.random.default_rng(seed).normal(0.0, self.noise, len(masks))

    def attribution(self) -> NDArray[np.float64]:
        """True leave-one-out attribution F(all) - F(all without k), shape (K,)."""
        full = np.ones((1, self.K), dtype=np.bool_)
        without = ~np.eye(self.K, dtype=np.bool_)
        return self.truth(full) - self.truth(without)

    def interactions(self) -> NDArray[np.float64]:
        """True second differences, shape (K, K), zero diagonal; equal at every subset (the game is quadratic)."""
        matrix = np.zeros((self.K, self.K))
        for (j, k), effect in self.pairs.items():
            matrix[j, k] += effect
        for (j, k), effect in self.xor.items():
            matrix[j, k] -= 2.0 * effect  # [a≠b] = a + b - 2ab
        return matrix + matrix.T


def planted_game() -> PlantedGame:
    """Return the game of the teaching example.

    Ten tasks: two plain helpers, one that hurts, one that does nothing, one synergy, one redundancy, one XOR.
    """
    names = (
        "arithmetic (helps)", "algebra (helps a little)", "spam (hurts)", "poetry (does nothing)",
        "lock (with key)", "key (with lock)", "copy one", "copy two", "XOR left", "XOR right",
    )  # fmt: skip
    return PlantedGame(
        task_names=names,
        base=2.0,
        main={0: -0.30, 1: -0.12, 2: 0.25, 6: -0.25, 7: -0.25},
        pairs={(4, 5): -0.40, (6, 7): 0.25},
        xor={(8, 9): 0.20},
        noise=0.05,
    )
