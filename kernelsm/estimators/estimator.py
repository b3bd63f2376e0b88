"""What all estimators share: a table of outcomes made block by block, each block kept by the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.objectives.objective import Measure, Objective, find_measure
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.tasks.suite import TaskSuite
from kernelsm.tasks.weighting import BY_SIZE, EQUALLY


def task_weight_key(suite: TaskSuite, task_weights: Sequence[float] | None) -> tuple[float, ...] | None:
    """Task weights as they enter the store's key, checked; None stands for what the suite says."""
    suite.sample_weights(np.ones((1, suite.K), dtype=np.bool_), task_weights)
    if task_weights is None:
        return None
    weights = tuple(float(weight) for weight in task_weights)
    return None if len(set(weights)) == 1 and suite.task_weighting == EQUALLY else weights


@dataclass(frozen=True)
class BlockWork:
    """How an estimator makes one block of outcomes, and how the store finds it again.

    Parameters
    ----------
    blocks : ChunkedWork
        Its task maps the masks of a block, shape (m, K), to what is kept of it: all measures, shape (m, measures, q),
        or something else that the estimator's own `table` makes outcomes of.
    key : tuple
        Everything that the measures depend on besides the masks.
    meta : dict
        Of the outcomes.
    """

    blocks: ChunkedWork
    key: tuple[Any, ...]
    meta: dict[str, Any]


class Estimator(ABC):
    """Computes F(s) block by block; the store keeps each block, and the executor in use says where it is computed.

    Attributes
    ----------
    block : int
        Masks in a block.
    """

    block: int

    @property
    @abstractmethod
    def task_names(self) -> tuple[str, ...]:
        """Names of the K tasks."""

    @property
    @abstractmethod
    def target_names(self) -> tuple[str, ...]:
        """Names of the q targets."""

    @property
    @abstractmethod
    def measures(self) -> Sequence[Measure]:
        """The measures that a block holds for every target, in order."""

    @property
    def target_weights(self) -> Sequence[float] | None:
        """How much each target counts in the mean over targets; None where all count the same."""
        return None

    @property
    def measure_names(self) -> tuple[str, ...]:
        """Names of the measures; part of a block's key."""
        return tuple(measure.name for measure in self.measures)

    @abstractmethod
    def _work(self, store: Store | None) -> BlockWork:
        """Describe how a block is made."""

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
        find_measure(self.measures, measure)
        masks = self.check_masks(masks)
        work = self._work(store)
        return self.table(masks, self._blocks(masks, work, store, report), measure, work.meta)

    def check_masks(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return masks as an array.

        Raises
        ------
        InputError
            Another number of columns than tasks, no row, or another type than bool.
        """
        masks, K = np.asarray(masks), len(self.task_names)
        if masks.ndim != 2 or masks.shape[1] != K or not len(masks):
            raise InputError("masks", f"shape {masks.shape}", f"(m, {K})", "Give one column per task.")
        if masks.dtype != np.bool_:
            raise InputError("masks", f"type {masks.dtype}", "bool", "Write masks.astype(bool).")
        return masks

    def table(
        self, masks: NDArray[np.bool_], blocks: Sequence[NDArray[np.float64]], measure: str, meta: dict[str, Any]
    ) -> Outcomes:
        """Put the measures of all blocks together.

        Parameters
        ----------
        masks : ndarray of bool, shape (m, K)
        blocks : sequence of ndarray
            What the task of `BlockWork.blocks` gave for each block of them.
        measure : str
            Name of one of the `measures`.
        meta : dict
            Of the outcomes, without measure and unit; JSON types only.
        """
        position = find_measure(self.measures, measure)
        chosen = self.measures[position]
        return Outcomes(
            masks, np.concatenate([self._values(found, position) for found in blocks]),
            task_names=self.task_names, target_names=self.target_names, higher_is_better=chosen.higher_is_better,
            meta={**meta, "measure": measure, "unit": chosen.unit}, target_weights=self.target_weights,
        )  # fmt: skip

    def _values(self, block: NDArray[np.float64], position: int) -> NDArray[np.float64]:
        """Outcomes of the masks of one block, shape (m, q), in the measure of that position among all."""
        return block[:, position]

    def _blocks(
        self, masks: NDArray[np.bool_], work: BlockWork, store: Store | None, report: Report
    ) -> list[NDArray[np.float64]]:
        """All measures of each block of masks; finished blocks come from the store."""
        parts = self._parts(masks)
        return computed_chunks(work.blocks, [(*work.key, part) for part in parts], parts, store, report)

    def _parts(self, masks: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
        return [masks[start : start + self.block] for start in range(0, len(masks), self.block)]


def compute_together(
    estimators: Sequence[Estimator], masks: NDArray[np.bool_], store: Store, report: Report = silent
) -> None:
    """Compute the blocks of several estimators of one kind, so that all cores have work where each has few blocks.

    Nothing is returned: afterwards each one's `outcomes` finds all of its blocks in the store.

    Parameters
    ----------
    estimators : sequence of Estimator
        As networks retrained from several seeds.
    masks : ndarray of bool, shape (m, K)
    store, report
        Where finished blocks are kept, and what is called after each.

    Raises
    ------
    InputError, ConvergenceError
        As `Estimator.outcomes`.
    """
    works = [one._work(store) for one in estimators]
    blocks = [(number, part) for number, one in enumerate(estimators) for part in one._parts(one.check_masks(masks))]
    keys = [(*works[number].key, part) for number, part in blocks]

    def task() -> Task:
        tasks = [work.blocks.task() for work in works]
        return Task(
            partial(_one_of, [one.compute for one in tasks]), all(one.in_threads for one in tasks),
            max(one.memory for one in tasks),
        )  # fmt: skip

    first = works[0].blocks
    computed_chunks(ChunkedWork(task, first.kind, first.message), keys, blocks, store, report)


def _one_of(computes: list[Callable[[Any], Any]], block: tuple[int, NDArray[np.bool_]]) -> Any:
    number, masks = block
    return computes[number](masks)


class SuiteEstimator(Estimator):
    """An estimator whose tasks, targets and measures are those of a suite of samples.

    Attributes
    ----------
    suite : TaskSuite
    objective : Objective
        Of the suite.
    task_weights : tuple of float, optional
        As given; None where tasks are weighed as the suite says.
    """

    suite: TaskSuite
    objective: Objective
    task_weights: tuple[float, ...] | None

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the suite's tasks."""
        return self.suite.task_names

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the suite's targets."""
        return self.suite.target_names

    @property
    def measures(self) -> Sequence[Measure]:
        """Those of the objective."""
        return self.objective.measures_for(self.objective.outputs)

    @property
    def target_weights(self) -> Sequence[float] | None:
        """As the suite says: None, or the number of test samples of each target."""
        return self.suite.targets.sizes if self.suite.target_weighting == BY_SIZE else None

    def weighing(self) -> dict[str, Any]:
        """How tasks and targets are weighed and how many samples each has, for the metadata of outcomes."""
        suite = self.suite
        given = {"task_weights": list(self.task_weights)} if self.task_weights else {}
        return given | {
            **({} if given else {"task_weighting": suite.task_weighting}), "task_sizes": list(suite.tasks.sizes),
            "target_weighting": suite.target_weighting, "target_sizes": list(suite.targets.sizes),
        }  # fmt: skip
