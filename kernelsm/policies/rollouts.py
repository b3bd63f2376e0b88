"""Rollouts: a policy acts in a simulator, and what comes of it is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.policies.cloning import PolicyUnits
from kernelsm.policies.environment import Environment, Simulator, Vector

Act = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Episode:
    """What came of an episode.

    Parameters
    ----------
    rewards : ndarray, shape (t,)
        Of its steps, until the task was solved or time was up.
    success : bool
    """

    rewards: NDArray[np.float64]
    success: bool

    def mean_reward(self, horizon: int, best: float) -> float:
        """Reward of a step, mean over the horizon; steps after the success count as solved.

        The simulator pays at each step, less on the way and `best` once the task is solved. An episode that ends at
        its success would be paid less the sooner it succeeds, were the steps that are left not counted.
        """
        rest = best * (horizon - len(self.rewards)) if self.success else 0.0
        return float((self.rewards.sum() + rest) / horizon)


@dataclass(frozen=True)
class TaskReturn:
    """What a policy reaches in one task.

    Parameters
    ----------
    mean_reward : float
        Mean over episodes, see `Episode.mean_reward`.
    success : float
        Share of the episodes that were solved.
    """

    mean_reward: float
    success: float


def play(environment: Environment, act: Act, episode: int, horizon: int) -> Episode:
    """Let a policy act until it succeeds or time is up."""
    observation = environment.reset(episode)
    rewards: list[float] = []
    for _ in range(horizon):
        result = environment.step(act(observation))
        rewards.append(result.reward)
        if result.success:
            return Episode(np.array(rewards), True)
        observation = result.observation
    return Episode(np.array(rewards), False)


def acting(model: nn.Module, units: PolicyUnits, task: int) -> Act:
    """Return what a policy does in a task: the mean of its actions."""
    mean = mean_outputs(model, units, task)
    return lambda observation: units.actions(mean(observation))


def mean_outputs(model: nn.Module, units: PolicyUnits, task: int) -> Act:
    """Return what a policy gives for an observation in a task: the mean of its standardised actions."""
    dtype = next(model.parameters()).dtype

    def outputs(observation: Vector) -> Vector:
        with torch.no_grad():
            seen = torch.from_numpy(units.inputs(observation[None], task)).to(dtype)
            return np.asarray(model(seen)[0].double().numpy())

    return outputs


def task_return(
    simulator: Simulator, model: nn.Module, units: PolicyUnits, task: int, *, episodes: int = 10, seed: int = 1001
) -> TaskReturn:
    """Play the same beginnings with any policy: those of a seed, which no demonstration was recorded from.

    Parameters
    ----------
    simulator : Simulator
    model : torch.nn.Module
        Maps inputs (n, o + K) to means of actions (n, a).
    units : PolicyUnits
    task : int
        Index of the task.
    episodes, seed : int
    """
    environment = simulator.environment(simulator.task_names[task], seed)
    act = acting(model, units, task)
    played = [play(environment, act, episode, simulator.horizon) for episode in range(episodes)]
    rewards = [one.mean_reward(simulator.horizon, simulator.best_reward) for one in played]
    return TaskReturn(float(np.mean(rewards)), float(np.mean([one.success for one in played])))
