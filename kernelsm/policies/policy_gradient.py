"""Actions that a policy took with noise, and their advantages: samples of `kernelsm.objectives.policy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kernelsm.models.hashing import model_hash
from kernelsm.policies.cloning import PolicyUnits
from kernelsm.policies.environment import Simulator, Vector
from kernelsm.policies.rollouts import mean_outputs, play
from kernelsm.runtime.checks import check_counts, check_number, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.suite import POLICY, TaskSuite

SAMPLED_CHUNKS = ChunkKind("sampled_episodes", version=1)
_DISCOUNT = 0.98


def policy_gradient_suite(
    simulator: Simulator,
    model: nn.Module,
    units: PolicyUnits,
    *,
    train: int = 150,
    test: int = 75,
    deviation: float = 0.3,
    episodes: int = 10,
    seed: int = 501,
    store: Store | None = None,
    report: Report = silent,
) -> TaskSuite:
    """Let a policy act with Gaussian noise in all tasks, and return its actions with their advantages as a suite.

    The advantage of an action is the discounted reward that followed, less what a linear function of observation and
    time expects there, in units of its deviation within the task.

    Parameters
    ----------
    simulator : Simulator
    model : torch.nn.Module
        The policy, at W0.
    units : PolicyUnits
    train, test : int
        Steps of each task, drawn at random: of the first four fifths of the episodes, and of the others.
    deviation : float
        σ of the noise, in units of the spread of the experts' actions.
    episodes : int
        Of each task, 5 or more.
    seed : int
        Of beginnings and noise, 1 or more.
    store, report
        Where finished tasks are kept, and what is called after each.

    Raises
    ------
    InputError
        A number out of its range, or a task with fewer steps than asked for.
    """
    check_number("deviation", deviation, above=0)
    check_counts(train=train, test=test)
    check_whole("episodes", episodes, 5)
    check_whole("seed", seed)
    settings = {"deviation": deviation, "episodes": episodes, "seed": seed, "horizon": simulator.horizon}
    sampler = _Sampler(simulator, model, units, deviation, episodes, seed)
    names = simulator.task_names
    work = ChunkedWork(lambda: Task(sampler.sample), SAMPLED_CHUNKS, "noisy rollouts")
    keys = [(simulator.name, name, settings, model_hash(model), *units.key) for name in names]
    found = computed_chunks(work, keys, range(len(names)), store, report)
    rng = np.random.default_rng(seed)
    sides: dict[str, list[list[NDArray[Any]]]] = {"train": [], "test": []}
    for task, one in enumerate(found):
        outside = one["episodes"] >= episodes - max(1, episodes // 5)
        for side, count, there in (("train", train, ~outside), ("test", test, outside)):
            rows = np.flatnonzero(there)
            if len(rows) < count:
                expected = f"{count} or more of each task"
                found_words = f"{len(rows)} steps of {names[task]!r} to {side} with"
                raise InputError("episodes", found_words, expected, "Play more episodes.")
            chosen = np.sort(rng.choice(rows, count, replace=False))
            sides[side].append([one["inputs"][chosen], one["labels"][chosen], np.full(count, task)])
    (x, y, task_of), (test_x, test_y, target_of) = (
        tuple(np.concatenate(part) for part in zip(*sides[side], strict=True)) for side in ("train", "test")
    )
    return TaskSuite(
        inputs=x, labels=y, task_of=task_of, test_inputs=test_x, test_labels=test_y, target_of=target_of,
        task_names=names, target_names=names, objective=POLICY,
    )  # fmt: skip


def advantages(observations: NDArray[Any], rewards: list[NDArray[np.float64]], rest: list[float]) -> Vector:
    """Return the standardised advantages of all steps of some episodes of one task, shape (n,).

    Parameters
    ----------
    observations : ndarray, shape (n, o)
        Of the steps of all episodes, one after the other.
    rewards : list of ndarray
        Of each episode.
    rest : list of float
        Reward of each step after an episode's end, for ever: that of a solved task, or 0.
    """
    returns, times = [], []
    for episode, after in zip(rewards, rest, strict=True):
        found, total = np.empty(len(episode)), after / (1 - _DISCOUNT)
        for step in reversed(range(len(episode))):
            total = episode[step] + _DISCOUNT * total
            found[step] = total
        returns.append(found)
        times.append(np.arange(len(episode)) / 100)
    followed, time = np.concatenate(returns), np.concatenate(times)
    known = np.column_stack([observations, time, np.square(time), np.ones(len(time))])
    # a small ridge: objects that do not move are columns that say the same
    normal = known.T @ known + 1e-3 * np.eye(known.shape[1])
    left = followed - known @ np.linalg.solve(normal, known.T @ followed)
    spread = left.std()
    return np.asarray((left - left.mean()) / spread if spread > 0 else np.zeros(len(left)))


@dataclass(frozen=True)
class _Sampler:
    simulator: Simulator
    model: nn.Module
    units: PolicyUnits
    deviation: float
    episodes: int
    seed: int

    def sample(self, task: int) -> dict[str, NDArray[Any]]:
        """Inputs, labels and episodes of all steps of one task."""
        environment = self.simulator.environment(self.simulator.task_names[task], self.seed)
        rng = np.random.default_rng([self.seed, task])
        mean, seen, took = mean_outputs(self.model, self.units, task), [], []

        def act(observation: Vector) -> Vector:
            centre = mean(observation)
            noise = rng.standard_normal(len(centre))
            taken = centre + self.deviation * noise
            seen.append(observation)
            took.append(np.concatenate([taken, [self.deviation, -np.square(noise).sum() / 2]]))
            return self.units.actions(taken)

        played = [play(environment, act, episode, self.simulator.horizon) for episode in range(self.episodes)]
        rest = [self.simulator.best_reward if one.success else 0.0 for one in played]
        inputs = self.units.inputs(np.array(seen), task)
        gained = advantages(inputs[:, : len(self.units.centre)], [one.rewards for one in played], rest)
        labels = np.column_stack([np.array(took), gained])
        return {
            "inputs": inputs, "labels": labels.astype(np.float32),
            "episodes": np.repeat(np.arange(len(played)), [len(one.rewards) for one in played]),
        }  # fmt: skip
