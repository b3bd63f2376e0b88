"""Intervals of what is measured several times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

LEVEL = 0.9


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 90 % interval; both NaN where nothing says how sure it is."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def __str__(self) -> str:
        return f"{self.value:.3g}" if np.isnan(self.low) else f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def mean_estimate(values: ArrayLike) -> Estimate:
    """Return the mean of repetitions with its interval by Student's t.

    Examples
    --------
    >>> print(mean_estimate([1.0, 2.0, 3.0]))
    2 (0.314 to 3.69)
    """
    found = np.asarray(values, dtype=np.float64).ravel()
    found = found[np.isfinite(found)]
    mean = float(found.mean())
    if len(found) < 2:
        return Estimate(mean)
    margin = float(t.ppf((1 + LEVEL) / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return Estimate(mean, mean - margin, mean + margin)
