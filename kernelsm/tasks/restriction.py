"""A suite without some of its tasks: what a model is trained on when they are left out for good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import TaskSuite


def only_tasks(suite: TaskSuite, mask: NDArray[np.bool_]) -> TaskSuite:
    """Return a suite with the training samples of some tasks only; test samples and targets stay.

    Parameters
    ----------
    suite : TaskSuite
    mask : ndarray of bool, shape (K,)
        The tasks that stay.

    Raises
    ------
    InputError
        Another number of tasks, or none that stays.
    """
    mask = np.asarray(mask, dtype=np.bool_)
    if mask.shape != (suite.K,) or not mask.any():
        found = f"shape {mask.shape}" if mask.shape != (suite.K,) else "no task"
        raise InputError("mask", found, f"one or more of {suite.K} tasks", "Keep a task to train on.")
    if mask.all():
        return suite
    rows, number = mask[suite.task_of], np.cumsum(mask) - 1
    return replace(
        suite, inputs=suite.inputs[rows], labels=suite.labels[rows],
        task_of=number[suite.task_of[rows]].astype(np.int64),
        task_names=tuple(name for name, stays in zip(suite.task_names, mask, strict=True) if stays),
    )  # fmt: skip
