"""What an environment has to say: where it begins, what an action leads to, and what its expert would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """What an action led to.

    Parameters
    ----------
    observation : ndarray, shape (o,)
    reward : float
    success : bool
        Whether the task is solved now.
    """

    observation: Vector
    reward: float
    success: bool


class Environment(Protocol):
    """One task of a simulator, with a scripted expert."""

    def reset(self, episode: int) -> Vector:
        """Begin an episode and return its first observation, shape (o,); the same number is the same beginning."""

    def step(self, action: Vector) -> Step:
        """Act, by numbers from -1 to 1, shape (a,)."""

    def expert(self) -> Vector:
        """What the expert would do now, shape (a,), from -1 to 1."""


@dataclass(frozen=True)
class Simulator:
    """The tasks of a simulator.

    Parameters
    ----------
    name : str
        What it is, with its version: results of another one are kept apart.
    make : callable
        Maps the name of a task and a seed to its `Environment`: the seed says which episodes it has. A function of a
        module, so that other processes can be sent it.
    task_names : tuple of str
    action_names : tuple of str, length a
    horizon : int
        Steps after which an episode has failed.
    best_reward : float
        The reward of a step at which the task is solved, the largest there is.
    """

    name: str
    make: Callable[[str, int], Environment]
    task_names: tuple[str, ...]
    action_names: tuple[str, ...]
    horizon: int
    best_reward: float
    _made: dict[tuple[str, int], Environment] = field(default_factory=dict, repr=False, compare=False)

    def environment(self, task: str, seed: int) -> Environment:
        """Return the environment of a task, made once in each process."""
        key = task, seed
        if key not in self._made:
            self._made[key] = self.make(task, seed)
        return self._made[key]

    def __getstate__(self) -> dict[str, object]:
        """What is sent to other processes: environments that were made stay here."""
        return {**self.__dict__, "_made": {}}
