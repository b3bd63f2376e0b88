"""Does a prediction agree with what the model says on fresh queries? Measured means, their intervals, the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isfinite, nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.results import interval_quantile

Verdict = Literal["agrees", "lower", "higher", "unknown"]


@dataclass(frozen=True)
class MeasuredMean:
    """A mean loss and its uncertainty.

    Parameters
    ----------
    mean : float
        In nats; lower is better.
    margin : float
        Half of its 90% interval; NaN where one query, or one order that stands for many, tells nothing of it.
    query_margin : float
        What the choice of queries has in it.
    queries : int
    """

    mean: float
    margin: float
    query_margin: float
    queries: int


def measured_mean(losses: ArrayLike, of: float, *, first_is_chosen: bool = False) -> MeasuredMean:
    """Estimate a prompt's mean loss over all its orders and over all queries that there could be.

    Also the mean over prompts, where these were drawn at random: each row is a prompt then.

    Parameters
    ----------
    losses : array-like, shape (n, q)
        Of different orders on each query.
    of : float
        How many orders there are: k!, or 1 where the mean is of this one order alone. Infinity for independent draws.
    first_is_chosen : bool
        Whether only the others were drawn at random. The first then stands for itself alone.

    Returns
    -------
    MeasuredMean
        Its margin is sqrt(t² s_q² / q + t² s_o² / n (1 - n / of)), with Student's t for each part: s_q is the
        deviation over queries of their mean over orders, s_o that over orders of their mean over queries.

    Raises
    ------
    InputError
        No order that was drawn at random, more orders than there are, no query, or losses that are not finite.

    References
    ----------
    Cochran (1977), Sampling techniques: the mean of a draw without replacement.
    """
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise InputError(
            "losses", f"shape {table.shape}", "(orders, queries), finite", "Give one row for each order."
        )
    if first_is_chosen and of == 1:
        first_is_chosen = False  # the only order there is
    own = 1 / of if first_is_chosen else 0.0
    drawn, among = (table[1:], of - 1) if first_is_chosen else (table, of)
    if not 1 <= len(drawn) <= among:
        raise InputError("orders", f"{len(drawn)} drawn", f"1 to {among:.0f}", "Give different orders of one prompt.")
    by_query = own * table[0] + (1 - own) * drawn.mean(axis=0)
    query_margin = _margin(by_query)
    left = sqrt(1 - len(drawn) / among)
    order_margin = (1 - own) * _margin(drawn.mean(axis=1)) * left if left else 0.0
    return MeasuredMean(float(by_query.mean()), hypot(query_margin, order_margin), query_margin, len(by_query))


def verdict(predicted: float, margin: float, measured: MeasuredMean, fitted_queries: int | None) -> Verdict:
    """Say whether the measured loss is where it was predicted, but for chance.

    A right prediction is called wrong in 10% of cases or fewer.

    Parameters
    ----------
    predicted, margin : float
        Loss of the same prompt, in the same order or over all orders as `measured`, and half of its 90% interval.
    measured : MeasuredMean
        On fresh queries.
    fitted_queries : int, optional
        How many the surrogate was fitted to, where the prediction is for these: others could have been drawn then,
        too. None where the margin is that of the mean over fresh queries already.

    Returns
    -------
    {"agrees", "lower", "higher", "unknown"}
        Where the measured loss is; "unknown" where a margin is.
    """
    if fitted_queries is None:
        of_orders = sqrt(max(measured.margin**2 - measured.query_margin**2, 0.0))
        reach = hypot(margin, of_orders) if isfinite(measured.margin) else nan
    else:
        of_fitted = measured.query_margin * sqrt(measured.queries / fitted_queries)
        reach = hypot(margin, measured.margin, of_fitted)
    if not isfinite(reach):
        return "unknown"
    if abs(measured.mean - predicted) <= reach:
        return "agrees"
    return "lower" if measured.mean < predicted else "higher"


def _margin(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Half of the 90% interval of a mean of independent values."""
    n = len(values)
    return interval_quantile(n - 1) * float(values.std(ddof=1)) / sqrt(n) if n > 1 else nan
