"""How well a method's effects agree with measured leave-one-out: target by target, in their mean, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from kernelsm.evaluation.leave_one_out import effect_correlations
from kernelsm.runtime.near_ties import first_least

_FEWEST = 4  # tasks of which one can be left out at a time


@dataclass(frozen=True)
class LeaveOneOutAgreement:
    """Correlation over tasks of effects with those that leaving tasks out really had.

    Parameters
    ----------
    per_target : ndarray, shape (q,)
        NaN where all true effects of a target are equal.
    mean : float
        Over the targets.
    low, high : float
        90 % interval of the mean by the jackknife over tasks: how far it depends on which tasks there are. NaN with
        fewer than 4 tasks.
    of_mean : float
        Correlation of the effects on the mean over targets, where what single targets have of their own cancels.
    """

    per_target: NDArray[np.float64]
    mean: float
    low: float
    high: float
    of_mean: float

    @property
    def least(self) -> int | None:
        """Position of the target with the lowest correlation; None where no target has one."""
        known = np.flatnonzero(~np.isnan(self.per_target))
        return int(known[first_least(self.per_target[known])]) if len(known) else None

    def to_json(self) -> dict[str, Any]:
        """JSON types; None stands for NaN."""
        numbers = {"mean": self.mean, "low": self.low, "high": self.high, "of_mean": self.of_mean}
        return {
            **{name: _written(value) for name, value in numbers.items()},
            "per_target": [_written(value) for value in self.per_target],
        }


def leave_one_out_agreement(truth: ArrayLike, found: ArrayLike, *, level: float = 0.9) -> LeaveOneOutAgreement:
    """Compare effects with measured leave-one-out.

    Parameters
    ----------
    truth, found : array-like, shape (K, q)
        F(with) - F(without) of K tasks.
    level : float
        Of the interval.

    Examples
    --------
    >>> from kernelsm.evaluation.leave_one_out_agreement import leave_one_out_agreement
    >>> true, found = [[1.0, 3.0], [2.0, 1.0], [4.0, 2.0]], [[2.0, 3.0], [3.0, 2.0], [5.0, 1.0]]
    >>> agreement = leave_one_out_agreement(true, found)
    >>> agreement.per_target.round(6).tolist(), round(agreement.mean, 6)
    ([1.0, 0.5], 0.75)
    """
    true, guess = np.asarray(truth, dtype=np.float64), np.asarray(found, dtype=np.float64)
    per_target = effect_correlations(true, guess)
    K, mean = len(true), _mean(per_target)
    low = high = np.nan
    if K >= _FEWEST:
        kept = ~np.eye(K, dtype=np.bool_)
        jackknifed = np.array([_mean(effect_correlations(true[rows], guess[rows])) for rows in kept])
        margin = float(t.ppf((1 + level) / 2, K - 1) * np.sqrt((K - 1) * jackknifed.var()))
        low, high = mean - margin, min(1.0, mean + margin)
    together = effect_correlations(true.mean(axis=1, keepdims=True), guess.mean(axis=1, keepdims=True))
    return LeaveOneOutAgreement(per_target, mean, low, high, float(together[0]))


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _written(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
