"""Outcomes of single orders of prompts, kept beside the table of their means."""

from __future__ import annotations

import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.runs import is_run
from kernelsm.runtime.store import cache_root

logger = logging.getLogger(__name__)
FINISHED = Path(__file__).parent / "finished"


@dataclass(frozen=True, eq=False)
class OrderedOutcomes:
    """Outcomes of ordered prompts.

    Parameters
    ----------
    orders : ndarray of int, shape (rows, k)
        Candidates as they stand in each prompt.
    values : ndarray of float, shape (rows, q)
        Outcome of each prompt on each query (loss in nats: lower is better).
    """

    orders: NDArray[np.int64]
    values: NDArray[np.float64]

    def of(self, masks: NDArray[np.bool_]) -> OrderedOutcomes:
        """Return the rows whose candidates are one of these subsets, shape (m, K)."""
        wanted = {tuple(np.flatnonzero(mask).tolist()) for mask in masks}
        rows = [row for row, order in enumerate(self.orders.tolist()) if tuple(sorted(order)) in wanted]
        return OrderedOutcomes(self.orders[rows], self.values[rows])


def save_orders(found: OrderedOutcomes, path: Path) -> None:
    """Write single-order outcomes, values in single precision; a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part.npz")
    np.savez_compressed(part, orders=found.orders.astype(np.int32), values=found.values.astype(np.float32))
    part.replace(path)


def orders_path(run: str, root: Path | None = None) -> Path:
    """Where the single orders of a kept run, or of a built-in prompt task, are."""
    home = (root or cache_root()) / "runs" if is_run(run) else FINISHED
    return home / f"{run}.orders.npz"


def load_orders(run: str, root: Path | None = None) -> OrderedOutcomes | None:
    """Return the single orders of a run; None where there are none, or (the log tells) they are damaged."""
    path = orders_path(run, root)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            orders, values = file["orders"].astype(np.int64), file["values"].astype(np.float64)
        fits = orders.ndim == values.ndim == 2 and len(orders) == len(values) > 0 and np.isfinite(values).all()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        fits = False
    if not fits:
        logger.warning("the single orders of run %s are damaged: ask the model again to have them anew", run)
        return None
    return OrderedOutcomes(orders, values)
