"""TracIn: products of training and target gradients, at W0 or summed over checkpoints of a training run."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelsm.attributors.attributor import Array, MethodCost
from kernelsm.attributors.descent import Descent
from kernelsm.attributors.first_order import FirstOrder
from kernelsm.attributors.task_losses import TaskLosses
from kernelsm.runtime.checks import check_number
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store


class TracIn(FirstOrder):
    """dF/dα_k = -Σ_t η_t g_k(w_t)ᵀ h(w_t): what a step of gradient descent on each task does to each target.

    Parameters
    ----------
    losses : TaskLosses
    centred : bool
        See `kernelsm.attributors.attributor`.
    learning_rate : float
        η of W0 alone; with a descent its own steps count. Rank correlations do not depend on it.
    descent : Descent, optional
        A run of gradient descent from W0; its checkpoints are summed, each with the learning rate of the steps since
        the one before. W0 alone if not given.

    References
    ----------
    Pruthi et al. (2020), Estimating training data influence by tracing gradient descent; the paper's appendix B.
    """

    title = "TracIn"

    def __init__(
        self, losses: TaskLosses, *, centred: bool = True, learning_rate: float = 1.0, descent: Descent | None = None
    ) -> None:
        super().__init__(losses, centred=centred)
        check_number("learning_rate", learning_rate, above=0)
        self.learning_rate, self.descent = learning_rate, descent
        self.name = "tracin" if descent is None else "tracin_checkpoints"
        self.title = "TracIn at W0" if descent is None else "TracIn over checkpoints"

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        steps = {"learning_rate": self.learning_rate} if self.descent is None else self.descent.settings()
        return {**super().settings(), **steps}

    def cost(self) -> MethodCost:
        """Gradients of tasks and targets at each place, and the run where there is one."""
        losses = self.losses
        places = 1 if self.descent is None else len(self.descent.checkpoint_steps())
        run = 0.0 if self.descent is None else float(self.descent.steps)
        passes = run + places * (1 + losses.test_samples / sum(losses.sizes))
        memory = 8 * losses.d * (losses.K + losses.q + places)
        return MethodCost(passes, passes * losses.pass_seconds, memory)

    def _slopes(self, store: Store | None, report: Report) -> Array:
        if self.descent is None:
            return -self.learning_rate * self._products(self.losses.at)
        places = self.descent.checkpoints(store=store, report=report)
        found = np.zeros((self.losses.K, self.losses.q))
        for number, (weights, rate) in enumerate(places, start=1):
            found -= rate * self._products(weights)
            report(number, len(places), "gradients at checkpoints", reused=None)
        return found

    def _products(self, w: Any) -> Array:
        gradients, targets = self.losses.task_gradients(w), self.losses.target_gradients(w)
        return np.asarray((gradients @ targets.T).double().numpy())
