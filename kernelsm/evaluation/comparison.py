"""Paired comparison of two surrogates on the same held-out subsets, with an interval of the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.outcomes.rank_correlation import centred_ranks
from kernelsm.runtime.checks import check_choice, check_probability
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import tolerance_of, varies

Array = NDArray[np.float64]
Score = Literal["lds", "relative_error"]


@dataclass(frozen=True)
class PairedGain:
    """Score of one prediction minus the score of another, on the same subsets.

    Parameters
    ----------
    gain : float
        First minus second.
    low, high : float
        Ends of its interval: what another draw of held-out subsets could have given. NaN with fewer than 3 subsets.
    first, second : float
        The two scores.
    """

    gain: float
    low: float
    high: float
    first: float
    second: float

    @property
    def is_clear(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def paired_gain(
    truth: ArrayLike, first: ArrayLike, second: ArrayLike, score: Score = "lds", *, level: float = 0.9
) -> PairedGain:
    """Compare two predictions of the same subsets.

    Parameters
    ----------
    truth, first, second : array-like, shape (m, q) or (m,)
        Outcomes of the held-out subsets and the two predictions; where these differ by rounding alone, neither gains.
    score : {"lds", "relative_error"}
        See `kernelsm.evaluation.metrics`.
    level : float
        Of the interval: the jackknife's over subsets, with Student's t. It says how far the difference depends on
        which subsets were held out, for these two fits. For LDS the ranks are those among all held-out subsets.

    References
    ----------
    Efron and Stein (1981), The jackknife estimate of variance.
    """
    tables = [np.asarray(table, dtype=np.float64) for table in (truth, first, second)]
    if not tables[0].shape == tables[1].shape == tables[2].shape:
        found = f"shapes {tables[1].shape} and {tables[2].shape}"
        raise InputError("predictions", found, f"{tables[0].shape}, as the truth", "Predict the same subsets.")
    check_choice("score", score, _SCORES)
    check_probability("level", level, fix="0.9 is usual.")
    measure, without = _SCORES[score]
    tables[2] = np.where(np.abs(tables[2] - tables[1]) <= tolerance_of(tables[0]), tables[1], tables[2])
    scores = measure(truth, tables[1]), measure(truth, tables[2])
    truth_table, first_table, second_table = (table.reshape(len(table), -1) for table in tables)
    gain = scores[0] - scores[1]
    m = len(truth_table)
    if m < 3 or not np.isfinite(gain):
        return PairedGain(gain, np.nan, np.nan, *scores)
    jackknifed = without(truth_table, first_table) - without(truth_table, second_table)
    margin = float(t.ppf((1 + level) / 2, m - 1) * np.sqrt((m - 1) * jackknifed.var()))
    return PairedGain(gain, gain - margin, gain + margin, *scores)


def _lds_without(truth: Array, predicted: Array) -> Array:
    """Mean over targets of the rank correlation without each row, shape (m,)."""
    m = len(truth)
    varied = varies(truth)
    true_ranks, predicted_ranks = (centred_ranks(table[:, varied]) for table in (truth, predicted))
    # sums over the others, less what their mean has moved by
    share = m / (m - 1)
    both = (true_ranks * predicted_ranks).sum(axis=0) - share * true_ranks * predicted_ranks
    left = [np.maximum((side**2).sum(axis=0) - share * side**2, 0.0) for side in (true_ranks, predicted_ranks)]
    size = np.sqrt(left[0] * left[1])
    return np.asarray(np.where(size > 0, both / np.where(size > 0, size, 1.0), 0.0).mean(axis=1))


def _error_without(truth: Array, predicted: Array) -> Array:
    """Relative error without each row, shape (m,)."""
    missed, scale = np.abs(predicted - truth).sum(axis=1), np.abs(truth).sum(axis=1)
    rest = scale.sum() - scale
    return np.asarray(np.where(rest > 0, (missed.sum() - missed) / np.where(rest > 0, rest, 1.0), 0.0))


_SCORES = {"lds": (lds, _lds_without), "relative_error": (relative_error, _error_without)}
