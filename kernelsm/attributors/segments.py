"""SOURCE: training unrolled segment by segment, each with one gradient and one curvature for all of its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from kernelsm.attributors.attributor import Array, MethodCost
from kernelsm.attributors.descent import Descent
from kernelsm.attributors.first_order import FirstOrder
from kernelsm.attributors.task_losses import DENSE_UP_TO
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store


class Source(FirstOrder):
    """Slopes of a run of gradient descent whose segments are each taken for stationary.

    In a segment of T steps with rate η (with momentum that of steady steps, η / (1 - μ)), mean curvature H̄ with the
    pull and mean gradients ḡ_k, eigenvalue by eigenvalue σ of H̄,

        r = (1 - e^(-ηTσ)) / σ,    S = e^(-ηTσ),

    and dF/dα_k = -Σ_l hᵀ S_L ⋯ S_{l+1} r_l ḡ_{k,l}. Means are those of both ends of the segment; the eigenbasis is
    exact, for up to 6,000 coordinates.

    Parameters
    ----------
    descent : Descent
        The run; its checkpoints bound the segments, of which the published method has three.
    centred : bool
        See `kernelsm.attributors.attributor`.

    Raises
    ------
    InputError
        More coordinates.

    References
    ----------
    Bae, Lin, Lorraine and Grosse (2024), Training data attribution via approximate unrolled differentiation.
    """

    name, title = "source", "SOURCE, unrolled by segments"

    def __init__(self, descent: Descent, *, centred: bool = True) -> None:
        super().__init__(descent.losses, centred=centred)
        if descent.losses.d > DENSE_UP_TO:
            fix = "Take MAGIC or conjugate gradients, which need no eigenvalues."
            raise InputError(self.name, f"{descent.losses.d:,} coordinates", f"at most {DENSE_UP_TO:,}", fix)
        self.descent = descent
        self._store: Store | None = None

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), **self.descent.settings()}

    def cost(self) -> MethodCost:
        """The run, a curvature at each checkpoint, and eigenvalues of each segment."""
        losses, segments = self.losses, self.descent.count
        passes = self.descent.steps + (segments + 1) * (2 + 0.1 * losses.d)
        eigen = segments * 10 * losses.d**3 / 4e9
        return MethodCost(passes, passes * losses.pass_seconds + eigen, 8 * losses.d**2 * 5)

    def slopes(self, *, store: Store | None = None, report: Report = silent) -> Array:
        """Return D = dF/dα, shape (K, q)."""
        self._store = store
        return super().slopes(store=store, report=report)

    def _slopes(self, store: Store | None, report: Report) -> Array:
        losses, ends = self.losses, [0, *self.descent.checkpoint_steps()]
        places = [state[0] for state in self.descent.states(store=store, report=report)]
        vectors = losses.target_gradients(places[-1])
        slopes = np.zeros((losses.K, losses.q))
        after = losses.task_gradients(places[-1]), losses.dense_curvature(places[-1])
        for number in reversed(range(self.descent.count)):
            before = losses.task_gradients(places[number]), losses.dense_curvature(places[number])
            gradients, curvature = ((a + b) / 2 for a, b in zip(before, after, strict=True))
            curvature.diagonal().add_(losses.ridge)
            values, basis = torch.linalg.eigh(curvature)
            time = self.descent.effective_rate * (ends[number + 1] - ends[number])
            reach = -torch.expm1(-time * values) / values
            inside = vectors @ basis
            slopes -= (gradients @ ((inside * reach) @ basis.T).T).double().numpy()
            vectors = (inside * torch.exp(-time * values)) @ basis.T
            after = before
            report(self.descent.count - number, self.descent.count, "segments", reused=None)
        return slopes

    def baseline(self) -> Array:
        """Loss of each target at the end of the run, shape (q,)."""
        with torch.no_grad():
            end = self.descent.states(store=self._store)[-1][0]
            return np.asarray(self.losses.target_losses(end).double().numpy())
