"""Outcomes of single orders of prompts, kept beside the table of their means."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.runs import is_run
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.store import cache_root

logger = logging.getLogger(__name__)
FINISHED = Path(__file__).parent / "finished"
FEWEST_ORDERS, ENOUGH_ORDERS = 2, 6
"""One order tells nothing of its noise; beyond six, more subsets are the better use of the time."""
_FEWEST_SUBSETS = 3


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

    def by_subset(self) -> list[NDArray[np.float64]]:
        """Return the outcomes of each subset's orders, shape (orders, q) each, in the order in which subsets come."""
        rows: dict[tuple[int, ...], list[int]] = {}
        for row, order in enumerate(self.orders.tolist()):
            rows.setdefault(tuple(sorted(order)), []).append(row)
        return [self.values[some] for some in rows.values()]

    def noise(self) -> NDArray[np.float64] | None:
        """Return what the orders say of the noise of their means, see `order_noise`."""
        return order_noise(self.by_subset())

    def of(self, masks: NDArray[np.bool_]) -> OrderedOutcomes:
        """Return the rows whose candidates are one of these subsets, shape (m, K)."""
        wanted = {tuple(np.flatnonzero(mask).tolist()) for mask in masks}
        rows = [row for row, order in enumerate(self.orders.tolist()) if tuple(sorted(order)) in wanted]
        return OrderedOutcomes(self.orders[rows], self.values[rows])


def order_noise(by_subset: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """Estimate the noise that taking few orders leaves in a subset's mean outcome.

    Parameters
    ----------
    by_subset : sequence of ndarray, shape (orders, q)
        Outcomes of each subset under each of its orders.

    Returns
    -------
    ndarray, shape (n, q), or None
        Deviations d, at most q rows, whose d.T @ d is the covariance over targets of the noise of one subset's mean:
        that within subsets, pooled over all, over the number of orders. None where no subset has two orders.
    """
    several = [found for found in by_subset if len(found) > 1]
    if not several:
        return None
    away = np.concatenate([found - found.mean(axis=0) for found in several])
    of_one = sum(len(found) - 1 for found in several)  # degrees of freedom of the noise of a single order
    shrink = np.mean([1 / len(found) for found in several])
    if len(away) > away.shape[1]:
        away = np.asarray(np.linalg.qr(away, mode="r"))  # the same products in fewer rows
    return np.asarray(away * np.sqrt(shrink / of_one))


def orders_needed(by_subset: Sequence[NDArray[np.float64]]) -> int:
    """Return how many orders of each subset leave at most half of the variance of mean outcomes to the order.

    Parameters
    ----------
    by_subset : sequence of ndarray, shape (orders, q)
        Outcomes of some subsets, each under two orders or more.

    Returns
    -------
    int
        2 to 6; 2 where fewer than three subsets tell.
    """
    several = [found.mean(axis=1) for found in by_subset if len(found) > 1]
    if len(several) < _FEWEST_SUBSETS:
        return FEWEST_ORDERS
    within = sum(((found - found.mean()) ** 2).sum() for found in several) / sum(len(found) - 1 for found in several)
    left = within * np.mean([1 / len(found) for found in several])
    between = max(float(np.var([found.mean() for found in several], ddof=1) - left), 0.0)
    if within >= ENOUGH_ORDERS * between:
        return ENOUGH_ORDERS if within > 0 else FEWEST_ORDERS
    return max(FEWEST_ORDERS, int(np.ceil(within / between)))


def with_noise(outcomes: Outcomes, ordered: OrderedOutcomes | None) -> Outcomes:
    """Return a table with what its single orders say of its noise; as it is where they are not known."""
    if ordered is None or ordered.values.shape[1] != outcomes.q:
        return outcomes
    return replace(outcomes, noise=ordered.noise())


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
