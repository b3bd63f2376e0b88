"""Is one surrogate better than another on the same held-out subsets? A paired difference with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from kernelsm.evaluation.metrics import lds
from kernelsm.runtime.errors import InputError

_GROUPS = 40


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
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    score: Callable[[ArrayLike, ArrayLike], float] = lds,
    *,
    level: float = 0.9,
) -> PairedGain:
    """Compare two predictions of the same subsets by a score, LDS unless another is given.

    The interval is the delete-a-group jackknife's over subsets (40 groups, or as many as there are subsets), with
    Student's t: it says how far the difference depends on which subsets were held out, for these two fits.

    Parameters
    ----------
    truth, first, second : array-like, shape (m, q) or (m,)
        Outcomes of the held-out subsets and the two predictions.
    score : callable
        Takes truth and prediction.
    level : float
        Of the interval.

    References
    ----------
    Efron and Stein (1981), The jackknife estimate of variance.
    """
    F, a, b = (np.asarray(table, dtype=np.float64) for table in (truth, first, second))
    if not F.shape == a.shape == b.shape:
        raise InputError(
            "predictions", f"shapes {a.shape} and {b.shape}", f"{F.shape}, as the truth", "Predict the same subsets."
        )
    m = len(F)
    scores = score(F, a), score(F, b)
    groups = min(m, _GROUPS)
    if m < 3:
        return PairedGain(scores[0] - scores[1], np.nan, np.nan, *scores)
    group = np.arange(m) % groups
    without = []
    for g in range(groups):
        rest = group != g
        without.append(score(F[rest], a[rest]) - score(F[rest], b[rest]))
    spread = np.sqrt((groups - 1) * np.var(without))
    margin = float(t.ppf((1 + level) / 2, groups - 1) * spread)
    gain = scores[0] - scores[1]
    return PairedGain(gain, gain - margin, gain + margin, *scores)
