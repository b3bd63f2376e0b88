"""Whether two lists of effects have the same order: Spearman's correlation with an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from kernelsm.outcomes.rank_correlation import rank_correlation
from kernelsm.runtime.checks import check_probability
from kernelsm.runtime.errors import InputError

_FEWEST = 4


@dataclass(frozen=True)
class RankAgreement:
    """Rank correlation of two lists.

    Parameters
    ----------
    correlation : float
        Spearman's, between -1 and 1; NaN where one of the lists is constant.
    low, high : float
        Ends of its interval: what other tasks of the same kind could have given. NaN with fewer than 4 tasks.
    """

    correlation: float
    low: float
    high: float


def rank_agreement(first: ArrayLike, second: ArrayLike, *, level: float = 0.9) -> RankAgreement:
    """Return the rank correlation of two lists, shape (n,) each, with its interval.

    Of the correlation's inverse hyperbolic tangent the standard error is about √((1 + ρ²/2) / (n - 3)). A correlation
    of 1 has none; it is taken half a step of one exchange of neighbours below 1.

    Raises
    ------
    InputError
        The lists are not of one length.

    References
    ----------
    Bonett and Wright (2000), Sample size requirements for estimating Pearson, Kendall and Spearman correlations.

    Examples
    --------
    >>> agreement = rank_agreement([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 5.0, 4.0])
    >>> round(agreement.correlation, 6), agreement.low < 0.9 < agreement.high
    (0.9, True)
    """
    check_probability("level", level, fix="0.9 is usual.")
    sides = [np.asarray(side, dtype=np.float64) for side in (first, second)]
    if sides[0].shape != sides[1].shape or sides[0].ndim != 1 or not len(sides[0]):
        found = f"shapes {sides[0].shape} and {sides[1].shape}"
        raise InputError("effects", found, "two lists of one length", "Match the tasks first.")
    n = len(sides[0])
    correlation = float(rank_correlation(sides[0][:, None], sides[1][:, None])[0])
    if n < _FEWEST or math.isnan(correlation):
        return RankAgreement(correlation, math.nan, math.nan)
    most = 1 - 6 / (n**3 - n)
    bounded = min(max(correlation, -most), most)
    margin = float(norm.ppf((1 + level) / 2)) * math.sqrt((1 + bounded**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(bounded) + side) for side in (-margin, margin))
    return RankAgreement(correlation, min(low, correlation), max(high, correlation))
