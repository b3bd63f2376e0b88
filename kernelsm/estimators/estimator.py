"""What all estimators share: a table of outcomes made block by block, each block kept by the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.tasks.suite import TaskSuite


def task_weight_key(suite: TaskSuite, task_weights: Sequence[float] | None) -> tuple[float, ...] | None:
    """Task weights as they enter the store's key, checked; None stands for equal weights."""
    suite.sample_weights(np.ones((1, suite.K), dtype=np.bool_), task_weights)
    if task_weights is None:
        return None
    weights = tuple(float(weight) for weight in task_weights)
    return None if len(set(weights)) == 1 else weights


@dataclass(frozen=True)
class BlockWork:
    """How an estimator makes one block of outcomes.

    Parameters
    ----------
    solve : callable
        `solve(masks of a block, *key, **heavy)` returns all measures, shape (masks, 3, q).
    key : tuple
        Everything that the result depends on besides the masks.
    heavy : dict
        Brings it in; the store does not look at it.
    message : str
        What is told after each block.
    meta : dict
        Of the outcomes.
    """

    solve: Callable[..., NDArray[np.float64]]
    key: tuple[Any, ...]
    heavy: dict[str, Any]
    message: str
    meta: dict[str, Any]


class Estimator(ABC):
    """A way to get F(s), block by block; each block is kept by the store."""

    suite: TaskSuite
    block: int

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
        measure : {"loss", "accuracy", "margin"}
            Mean over a target's samples of the loss in nats, of being right, or of log p_y - log(1 - p_y). The store
            keeps all three: asking for another one computes nothing again.
        store, report
            Where finished blocks are kept, and what is told after each.

        Returns
        -------
        Outcomes
            Shape (m, q); higher is better for accuracy and margin.

        Raises
        ------
        InputError
            Masks of another number of tasks, an unknown measure, or a solve that does not converge.
        """
        from kernelsm.estimators.measures import UNITS, check_measure  # needs torch, which samplers and tables do not

        place = check_measure(measure)
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
                found, reused = work.solve(part, *work.key, **work.heavy), False
            else:
                before = store.reused
                found = store.call(work.solve, part, *work.key, heavy=work.heavy)
                reused = store.reused > before
            values.append(found[:, place])
            report(done, len(starts), work.message, reused=reused)
        return Outcomes(
            masks, np.concatenate(values), task_names=self.suite.task_names, target_names=self.suite.target_names,
            higher_is_better=measure != "loss", meta={**work.meta, "measure": measure, "unit": UNITS[measure]},
        )  # fmt: skip
