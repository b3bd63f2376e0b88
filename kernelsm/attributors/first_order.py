"""What first-order methods on networks or features share: slopes dF/dα, kept by the store, then effects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from kernelsm.attributors.attributor import Array, Attributor, effects_of
from kernelsm.attributors.task_losses import TaskLosses
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.surrogates.results import Attribution

SLOPE_CHUNKS = ChunkKind("attribution_slopes", version=1)
BASELINE_CHUNKS = ChunkKind("attribution_baselines", version=1)


class FirstOrder(Attributor):
    """Methods that find D = dF/dα, the slope of each target's loss by the weight of each task.

    Parameters
    ----------
    losses : TaskLosses
        A network's, or those of the model linear in gradient features.
    centred : bool
        Whether weight that a task leaves behind goes to the others, as where the training loss is a mean over tasks.

    Attributes
    ----------
    losses : TaskLosses
    """

    def __init__(self, losses: TaskLosses, *, centred: bool = True) -> None:
        self.losses, self.centred = losses, centred
        self._found: Attribution | None = None

    @property
    def task_names(self) -> Sequence[str]:
        """Names of the K tasks."""
        return self.losses.task_names

    @property
    def target_names(self) -> Sequence[str]:
        """Names of the q targets."""
        return self.losses.target_names

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {"where": self.losses.where, "centred": self.centred}

    @abstractmethod
    def _slopes(self, store: Store | None, report: Report) -> Array:
        """D, shape (K, q)."""

    def slopes(self, *, store: Store | None = None, report: Report = silent) -> Array:
        """Return D = dF/dα, shape (K, q), in nats by unit of weight; from the store where it is there."""
        if store is None:
            found = self._slopes(None, report)
        else:
            before = store.reused
            key = (self.name, *self.losses.key, sorted((k, v) for k, v in self.settings().items() if k != "centred"))
            found = store.chunk(SLOPE_CHUNKS, key, lambda: self._slopes(store, report))
            report(1, 1, self.title, reused=store.reused > before)
        return np.asarray(found)

    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Return first-order F(with) - F(without) of each task, shape (K, q), in nats."""
        if self._found is None:
            slopes = self.slopes(store=store, report=report)
            shares = self.losses.shares.double().numpy()
            self._found = Attribution(
                effects_of(slopes, shares, centred=self.centred), tuple(self.task_names), tuple(self.target_names),
                meta={"readout": self.name, **self.settings()},
            )  # fmt: skip
        return self._found

    def baseline(self) -> Array:
        """Loss of each target where the method looks, shape (q,)."""
        with torch.no_grad():
            return np.asarray(self.losses.target_losses(self.losses.at).double().numpy())
