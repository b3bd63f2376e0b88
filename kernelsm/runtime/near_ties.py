"""Choices, orders and ranks of computed numbers that do not depend on their last bits.

Processors add up in different orders, so numbers that are equal on paper come out a few bits apart, and differently
on another machine. The functions here treat numbers that differ by rounding alone as equal, and decide between them
by their index. Real differences are far larger than rounding; few lie at the edge between the two.
"""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEAR = 1e-9
"""Numbers that differ by less than this share of their size differ by rounding."""
_LAST_BITS = 1e-13
"""The same for numbers that were read or added up, but not solved for."""

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@overload
def first_least(values: ArrayLike, *, tolerance: float | Array | None = None, axis: None = None) -> int: ...


@overload
def first_least(values: ArrayLike, *, tolerance: float | Array | None = None, axis: int) -> Indices: ...


def first_least(
    values: ArrayLike, *, tolerance: float | Array | None = None, axis: int | None = None
) -> int | Indices:
    """Return the first index whose value is the least up to rounding.

    Parameters
    ----------
    values : array-like
        NaN is never the least. Without `axis` the index is into the flattened values.
    tolerance : float or ndarray, optional
        Values within it of the least count as equal to it; by default a billionth of the largest magnitude.
    axis : int, optional

    Examples
    --------
    >>> first_least([0.3, 0.1 + 0.2, 0.5])
    0
    >>> first_least([0.1 + 0.2, 0.3, 0.5])
    0
    """
    found = np.asarray(values, dtype=np.float64)
    found = np.where(np.isnan(found), np.inf, found)
    margin = tolerance_of(found) if tolerance is None else tolerance
    near = found <= found.min(axis=axis, keepdims=True) + margin
    return int(near.argmax()) if axis is None else near.argmax(axis=axis)


@overload
def first_greatest(values: ArrayLike, *, tolerance: float | Array | None = None, axis: None = None) -> int: ...


@overload
def first_greatest(values: ArrayLike, *, tolerance: float | Array | None = None, axis: int) -> Indices: ...


def first_greatest(
    values: ArrayLike, *, tolerance: float | Array | None = None, axis: int | None = None
) -> int | Indices:
    """Return the first index whose value is the greatest up to rounding; arguments as for `first_least`."""
    return first_least(-np.asarray(values, dtype=np.float64), tolerance=tolerance, axis=axis)


def rising(values: ArrayLike, *, tolerance: float | None = None) -> Indices:
    """Return the order from the least value to the greatest; values equal up to rounding are ordered by index.

    Parameters
    ----------
    values : array-like, shape (n,)
        NaN comes last.
    tolerance : float, optional
        Neighbours in the order that are no farther apart count as equal; by default a billionth of the largest
        magnitude.

    Returns
    -------
    ndarray of int, shape (n,)

    Examples
    --------
    >>> rising([0.5, 0.1 + 0.2, 0.3, 0.1]).tolist()
    [3, 1, 2, 0]
    """
    found = np.asarray(values, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    margin = tolerance_of(found) if tolerance is None else tolerance
    group = np.zeros(len(found), dtype=np.intp)
    with np.errstate(invalid="ignore"):  # infinite values are apart from each other
        group[1:] = np.cumsum(~(np.diff(found[order]) <= margin))
    return np.asarray(order[np.lexsort((order, group))])


def tolerance_of(values: ArrayLike) -> float:
    """Return a billionth of the largest finite magnitude: differences that are no larger are rounding."""
    found = np.abs(np.asarray(values, dtype=np.float64))
    return NEAR * float(found.max(initial=0.0, where=np.isfinite(found)))


def mean_ranks(values: ArrayLike) -> Array:
    """Rank each column from 1 up; values that are equal up to rounding share their mean rank.

    The tolerance is a billionth of the width of the middle half of a column, which outliers do not widen, and a few
    bits of the values themselves.

    Parameters
    ----------
    values : array-like, shape (m,) or (m, q)
        Finite.

    Returns
    -------
    ndarray
        Of the same shape.

    Examples
    --------
    >>> mean_ranks([0.3, 0.5, 0.1 + 0.2, 0.1]).tolist()
    [2.5, 4.0, 2.5, 1.0]
    """
    found = np.asarray(values, dtype=np.float64)
    if not len(found):
        return np.zeros(found.shape)
    order = np.argsort(found, axis=0)
    placed = np.take_along_axis(found, order, axis=0)
    middle = placed[(3 * len(found)) // 4] - placed[len(found) // 4]
    few_bits = _LAST_BITS * np.maximum(np.abs(placed[1:]), np.abs(placed[:-1]))
    apart = np.diff(placed, axis=0) > NEAR * middle + few_bits
    place = np.arange(len(found), dtype=np.float64).reshape(-1, *[1] * (found.ndim - 1))
    edge = np.ones((1, *found.shape[1:]), dtype=np.bool_)
    # each value's group begins at the last edge before it and ends before the next one
    first = np.maximum.accumulate(np.where(np.concatenate([edge, apart]), place, 0.0), axis=0)
    ends = np.where(np.concatenate([apart, edge]), place, np.inf)
    last = np.minimum.accumulate(ends[::-1], axis=0)[::-1]
    ranks = np.empty(found.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=0)
    return ranks


def varies(values: ArrayLike) -> NDArray[np.bool_]:
    """Return which columns vary by more than the rounding of their numbers.

    Parameters
    ----------
    values : array-like, shape (m,) or (m, q)

    Returns
    -------
    ndarray of bool, shape () or (q,)

    Examples
    --------
    >>> bool(varies([0.3, 0.1 + 0.2]))
    False
    """
    found = np.asarray(values, dtype=np.float64)
    return np.asarray(np.ptp(found, axis=0) > _LAST_BITS * np.abs(found).max(axis=0))
