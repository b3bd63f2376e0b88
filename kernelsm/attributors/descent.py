"""A run of gradient descent from W0 on all tasks: the training that TracIn, SOURCE and MAGIC look into.

It minimises what retraining minimises, Σ_k α_k L_k(w) + λ/2 ‖w - W0‖², on all samples at once, with momentum:

    v ← μ v + ∇,    w ← w - η v.

Nothing is random. Weights are kept every few steps; what lies between is computed again where it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.attributors.solves import largest_eigenvalue
from kernelsm.attributors.task_losses import TaskLosses
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.errors import ConvergenceError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store

SEGMENT_CHUNKS = ChunkKind("descent_segments", version=1)
State = tuple[torch.Tensor, torch.Tensor]
"""Weights and velocity, shape (d,) each."""


class Descent:
    """Gradient descent with momentum from W0.

    Parameters
    ----------
    losses : TaskLosses
    steps : int
        Of the run.
    checkpoints : int
        Into how many segments of equal length the run is cut; weights at their ends are kept.
    learning_rate : float, optional
        η; if not given, 1 / the largest eigenvalue of the curvature at W0 with the pull, by power iteration.
    momentum : float
        μ, from 0 to below 1.

    Raises
    ------
    InputError
        A setting out of its range.
    """

    def __init__(
        self, losses: TaskLosses, *, steps: int = 200, checkpoints: int = 5, learning_rate: float | None = None,
        momentum: float = 0.9,
    ) -> None:  # fmt: skip
        self.losses = losses
        self.steps = check_whole("steps", steps)
        self.count = check_whole("checkpoints", checkpoints, 1, steps)
        if learning_rate is not None:
            check_number("learning_rate", learning_rate, above=0)
        check_number("momentum", momentum, least=0, below=1)
        self.momentum, self._given = momentum, learning_rate
        self._rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """η."""
        if self._rate is None:
            losses = self.losses

            def product(rows: torch.Tensor) -> torch.Tensor:
                return losses.curvature_times(losses.start, rows) + losses.ridge * rows

            self._rate = 1.0 / largest_eigenvalue(product, losses.start)
        return self._rate

    @property
    def effective_rate(self) -> float:
        """η / (1 - μ): how far a steady gradient moves the weights in one step."""
        return self.learning_rate / (1 - self.momentum)

    def settings(self) -> dict[str, Any]:
        """Parameters, for metadata and keys."""
        return {
            "steps": self.steps, "checkpoints": self.count, "learning_rate": self._given, "momentum": self.momentum,
        }  # fmt: skip

    def checkpoint_steps(self) -> list[int]:
        """After how many steps weights are kept, the last being all."""
        return [round(self.steps * number / self.count) for number in range(1, self.count + 1)]

    def first(self) -> State:
        """W0, at rest."""
        return self.losses.start, torch.zeros_like(self.losses.start)

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """Gradient of the training loss of all tasks with the pull, shape (d,)."""
        variable = w.detach().clone().requires_grad_()
        with torch.enable_grad():
            loss = self.losses.shares @ self.losses.task_losses(variable)
        return torch.autograd.grad(loss, variable)[0] + self.losses.ridge * (w - self.losses.start)

    def step(self, state: State) -> State:
        """One step."""
        w, velocity = state
        velocity = self.momentum * velocity + self.gradient(w)
        return w - self.learning_rate * velocity, velocity

    def states(self, *, store: Store | None = None, report: Report = silent) -> list[State]:
        """Return the states at the start and at the end of each segment; each segment is a chunk.

        Raises
        ------
        ConvergenceError
            The weights grow without bound.
        """
        kept, done = [self.first()], 0
        for number, end in enumerate(self.checkpoint_steps()):
            begin, before = kept[-1], store.reused if store else 0

            def segment(begin: State = begin, length: int = end - done) -> tuple[NDArray[Any], NDArray[Any]]:
                state = begin
                for _ in range(length):
                    state = self.step(state)
                return state[0].numpy(), state[1].numpy()

            key = (*self.losses.key, self.losses.where, sorted(self.settings().items()), number)
            found = segment() if store is None else store.chunk(SEGMENT_CHUNKS, key, segment)
            if not np.isfinite(found[0]).all():
                fix = "Lower the learning rate or the momentum."
                raise ConvergenceError("descent", f"weights that are not finite by step {end}", "finite ones", fix)
            kept.append((torch.from_numpy(found[0]), torch.from_numpy(found[1])))
            done = end
            report(end, self.steps, "gradient descent", reused=bool(store and store.reused > before))
        return kept

    def checkpoints(self, *, store: Store | None = None, report: Report = silent) -> list[tuple[torch.Tensor, float]]:
        """Return weights at the start of each segment, and the rate of its steps together, for TracIn."""
        states, ends = self.states(store=store, report=report), [0, *self.checkpoint_steps()]
        rates = [self.effective_rate * (ends[i + 1] - ends[i]) for i in range(self.count)]
        return [(state[0], rate) for state, rate in zip(states[:-1], rates, strict=True)]
