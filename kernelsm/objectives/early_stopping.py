"""Training samples that are held out of the training loss, to see when to stop training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.objectives.registry import find
from kernelsm.runtime.checks import check_number
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import TaskSuite
from kernelsm.tasks.weighting import BY_SIZE


def held_out(suite: TaskSuite, fraction: float, *, seed: int = 0) -> NDArray[np.bool_]:
    """Draw the same fraction of each task's samples, as nearly as whole samples allow.

    Every task keeps at least one sample.

    Parameters
    ----------
    suite : TaskSuite
    fraction : float
        Of the n training samples, 0 to 0.5.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for the samples held out.

    Raises
    ------
    InputError
        The fraction is out of its range, or so small that it holds out no sample.
    """
    check_number("validation", fraction, least=0, most=0.5)
    sizes = np.bincount(suite.task_of)
    shuffled = np.random.default_rng(seed).permutation(len(suite.task_of))
    by_task = shuffled[np.argsort(suite.task_of[shuffled], kind="stable")]
    by_task = by_task[sizes[suite.task_of[by_task]] > 1]
    # every 1/fraction-th of the samples in order of tasks: never two in a row
    steps = np.floor(np.arange(len(by_task) + 1) * fraction)
    drawn = by_task[np.diff(steps) > 0]
    if fraction and not len(drawn):
        found = f"{fraction:g} of {len(by_task):,} samples in tasks of two or more"
        raise InputError("validation", found, "a fraction that holds out a sample", "Raise it, or set it to 0.")
    held = np.zeros(len(suite.task_of), dtype=np.bool_)
    held[drawn] = True
    return held


class Validation:
    """The samples held out, and the suite without them.

    Parameters
    ----------
    suite : TaskSuite
    held : ndarray of bool, shape (n,)
        See `held_out`.
    batch_size : int, optional
        Samples that pass through the network at once; by default all of them.
    """

    def __init__(self, suite: TaskSuite, held: NDArray[np.bool_], *, batch_size: int | None = None) -> None:
        self.rest = replace(
            suite, inputs=suite.inputs[~held], labels=suite.labels[~held], task_of=suite.task_of[~held]
        )
        self.objective = find(suite)
        self.batch_size = batch_size or int(held.sum())
        self._inputs = torch.from_numpy(suite.inputs[held])
        self._labels = torch.from_numpy(suite.labels[held])
        task_of = suite.task_of[held]
        sizes = np.bincount(task_of)
        weights = np.ones(len(task_of)) if suite.task_weighting == BY_SIZE else 1.0 / sizes[task_of]
        self._weights = torch.from_numpy(weights / weights.sum())

    def losses(self, model: nn.Module) -> tuple[float, float]:
        """Return the mean loss of the samples held out, weighed as the suite says, and the headline measure.

        The network is left in training mode.
        """
        model.eval()
        with torch.no_grad():
            outputs = torch.cat([model(batch) for batch in self._inputs.split(self.batch_size)])
            losses = self.objective.loss(outputs, self._labels)
            headline = self.objective.measure_headline(outputs, self._labels)
        model.train()
        return float(self._weights @ losses.double()), headline
