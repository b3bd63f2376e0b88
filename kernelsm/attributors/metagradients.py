"""MAGIC: the exact slope of a training run's result by the weights of its tasks, through all of its steps.

The run is `Descent`: v_{t+1} = μ v_t + Σ_k α_k g_k(w_t) + λ (w_t - W0), then w_{t+1} = w_t - η v_{t+1}. Backwards
from u = ∂F/∂w and p = 0 at its end, with e = p - η u,

    ∂F/∂α_k += g_k(w_t)ᵀ e,    u ← u + (H(w_t) + λ) e,    p ← μ e,

where H is the true Hessian of Σ_k α_k L_k. One derivative of gradient and losses along e gives both products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.attributors.attributor import Array, MethodCost
from kernelsm.attributors.descent import Descent, State
from kernelsm.attributors.first_order import FirstOrder
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store

BACKWARD_CHUNKS = ChunkKind("metagradient_segments", version=1)
Adjoint = tuple[torch.Tensor, torch.Tensor, NDArray[np.float64]]
"""u and p of every target, shape (q, d) each, and the slopes so far, shape (K, q)."""


class Magic(FirstOrder):
    """Backpropagation through a run of gradient descent into the weights of its tasks; exact for that run.

    Slopes are those at the weights of all tasks; what happens far from there is extrapolated along a line, as in all
    first-order methods. Memory holds one segment of the run at a time.

    Parameters
    ----------
    descent : Descent
        The run.
    centred : bool
        See `kernelsm.attributors.attributor`.

    References
    ----------
    Ilyas and Engstrom (2025), MAGIC: near-optimal data attribution for deep learning.
    """

    name, title = "magic", "MAGIC, backpropagation through training"

    def __init__(self, descent: Descent, *, centred: bool = True) -> None:
        super().__init__(descent.losses, centred=centred)
        self.descent = descent
        self._store: Store | None = None

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), **self.descent.settings()}

    def cost(self) -> MethodCost:
        """The run twice, and a derivative of the gradient for each target and step."""
        losses, steps = self.losses, self.descent.steps
        passes = steps * (2 + 1.0 * losses.q)
        longest = -(-steps // self.descent.count)
        return MethodCost(passes, passes * losses.pass_seconds, 8 * losses.d * (longest + 4 * losses.q))

    def slopes(self, *, store: Store | None = None, report: Report = silent) -> Array:
        """Return D = dF/dα, shape (K, q)."""
        self._store = store
        return super().slopes(store=store, report=report)

    def _slopes(self, store: Store | None, report: Report) -> Array:
        states = self.descent.states(store=store, report=report)
        ends = [0, *self.descent.checkpoint_steps()]
        u = self.losses.target_gradients(states[-1][0])
        adjoint: Adjoint = (u, torch.zeros_like(u), np.zeros((self.losses.K, self.losses.q)))
        for number in reversed(range(self.descent.count)):
            begin, length, before = states[number], ends[number + 1] - ends[number], store.reused if store else 0

            def backward(adjoint: Adjoint = adjoint, begin: State = begin, length: int = length) -> Any:
                u, p, slopes = self._back_through(begin, length, adjoint)
                return u.numpy(), p.numpy(), slopes

            key = (*self.losses.key, self.losses.where, sorted(self.descent.settings().items()), number)
            found = backward() if store is None else store.chunk(BACKWARD_CHUNKS, key, backward)
            adjoint = torch.from_numpy(found[0]), torch.from_numpy(found[1]), found[2]
            reused = bool(store and store.reused > before)
            report(self.descent.count - number, self.descent.count, "backwards through training", reused=reused)
        return adjoint[2]

    def _back_through(self, begin: State, length: int, adjoint: Adjoint) -> Adjoint:
        """From the end of a segment to its beginning."""
        states = [begin]
        for _ in range(length - 1):
            states.append(self.descent.step(states[-1]))
        u, p, slopes = adjoint[0], adjoint[1], adjoint[2].copy()
        for w, _ in reversed(states):
            e = p - self.descent.learning_rate * u
            curved, along = self._derivatives(w, e)
            slopes += along.T.double().numpy()
            u, p = u + curved + self.losses.ridge * e, self.descent.momentum * e
        return u, p, slopes

    def _derivatives(self, w: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hessian of the training loss times each direction (q, d), and slopes of task losses along it (q, K)."""
        losses = self.losses

        def both(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            def weighted(variable: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                by_task = losses.task_losses(variable)
                return losses.shares @ by_task, by_task

            found: tuple[torch.Tensor, torch.Tensor] = torch.func.grad(weighted, has_aux=True)(weights)
            return found

        def along(direction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found: tuple[torch.Tensor, torch.Tensor] = torch.func.jvp(both, (w,), (direction,))[1]
            return found

        curved, by_task = torch.func.vmap(along)(directions)
        return curved, by_task

    def baseline(self) -> Array:
        """Loss of each target at the end of the run, shape (q,)."""
        with torch.no_grad():
            end = self.descent.states(store=self._store)[-1][0]
            return np.asarray(self.losses.target_losses(end).double().numpy())
