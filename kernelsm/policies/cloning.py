"""Behaviour cloning: demonstrations as samples of a regression, and one policy for all tasks trained on them.

A policy is a network that gives the mean of its actions, with Gaussian noise of one fixed deviation. Its negative
log-likelihood of an expert's action a is ‖a - μ‖² / 2σ² and a constant, the squared error in other units: so cloning
is the objective of quantities, `kernelsm.objectives.regression`, and GradEx linearises the policy's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kernelsm.models.mlp import mlp
from kernelsm.objectives.training import train_base
from kernelsm.policies.demonstrations import Demonstrations
from kernelsm.runtime.checks import check_counts
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, Within, silent
from kernelsm.tasks.suite import REGRESSION, TaskSuite

HIDDEN = (256, 256)
"""Units of the policy's two hidden layers."""
_HELD_OUT_EVERY = 5
# observations farther from the mean than so many deviations count as that far
_FARTHEST = 5.0
# what hardly changes over all demonstrations is not blown up: metres, or parts of a grip's opening
_LEAST_SCALE = 0.01


@dataclass(frozen=True, eq=False)
class PolicyUnits:
    """How what a robot sees becomes the input of one policy for all tasks, and what it gives an action.

    Parameters
    ----------
    centre, scale : ndarray of float64, shape (o,)
        Mean and standard deviation of observations, each task counting the same.
    action_centre, action_scale : ndarray of float64, shape (a,)
        Those of the experts' actions: a policy gives standardised ones.
    tasks : int
        K: which task it is stands beside the observation, 1 for its own and 0 for the others.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm.policies.cloning import PolicyUnits
    >>> units = PolicyUnits(np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.array([0.5]), np.array([0.25]), tasks=3)
    >>> units.inputs(np.array([[3.0, 9.0]]), 1).tolist()
    [[1.0, 5.0, 0.0, 1.0, 0.0]]
    >>> units.actions(np.array([[2.0]])).tolist()
    [[1.0]]
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    action_centre: NDArray[np.float64]
    action_scale: NDArray[np.float64]
    tasks: int

    @classmethod
    def fitted(cls, demonstrations: Demonstrations) -> PolicyUnits:
        """Take means and deviations from the episodes of demonstrations that are not held out."""
        kept = demonstrations.take(~held_out(demonstrations))
        weights = 1 / np.bincount(kept.task_of)[kept.task_of]
        seen, done = (_centre_and_scale(numbers, weights) for numbers in (kept.observations, kept.actions))
        return cls(*seen, *done, len(demonstrations.task_names))

    @property
    def width(self) -> int:
        """Numbers of an input."""
        return len(self.centre) + self.tasks

    @property
    def key(self) -> tuple[NDArray[np.float64], ...]:
        """What results depend on, for the store."""
        return self.centre, self.scale, self.action_centre, self.action_scale

    def inputs(self, observations: NDArray[Any], task: int | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the inputs (n, o + K) of observations (n, o) in one task, or in a task for each."""
        standard = np.clip((observations - self.centre) / self.scale, -_FARTHEST, _FARTHEST)
        which = np.zeros((len(observations), self.tasks))
        which[np.arange(len(observations)), task] = 1
        return np.concatenate([standard, which], axis=1).astype(np.float32)

    def actions(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the actions (..., a) of standardised ones."""
        return np.asarray(self.action_centre + self.action_scale * outputs)

    def outputs(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """Return standardised actions (..., a), which a policy is to give."""
        return np.asarray((actions - self.action_centre) / self.action_scale, dtype=np.float32)


def _centre_and_scale(
    numbers: NDArray[np.float32], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    exact = numbers.astype(np.float64)
    centre = np.average(exact, axis=0, weights=weights)
    scale = np.sqrt(np.average(np.square(exact - centre), axis=0, weights=weights))
    return centre, np.maximum(scale, _LEAST_SCALE)


def held_out(demonstrations: Demonstrations) -> NDArray[np.bool_]:
    """Say which steps are of episodes that no policy is trained on: each fifth one of a task, shape (n,)."""
    return np.asarray(demonstrations.episode_of % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1)


def some_steps(demonstrations: Demonstrations, train: int, test: int, *, seed: int = 0) -> Demonstrations:
    """Draw steps at random: of each task `train` of training episodes and `test` of those held out.

    Raises
    ------
    InputError
        A task with fewer.
    """
    check_counts(train=train, test=test)
    rng, outside = np.random.default_rng(seed), held_out(demonstrations)
    rows = []
    for task, name in enumerate(demonstrations.task_names):
        for side, count in ((~outside, train), (outside, test)):
            there = np.flatnonzero(side & (demonstrations.task_of == task))
            if len(there) < count:
                found = f"{len(there)} steps of {name!r}"
                raise InputError("demonstrations", found, f"{count} or more", "Record more episodes.")
            rows.append(np.sort(rng.choice(there, count, replace=False)))
    return demonstrations.take(np.concatenate(rows))


def cloning_suite(demonstrations: Demonstrations, units: PolicyUnits) -> TaskSuite:
    """Return demonstrations as a suite: a task and a target for each task of the robot.

    Labels are standardised actions: the loss of a sample is the squared distance to the expert's.
    """
    seen = units.inputs(demonstrations.observations, demonstrations.task_of)
    done = units.outputs(demonstrations.actions)
    test, task_of, names = held_out(demonstrations), demonstrations.task_of, demonstrations.task_names
    return TaskSuite(
        inputs=seen[~test], labels=done[~test], task_of=task_of[~test], test_inputs=seen[test],
        test_labels=done[test], target_of=task_of[test], task_names=names, target_names=names, objective=REGRESSION,
        objective_settings={
            "centre": units.action_centre.tolist(), "scale": units.action_scale.tolist(),
            "names": list(demonstrations.action_names),
        },
    )  # fmt: skip


def cloned_policy(
    suite: TaskSuite, *, epochs: tuple[int, ...] = (40, 10), seed: int = 0, report: Report = silent
) -> nn.Sequential:
    """Train one policy on the demonstrations of all tasks, with smaller steps at the end.

    Parameters
    ----------
    suite : TaskSuite
        Of `cloning_suite`.
    epochs : tuple of int
        Passes at each learning rate: 1e-3, 1e-4, ...
    seed : int
        Of the initial weights and the batches.
    report : Report
        Called after each pass.
    """
    model = mlp((suite.inputs.shape[1], *HIDDEN, suite.labels.shape[1]), seed=seed)
    within = Within(report, len(epochs))
    for stage, passes in enumerate(epochs):
        train_base(
            model, suite, epochs=passes, learning_rate=1e-3 / 10**stage, batch_size=512, seed=seed,
            report=lambda done, total, message="", *, reused=False: within.inside(done, total + 1, message),
        )  # fmt: skip
        within(stage + 1, len(epochs), "policy")
    return model
