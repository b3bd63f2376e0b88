"""What all estimators share: a table of outcomes made block by block, each block kept by the store."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.tasks.suite import TaskSuite


class Estimator(Protocol):
    """A way to get F(s)."""

    def outcomes(self, masks: NDArray[np.bool_], *, store: Store | None = None, report: Report = silent) -> Outcomes:
        """Estimate the outcome of each mask."""


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


def outcomes_by_block(
    suite: TaskSuite,
    masks: NDArray[np.bool_],
    solve: Callable[..., NDArray[np.float64]],
    key: tuple[Any, ...],
    heavy: dict[str, Any],
    *,
    block: int,
    measure: str,
    store: Store | None,
    report: Report,
    message: str,
    meta: dict[str, Any],
) -> Outcomes:
    """Call `solve(masks of a block, *key, **heavy)` for each block and join the (m, 3, q) results.

    `key` must name everything that the result depends on besides the masks; `heavy` brings it in. Every block holds
    all `MEASURES`: asking for another one computes nothing again.
    """
    from kernelsm.outcomes.measures import UNITS, check_measure  # needs torch, which samplers and tables do not

    place = check_measure(measure)
    masks = np.asarray(masks)
    if masks.ndim != 2 or masks.shape[1] != suite.K or not len(masks):
        raise InputError("masks", f"shape {masks.shape}", f"(m, {suite.K})", "One column per task of the suite.")
    if masks.dtype != np.bool_:
        raise InputError("masks", f"type {masks.dtype}", "bool", "Write masks.astype(bool).")
    starts = range(0, len(masks), block)
    values = []
    for done, start in enumerate(starts, start=1):
        part = masks[start : start + block]
        if store is None:
            found, reused = solve(part, *key, **heavy), False
        else:
            before = store.reused
            found = store.call(solve, part, *key, heavy=heavy)
            reused = store.reused > before
        values.append(found[:, place])
        report(done, len(starts), message, reused=reused)
    return Outcomes(
        masks, np.concatenate(values), task_names=suite.task_names, target_names=suite.target_names,
        higher_is_better=measure != "loss", meta={**meta, "measure": measure, "unit": UNITS[measure]},
    )  # fmt: skip
