"""Outcomes of single orders of prompts, kept beside the table of their means."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import factorial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.limits import limits
from kernelsm.files.npz import ArrayFormat, read_arrays
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, tolerance_of

logger = logging.getLogger(__name__)
FEWEST_ORDERS, ENOUGH_ORDERS = 2, 6
"""One order tells nothing of its noise; beyond six, more subsets are the better use of the time."""
_FEWEST_SUBSETS = 3
_LARGE = 12
_LAYOUT = {"orders": ArrayFormat((2,), "iu", np.int64), "values": ArrayFormat((2,), "f", np.float64)}


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
        """Return the outcomes of each subset's orders, shape (orders, q) each, in the order in which subsets come.

        An order that stands there again, as where a subset was drawn twice, counts once.
        """
        rows: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
        for row, order in enumerate(map(tuple, self.orders.tolist())):
            rows.setdefault(tuple(sorted(order)), {}).setdefault(order, row)
        return [self.values[list(some.values())] for some in rows.values()]

    def noise(self) -> NDArray[np.float64] | None:
        """Return what the orders say of the noise of their means, see `order_noise`."""
        return order_noise(self.by_subset(), self.orders.shape[1])

    def needed(self) -> int:
        """Return how many orders of each subset these advise, see `orders_needed`."""
        return orders_needed(self.by_subset(), self.orders.shape[1])

    def of(self, masks: NDArray[np.bool_]) -> OrderedOutcomes:
        """Return the rows whose candidates are one of these subsets, shape (m, K)."""
        wanted = {tuple(np.flatnonzero(mask).tolist()) for mask in masks}
        rows = [row for row, order in enumerate(self.orders.tolist()) if tuple(sorted(order)) in wanted]
        return OrderedOutcomes(self.orders[rows], self.values[rows])


def orders_there_are(size: int) -> int:
    """Return the number of orders of `size` demonstrations; from 13 on, that of 12, which nobody asks for either."""
    return factorial(min(size, _LARGE))


def order_noise(by_subset: Sequence[NDArray[np.float64]], sizes: int | Sequence[int]) -> NDArray[np.float64] | None:
    """Estimate the noise that taking few orders leaves in a subset's mean outcome.

    Orders are drawn without repetition from the k! that there are: the variance of a mean over n of them is
    S² (1/n - 1/k!), with S² the variance within a subset (Cochran, 1977, Sampling Techniques, theorem 2.2). The mean
    over all of them has no noise.

    Parameters
    ----------
    by_subset : sequence of ndarray, shape (orders, q)
        Outcomes of each subset under each of its orders, all different.
    sizes : int or sequence of int
        k, demonstrations in every subset, or in each.

    Returns
    -------
    ndarray, shape (n, q), or None
        Deviations d, at most q rows, whose d.T @ d is the covariance over targets of the noise of one subset's mean:
        S², pooled over all subsets, times the mean of 1/n - 1/k!. None where no subset has two orders.
    """
    there_are = [orders_there_are(size) for size in np.broadcast_to(sizes, len(by_subset)).tolist()]
    pairs = [(found, most) for found, most in zip(by_subset, there_are, strict=True) if len(found) > 1]
    if not pairs:
        return None
    several = [found for found, _ in pairs]
    shrink = np.mean([1 / len(found) - 1 / most for found, most in pairs])
    away = np.concatenate([found - found.mean(axis=0) for found in several])
    of_one = sum(len(found) - 1 for found in several)  # degrees of freedom of the noise of a single order
    if len(away) > away.shape[1]:
        away = np.asarray(np.linalg.qr(away, mode="r"))  # the same products in fewer rows
    return np.asarray(away * np.sqrt(shrink / of_one))


def orders_needed(by_subset: Sequence[NDArray[np.float64]], size: int) -> int:
    """Return how many orders of each subset leave at most half of the variance of mean outcomes to the order.

    Parameters
    ----------
    by_subset : sequence of ndarray, shape (orders, q)
        Outcomes of some subsets, each under two different orders or more.
    size : int
        k, demonstrations in each.

    Returns
    -------
    int
        2 to 6, but no more than the k! that there are; 2 where fewer than three subsets tell.
    """
    there_are = orders_there_are(size)
    fewest, most = min(FEWEST_ORDERS, there_are), min(ENOUGH_ORDERS, there_are)
    several = [found.mean(axis=1) for found in by_subset if len(found) > 1]
    if len(several) < _FEWEST_SUBSETS:
        return fewest
    within, between = _variances(several, there_are)
    # the fewest n with within * (1/n - 1/k!) <= between
    enough = within / (between + within / there_are) if within > 0 else 0.0
    # a whole number that rounding has raised is not the next one
    return min(max(fewest, int(np.ceil(enough * (1 - NEAR)))), most)


def with_noise(outcomes: Outcomes, ordered: OrderedOutcomes | None) -> Outcomes:
    """Return a table with what its single orders say of its noise; as it is where they are not known."""
    if ordered is None or ordered.values.shape[1] != outcomes.q:
        return outcomes
    return replace(outcomes, noise=ordered.noise())


def save_orders(found: OrderedOutcomes, path: Path) -> None:
    """Write single-order outcomes, values in single precision; a whole file or none."""
    with write_whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, orders=found.orders.astype(np.int32), values=found.values.astype(np.float32))


def load_orders(path: Path) -> OrderedOutcomes | None:
    """Return single-order outcomes; None where the file is not there, or (the log tells) is damaged."""
    if not path.exists():
        return None
    try:
        found = OrderedOutcomes(**read_arrays(path, path.name, _LAYOUT, limits()))
        fits = len(found.orders) == len(found.values) > 0 and np.isfinite(found.values).all()
    except (InputError, OSError):
        fits = False
    if not fits:
        logger.warning("the single orders in %s are damaged: ask the model again to have them anew", path.name)
        return None
    return found


def order_spreads(by_subset: Sequence[NDArray[np.float64]], k: int) -> tuple[float, float]:
    """Return how much losses differ between the orders of a subset, and between subsets in the mean over all orders.

    The measured mean of a subset holds what its few orders leave to chance, which is taken off.

    Parameters
    ----------
    by_subset : sequence of ndarray, shape (orders, q)
        Outcomes of each subset under different ones of its k! orders, drawn at random.
    k : int
        Demonstrations in each.

    Returns
    -------
    (float, float)
        Standard deviations in the outcome's unit, of the mean over queries: within subsets (NaN where none has two
        orders), and between them (NaN too where there is one subset only).
    """
    means = [found.mean(axis=1) for found in by_subset]
    if all(len(found) < 2 for found in means):
        return float("nan"), float("nan")
    within, between = _variances(means, orders_there_are(k))
    return float(np.sqrt(within)), float(np.sqrt(between))


def _variances(means: Sequence[NDArray[np.float64]], there_are: int) -> tuple[float, float]:
    """Variance within subsets, and between them free of it; NaN where there is one subset only."""
    several = [found for found in means if len(found) > 1]
    within = sum(((found - found.mean()) ** 2).sum() for found in several) / sum(len(found) - 1 for found in several)
    if within <= tolerance_of(np.concatenate(several)) ** 2:
        within = 0.0  # all orders do the same, but for rounding
    if len(means) == 1:
        return float(within), float("nan")
    left = within * np.mean([1 / len(found) - 1 / there_are for found in means])
    return float(within), max(float(np.var([found.mean() for found in means], ddof=1) - left), 0.0)
