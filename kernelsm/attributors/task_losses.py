"""Losses of K tasks and q targets as functions of one vector of weights: gradients and curvature, summed by task.

At the level of tasks no method needs gradients of single samples: K gradients of training losses and q of target
losses are enough, and products with the curvature of the training loss

    L(w) = Σ_k a_k L_k(w) + λ/2 ‖w - W0‖²,

whose Gauss-Newton matrix is H = Σ_k a_k mean_i J_iᵀ C_i J_i, and with the pull H + λ. The same holds for a network
and for the model that is linear in its gradient features; the methods do not tell the two apart.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import TaskSuite

DENSE_UP_TO = 6_000
"""Coordinates up to which the curvature is written down as a matrix."""


class TaskLosses(ABC):
    """Mean loss of each task and each target, at weights w of d numbers.

    Attributes
    ----------
    task_names, target_names : tuple of str
    shares : Tensor, shape (K,)
        a: weight of each task in the training loss of all.
    ridge : float
        λ of the pull towards W0.
    start : Tensor, shape (d,)
        W0.
    key : tuple
        The content of all this, for the store.
    where : str
        "network" or "features".
    """

    task_names: tuple[str, ...]
    target_names: tuple[str, ...]
    shares: torch.Tensor
    ridge: float
    start: torch.Tensor
    key: tuple[Any, ...]
    where: str
    sizes: Sequence[int]

    @property
    def K(self) -> int:  # noqa: N802 - the field's sign for the number of tasks
        """Number of tasks."""
        return len(self.task_names)

    @property
    def q(self) -> int:
        """Number of targets."""
        return len(self.target_names)

    @property
    def d(self) -> int:
        """Number of weights."""
        return len(self.start)

    @property
    @abstractmethod
    def at(self) -> torch.Tensor:
        """The weights at which methods look that look at one place, shape (d,)."""

    @abstractmethod
    def task_losses(self, w: torch.Tensor) -> torch.Tensor:
        """Mean loss of each task, shape (K,); differentiable."""

    @abstractmethod
    def target_losses(self, w: torch.Tensor) -> torch.Tensor:
        """Mean loss of each target, shape (q,); differentiable."""

    @abstractmethod
    def task_gradients(self, w: torch.Tensor) -> torch.Tensor:
        """Gradient of the mean loss of each task, shape (K, d)."""

    @abstractmethod
    def target_gradients(self, w: torch.Tensor) -> torch.Tensor:
        """Gradient of the mean loss of each target, shape (q, d)."""

    @abstractmethod
    def curvature_times(self, w: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Gauss-Newton matrix of the training loss, without the pull, times each row of (r, d)."""

    @abstractmethod
    def _dense(self, w: torch.Tensor) -> torch.Tensor:
        """The Gauss-Newton matrix."""

    def dense_curvature(self, w: torch.Tensor) -> torch.Tensor:
        """Gauss-Newton matrix of the training loss without the pull, shape (d, d).

        Raises
        ------
        InputError
            More than `DENSE_UP_TO` weights.
        """
        if self.d > DENSE_UP_TO:
            fix = "Take conjugate gradients, or project the gradients to fewer coordinates."
            raise InputError("curvature", f"{self.d:,} coordinates", f"at most {DENSE_UP_TO:,}", fix)
        return self._dense(w)

    @cached_property
    def pass_seconds(self) -> float:
        """Time of one forward and backward pass over all training samples on a free core, measured once."""
        self.target_gradients(self.start)  # the first pass sets things up
        began = time.process_time()  # not the clock on the wall: others may be at work here, too
        self.target_gradients(self.start)
        test = time.process_time() - began
        return test * sum(self.sizes) / max(self.test_samples, 1)

    @property
    @abstractmethod
    def test_samples(self) -> int:
        """Number of test samples."""


def averaging(group_of: NDArray[np.int64], groups: int, dtype: torch.dtype) -> torch.Tensor:
    """Matrix that takes the mean of the samples of each group, shape (groups, n)."""
    member = np.arange(groups)[:, None] == group_of
    return torch.from_numpy(member / member.sum(axis=1, keepdims=True)).to(dtype)


def shares_of(suite: TaskSuite) -> NDArray[np.float64]:
    """Weight of each task where all are in, shape (K,)."""
    return suite.tasks.shares(suite.task_weighting)
