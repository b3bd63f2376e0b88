"""Leave-one-out by really retraining, which all other methods stand in for: K + 1 fine-tunings from W0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernelsm.attributors.attributor import Array, Attributor, MethodCost
from kernelsm.estimators.retraining import Retraining
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_number
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.surrogates.results import Attribution


class LeaveOneOut(Attributor):
    """F(all tasks) - F(all but k), each retrained; predictions add these effects up.

    Parameters
    ----------
    retraining : Retraining
        How the network is retrained; its blocks are the chunks.
    seconds : float
        What one subset takes.
    """

    name, title = "leave_one_out", "leave-one-out, retrained"

    def __init__(self, retraining: Retraining, *, seconds: float = 1.0) -> None:
        check_number("seconds", seconds, least=0)
        self.retraining, self._seconds = retraining, seconds
        self._table: Outcomes | None = None

    @property
    def task_names(self) -> Sequence[str]:
        """Names of the K tasks."""
        return self.retraining.task_names

    @property
    def target_names(self) -> Sequence[str]:
        """Names of the q targets."""
        return self.retraining.target_names

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {"ridge": self.retraining.ridge, "start": self.retraining.start}

    def cost(self) -> MethodCost:
        """K + 1 retrainings, a little longer than those of half the tasks that the rate was measured on."""
        K, suite = len(self.task_names), self.retraining.suite
        parameters = sum(p.numel() for p in self.retraining.model.parameters())
        return MethodCost(0, 2 * self._seconds * (K + 1), 8 * parameters * 45 + 8 * suite.inputs.size)

    def table(self, store: Store | None = None, report: Report = silent) -> Outcomes:
        """Return the outcomes of all tasks, then of all but each one."""
        if self._table is None:
            K = len(self.task_names)
            masks = np.vstack([np.ones((1, K), dtype=np.bool_), ~np.eye(K, dtype=np.bool_)])
            self._table = self.retraining.outcomes(masks, store=store, report=report)
        return self._table

    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Retrain, and take differences; they are measured, so they have no width."""
        values = self.table(store, report).values
        return Attribution(
            values[0] - values[1:], tuple(self.task_names), tuple(self.target_names),
            meta={"readout": self.name, **self.settings()}, measured=np.ones(len(self.task_names), dtype=np.bool_),
        )  # fmt: skip

    def baseline(self) -> Array:
        """Measured outcome of all tasks together."""
        return np.asarray(self.table().values[0])
