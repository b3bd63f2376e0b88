"""What all estimators share: a table of outcomes made block by block, each block kept by the store."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.objectives.objective import Objective, find_measure
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.suite import TaskSuite


def check_ridge(ridge: float) -> None:
    """Raise InputError unless λ is a finite number above 0."""
    if not (ridge > 0 and math.isfinite(ridge)):
        raise InputError("ridge", f"{ridge}", "a finite number above 0", "0.03 is the examples' value.")


def check_block(block: int | None) -> None:
    """Raise InputError unless a block is None or at least one mask."""
    if block is not None and block < 1:
        raise InputError("block", f"{block}", "a whole number above 0, or None", "None chooses one that fits.")


def task_weight_key(suite: TaskSuite, task_weights: Sequence[float] | None) -> tuple[float, ...] | None:
    """Task weights as they enter the store's key, checked; None stands for equal weights."""
    suite.sample_weights(np.ones((1, suite.K), dtype=np.bool_), task_weights)
    if task_weights is None:
        return None
    weights = tuple(float(weight) for weight in task_weights)
    return None if len(set(weights)) == 1 else weights


@dataclass(frozen=True)
class BlockWork:
    """How an estimator makes one block of outcomes, and how the store finds it again.

    Parameters
    ----------
    solve : callable
        Maps the masks of a block, shape (m, K), to all measures, shape (m, measures, q).
    kind : ChunkKind
        What the estimator's blocks are called in the store.
    key : tuple
        Everything that the measures depend on besides the masks.
    message : str
        What a report says after each block.
    meta : dict
        Of the outcomes.
    """

    solve: Callable[[NDArray[np.bool_]], NDArray[np.float64]]
    kind: ChunkKind
    key: tuple[Any, ...]
    message: str
    meta: dict[str, Any]


class Estimator(ABC):
    """A way to get F(s), block by block; each block is kept by the store."""

    suite: TaskSuite
    objective: Objective
    block: int

    @property
    def measure_names(self) -> tuple[str, ...]:
        """What each block holds, in order; part of its key."""
        return tuple(measure.name for measure in self.objective.measures)

    @abstractmethod
    def _work(self, store: Store | None) -> BlockWork:
        """Say how a block is made."""

    def outcomes(
        self,
        masks: NDArray[np.bool_],
        *,
        measure: str = "loss",
        store: Store | None = None,
        report: Report = silent,
    ) -> Outcomes:
        """Find the outcome of each mask.

        Parameters
        ----------
        masks : ndarray of bool, shape (m, K)
        measure : str
            One of the objective's measures. For classes: "loss", "accuracy" or "margin", the mean over a target's
            samples of the loss in nats, of being right, or of log p_y - log(1 - p_y). The store keeps all of them:
            asking for another one computes nothing again.
        store, report
            Where finished blocks are kept, and what is called after each.

        Returns
        -------
        Outcomes
            Shape (m, q), in the measure's unit and with its sign.

        Raises
        ------
        InputError
            Masks of another number of tasks, or an unknown measure.
        ConvergenceError
            A solve that does not converge.
        """
        position = find_measure(self.objective.measures, measure)
        about = self.objective.measures[position]
        masks = np.asarray(masks)
        K = self.suite.K
        if masks.ndim != 2 or masks.shape[1] != K or not len(masks):
            raise InputError("masks", f"shape {masks.shape}", f"(m, {K})", "One column per task of the suite.")
        if masks.dtype != np.bool_:
            raise InputError("masks", f"type {masks.dtype}", "bool", "Write masks.astype(bool).")
        work = self._work(store)
        starts = range(0, len(masks), self.block)
        values = []
        for done, start in enumerate(starts, start=1):
            part = masks[start : start + self.block]
            if store is None:
                found, reused = work.solve(part), False
            else:
                before = store.reused
                found = store.chunk(work.kind, (*work.key, part), partial(work.solve, part))
                reused = store.reused > before
            values.append(found[:, position])
            report(done, len(starts), work.message, reused=reused)
        return Outcomes(
            masks, np.concatenate(values), task_names=self.suite.task_names, target_names=self.suite.target_names,
            higher_is_better=about.higher_is_better, meta={**work.meta, "measure": measure, "unit": about.unit},
        )  # fmt: skip
