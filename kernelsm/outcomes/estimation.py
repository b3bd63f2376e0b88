"""What all estimators share: a table of outcomes made block by block, each block kept by the store."""

from __future__ import annotations

from collections.abc import Callable
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


def outcomes_by_block(
    suite: TaskSuite,
    masks: NDArray[np.bool_],
    solve: Callable[..., NDArray[np.float64]],
    key: tuple[Any, ...],
    heavy: dict[str, Any],
    *,
    block: int,
    store: Store | None,
    report: Report,
    message: str,
    meta: dict[str, Any],
) -> Outcomes:
    """Call `solve(masks of a block, *key, **heavy)` for each block and join the (m, q) results.

    `key` must name everything that the result depends on besides the masks; `heavy` brings it in.
    """
    if masks.ndim != 2 or masks.shape[1] != suite.K:
        raise InputError("masks", f"shape {masks.shape}", f"(m, {suite.K})", "One column per task of the suite.")
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
        values.append(found)
        report(done, len(starts), message, reused=reused)
    return Outcomes(
        masks, np.concatenate(values), task_names=suite.task_names, target_names=suite.target_names, meta=meta
    )
