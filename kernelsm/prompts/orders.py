"""Outcomes of single orders of prompts, kept beside the table of their means."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.limits import limits
from kernelsm.files.npz import ArrayFormat, read_arrays
from kernelsm.outcomes.repeated_rows import rows_agree
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, tolerance_of

logger = logging.getLogger(__name__)
FEWEST_ORDERS, ENOUGH_ORDERS = 2, 6
"""One order gives no estimate of its noise; beyond six, more subsets are the better use of the time."""
_FEWEST_SUBSETS = 3
_LARGE = 12
_LAYOUT = {"orders": ArrayFormat((2,), "iu", np.int64), "values": ArrayFormat((2,), "f", np.float64)}
_RIGHT = {"right": ArrayFormat((1,), "f", np.float64)}
"""Where it is known; files from before have it not."""


@dataclass(frozen=True, eq=False)
class OrderedOutcomes:
    """Outcomes of ordered prompts.

    Parameters
    ----------
    orders : ndarray of int, shape (rows, k)
        Candidates as they stand in each prompt.
    values : ndarray of float, shape (rows, q)
        Outcome of each prompt on each query (loss in nats: lower is better).
    right : ndarray of float, shape (rows,), optional
        Share of the queries that each prompt answers right; None where it is not known.
    """

    orders: NDArray[np.int64]
    values: NDArray[np.float64]
    right: NDArray[np.float64] | None = None

    def by_subset(self) -> list[NDArray[np.float64]]:
        """Return the outcomes of each subset's orders, shape (orders, q) each, in the order in which subsets come.

        An order that stands there again, as where a subset was drawn twice, counts once.
        """
        rows: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
        for row, order in enumerate(map(tuple, self.orders.tolist())):
            rows.setdefault(tuple(sorted(order)), {}).setdefault(order, row)
        return [self.values[list(subset_rows.values())] for subset_rows in rows.values()]

    def of_subsets(self, masks: NDArray[np.bool_]) -> OrderedOutcomes:
        """Return the prompts whose demonstrations are among these subsets, shape (m, K)."""
        rows = np.arange(len(self.orders))[:, None]
        held = np.zeros((len(self.orders), max(masks.shape[1], int(self.orders.max(initial=-1)) + 1)), dtype=bool)
        held[rows, self.orders] = True
        known = {mask.tobytes() for mask in np.asarray(masks, dtype=bool)}
        kept = [not row[masks.shape[1] :].any() and row[: masks.shape[1]].tobytes() in known for row in held]
        return self._of_rows(np.flatnonzero(kept))

    def noise(self) -> NDArray[np.float64] | None:
        """Estimate the noise of the means over these orders, see `order_noise`."""
        return order_noise(self.by_subset(), self.orders.shape[1])

    def needed(self) -> int:
        """Return how many orders of each subset these advise, see `orders_needed`."""
        return orders_needed(self.by_subset(), self.orders.shape[1])

    def of(self, masks: NDArray[np.bool_]) -> OrderedOutcomes:
        """Return the rows whose candidates are one of these subsets, shape (m, K)."""
        subsets = {tuple(np.flatnonzero(mask).tolist()) for mask in masks}
        rows = [row for row, order in enumerate(self.orders.tolist()) if tuple(sorted(order)) in subsets]
        return self._of_rows(np.array(rows, dtype=np.intp))

    def _of_rows(self, rows: NDArray[np.intp]) -> OrderedOutcomes:
        right = None if self.right is None else self.right[rows]
        return OrderedOutcomes(self.orders[rows], self.values[rows], right)


def orders_there_are(size: int) -> int:
    """Return the number of orders of `size` demonstrations, capped at that of 12: more than anyone asks for."""
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
    pairs = [(values, possible) for values, possible in zip(by_subset, there_are, strict=True) if len(values) > 1]
    if not pairs:
        return None
    repeated = [values for values, _ in pairs]
    shrink = np.mean([1 / len(values) - 1 / possible for values, possible in pairs])
    deviations = np.concatenate([values - values.mean(axis=0) for values in repeated])
    degrees_of_freedom = sum(
        len(values) - 1 for values in repeated
    )  # degrees of freedom of the noise of a single order
    if len(deviations) > deviations.shape[1]:
        deviations = np.asarray(np.linalg.qr(deviations, mode="r"))  # the same products in fewer rows
    return np.asarray(deviations * np.sqrt(shrink / degrees_of_freedom))


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
    means = [values.mean(axis=1) for values in by_subset if len(values) > 1]
    if len(means) < _FEWEST_SUBSETS:
        return fewest
    within, between = _variances(means, there_are)
    # the fewest n with within * (1/n - 1/k!) <= between
    enough = within / (between + within / there_are) if within > 0 else 0.0
    # a whole number that rounding has raised is not the next one
    return min(max(fewest, int(np.ceil(enough * (1 - NEAR)))), most)


def with_noise(outcomes: Outcomes, ordered: OrderedOutcomes | None) -> Outcomes:
    """Return a table with its noise estimated from single orders; unchanged where these are not known."""
    if ordered is None or ordered.values.shape[1] != outcomes.q:
        return outcomes
    noise = ordered.noise()
    if noise is not None and not noise.any() and not rows_agree(outcomes.masks.astype(np.float64), outcomes.values):
        return outcomes  # all orders were tried, and still a prompt that was asked twice has two losses
    return replace(outcomes, noise=noise)


def save_orders(outcomes: OrderedOutcomes, path: Path) -> None:
    """Write single-order outcomes, values in single precision; a whole file or none."""
    with write_whole(path) as unfinished, unfinished.open("wb") as file:
        orders, values = outcomes.orders.astype(np.int32), outcomes.values.astype(np.float32)
        if outcomes.right is None:
            np.savez_compressed(file, orders=orders, values=values)
        else:
            np.savez_compressed(file, orders=orders, values=values, right=outcomes.right.astype(np.float32))


def load_orders(path: Path) -> OrderedOutcomes | None:
    """Return single-order outcomes; None where the file is missing or, with a warning in the log, damaged."""
    if not path.exists():
        return None
    try:
        outcomes = OrderedOutcomes(**_arrays(path))
        fits = len(outcomes.orders) == len(outcomes.values) > 0 and np.isfinite(outcomes.values).all()
        if outcomes.right is not None:
            fits = fits and len(outcomes.right) == len(outcomes.orders) and np.isfinite(outcomes.right).all()
    except (InputError, OSError):
        fits = False
    if not fits:
        logger.warning("the single orders in %s are damaged: ask the model again to have them anew", path.name)
        return None
    return outcomes


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_arrays(path, path.name, {**_LAYOUT, **_RIGHT}, limits())
    except InputError:  # without the answers; or damaged, as the second look says
        return read_arrays(path, path.name, _LAYOUT, limits())


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
    means = [values.mean(axis=1) for values in by_subset]
    if all(len(values) < 2 for values in means):
        return float("nan"), float("nan")
    within, between = _variances(means, orders_there_are(k))
    return float(np.sqrt(within)), float(np.sqrt(between))


def _variances(means: Sequence[NDArray[np.float64]], there_are: int) -> tuple[float, float]:
    """Variance within subsets, and between them free of it; NaN where there is one subset only."""
    repeated = [subset_means for subset_means in means if len(subset_means) > 1]
    within = sum(((subset_means - subset_means.mean()) ** 2).sum() for subset_means in repeated) / sum(
        len(subset_means) - 1 for subset_means in repeated
    )
    if within <= tolerance_of(np.concatenate(repeated)) ** 2:
        within = 0.0  # all orders do the same, but for rounding
    if len(means) == 1:
        return float(within), float("nan")
    order_noise_left = within * np.mean([1 / len(subset_means) - 1 / there_are for subset_means in means])
    return float(within), max(
        float(np.var([subset_means.mean() for subset_means in means], ddof=1) - order_noise_left), 0.0
    )
