"""Scores of answers on held-out truth, and paired intervals of their differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from kernelsm.evaluation.comparison import _lds_without
from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.runtime.near_ties import varies

Array = NDArray[np.float64]
LEVEL = 0.9


def r_squared(truth: Array, predicted: Array) -> float:
    """Mean over targets that vary of 1 - squared error / squared distance from the target's mean."""
    varied = varies(truth)
    missed, spread = _squares(truth[:, varied], predicted[:, varied])
    return float((1 - missed.sum(axis=0) / spread.sum(axis=0)).mean()) if varied.any() else float("nan")


def r_squared_pooled(truth: Array, predicted: Array) -> float:
    """The same with errors and distances added up over targets."""
    missed, spread = _squares(truth, predicted)
    return float(1 - missed.sum() / spread.sum()) if spread.sum() > 0 else float("nan")


def _squares(truth: Array, predicted: Array) -> tuple[Array, Array]:
    return (predicted - truth) ** 2, (truth - truth.mean(axis=0)) ** 2


def _r_squared_without(truth: Array, predicted: Array) -> Array:
    """Mean R² without each row, shape (n,)."""
    varied = varies(truth)
    missed, spread = _squares(truth[:, varied], predicted[:, varied])
    n = len(truth)
    # squared distances from the mean of the others
    rest = spread.sum(axis=0) - n / (n - 1) * spread
    return np.asarray((1 - (missed.sum(axis=0) - missed) / rest).mean(axis=1))


SCORES: dict[str, Callable[[Array, Array], float]] = {
    "lds": lds, "r2": r_squared, "r2_pooled": r_squared_pooled, "relative_error": relative_error,
}  # fmt: skip
_WITHOUT = {"lds": _lds_without, "r2": _r_squared_without}


@dataclass(frozen=True)
class Gain:
    """Mean of first minus second over some fits, and its 90 % interval."""

    mean: float
    low: float
    high: float


def paired_gain(
    truths: list[Array], firsts: list[Array], seconds: list[Array], score: str, *, same_truth: bool
) -> Gain:
    """Compare two contenders over some fits, each judged on n held-out subsets.

    Parameters
    ----------
    truths, firsts, seconds : list of ndarray, shape (n, q)
        One entry a fit.
    score : {"lds", "r2"}
    same_truth : bool
        Whether all fits were judged on the same subsets, from several draws of one table: the interval then adds what
        other held-out subsets could have given (jackknife over rows of the mean gain) to what other draws could
        (variance over draws). Otherwise fits are of games of their own, and their jackknives are averaged.
    """
    measure, without = SCORES[score], _WITHOUT[score]
    gains, jackknives = [], []
    for truth, first, second in zip(truths, firsts, seconds, strict=True):
        gains.append(measure(truth, first) - measure(truth, second))
        jackknives.append(without(truth, first) - without(truth, second))
    n, fits = len(truths[0]), len(gains)
    parts = [(n - 1) * float(np.mean(jackknives, axis=0).var())] if same_truth else []
    freedom = [n - 1.0] * len(parts)
    if not same_truth:
        parts.append(float(sum((n - 1) * jackknifed.var() for jackknifed in jackknives)) / fits**2)
        freedom.append(fits * (n - 1.0))
    elif fits > 1:
        parts.append(float(np.var(gains, ddof=1)) / fits)
        freedom.append(fits - 1.0)
    total = sum(parts)
    mean = float(np.mean(gains))
    if not np.isfinite(total) or total <= 0:
        return Gain(mean, mean, mean)
    # Welch and Satterthwaite
    degrees = total**2 / sum(part**2 / free for part, free in zip(parts, freedom, strict=True))
    margin = float(t.ppf((1 + LEVEL) / 2, degrees) * np.sqrt(total))
    return Gain(mean, mean - margin, mean + margin)
