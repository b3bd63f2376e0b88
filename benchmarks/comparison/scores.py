"""Scores of answers on held-out truth, and paired intervals of their differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

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
    return float(1 - missed.sum() / spread.sum()) if varies(truth).any() else float("nan")


def r_squared_of_effects(truth: Array, read: Array) -> float:
    """R² of a list of effects; NaN where the true ones are all alike, as the interactions of an additive game."""
    return r_squared(truth.reshape(-1, 1), read.reshape(-1, 1))


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
COMPARED: dict[str, Callable[[Array, Array], Array]] = {"lds": _lds_without, "r2": _r_squared_without}
"""Scores that get paired intervals, with what they are without each row."""


class Gain(NamedTuple):
    """Mean of first minus second over some fits, and its 90 % interval."""

    mean: float
    low: float
    high: float


def paired_gain(
    truths: Sequence[Array],
    firsts: Sequence[Array],
    seconds: Sequence[Array],
    score: str,
    interval: Literal["draws", "games"],
) -> Gain:
    """Compare two contenders over some fits, each judged on n held-out subsets.

    Parameters
    ----------
    truths, firsts, seconds : sequence of ndarray, shape (n, q)
        One entry a fit: the truth, and what the two say.
    score : {"lds", "r2"}
    interval : {"draws", "games"}
        What the interval says could have come otherwise. "draws": fits are draws of one table, all judged on the same
        subsets; what other held-out subsets could have given (jackknife over rows of the mean gain) is added to what
        other draws could (variance over draws, where there are several). "games": each fit is of a game or a split of
        its own, and the variance over fits says all; a single one is taken as it is, and its held-out subsets count.
    """
    measure, without = SCORES[score], COMPARED[score]
    gains = np.array([measure(v, a) - measure(v, b) for v, a, b in zip(truths, firsts, seconds, strict=True)])
    n, fits = len(truths[0]), len(gains)
    parts: list[tuple[float, float]] = []  # variances and their degrees of freedom
    if interval == "draws" or fits == 1:
        left = [without(v, a) - without(v, b) for v, a, b in zip(truths, firsts, seconds, strict=True)]
        parts.append(((n - 1) * float(np.mean(left, axis=0).var()), n - 1))
    if fits > 1:
        parts.append((float(gains.var(ddof=1)) / fits, fits - 1))
    mean, total = float(gains.mean()), sum(variance for variance, _ in parts)
    if not np.isfinite(total) or total <= 0:
        return Gain(mean, mean, mean)
    freedom = total**2 / sum(variance**2 / degrees for variance, degrees in parts)  # Welch and Satterthwaite
    margin = float(t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(total))
    return Gain(mean, mean - margin, mean + margin)
