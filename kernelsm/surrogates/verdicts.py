"""One rule for all sentences, charts and lists: what can be told from zero, and what is known of the rest.

An effect is *clear* where it can be told from zero with all others that are looked at beside it in mind: by
Benjamini-Hochberg a share of at most 1 - `level` of the clear ones is expected to be chance. Of those that are not
clear, an effect is *no effect* where all of its interval is so near zero that it would not matter (an equivalence
test), and *not measured well enough yet* where effects that would matter are left in its interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control, t

from kernelsm.runtime.near_ties import tolerance_of
from kernelsm.surrogates.wording import LEVEL, Verdict

Array = NDArray[np.float64]
Verdicts = NDArray[np.int8]
"""Values of `Verdict`."""


def what_matters(outcomes: ArrayLike, K: int) -> Array:
    """Return how large an effect of one task, or of one pair, must be to matter, in the outcome's unit.

    It is the mean distance of the measured outcomes from their median, divided by √K. If all K tasks had the same
    effect, that effect would be about 2.5 times as much (with subsets of random halves): what matters less than this
    does two fifths of an equal share at most. One outlier among many outcomes hardly changes it.

    Parameters
    ----------
    outcomes : array-like, shape (m,) or (m, q)
        F(s) of the fitted subsets.
    K : int
        Number of tasks.

    Returns
    -------
    ndarray, shape (q,)
        0 where the outcomes do not vary.

    Examples
    --------
    >>> what_matters([1.0, 1.2, 0.8, 1.0], K=4).round(6).tolist()
    [0.05]
    """
    values = np.asarray(outcomes, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    return np.asarray(np.abs(values - np.median(values, axis=0)).mean(axis=0) / np.sqrt(max(K, 1)))


def told_from_zero(
    values: Array, std: Array, degrees_of_freedom: float, *, level: float = LEVEL, tests: int | None = None
) -> NDArray[np.bool_]:
    """Return which of several effects differ from zero, with all of them in mind, shape (n,).

    Parameters
    ----------
    values, std : ndarray, shape (n,)
        Effects and their standard deviations; NaN where not known: these are not told from zero. An effect whose
        standard deviation is 0 is known exactly.
    degrees_of_freedom : float
        What the noise was estimated from.
    level : float
        1 - `level` is the share of the result that may be chance.
    tests : int, optional
        How many effects there are, where only the strongest are given; the others count as not told from zero, which
        keeps the bound.

    Examples
    --------
    >>> told_from_zero(np.array([2.0, 0.1, 0.3]), np.array([0.1, 0.1, 0.0]), np.inf).tolist()
    [True, False, True]
    """
    if not len(values):
        return np.zeros(0, dtype=np.bool_)
    p_values = np.ones(len(values) if tests is None else tests)
    found = p_values[: len(values)]
    known = std > 0
    found[known] = 2 * t.sf(np.abs(values[known]) / std[known], max(degrees_of_freedom, 1))
    found[(std == 0) & (np.abs(values) > tolerance_of(values))] = 0.0
    return np.asarray(false_discovery_control(p_values)[: len(values)] <= 1 - level)


def verdicts(values: Array, margin: Array, clear: NDArray[np.bool_], matters: float | None) -> Verdicts:
    """Return the `Verdict` of each effect, of the shape of `values`.

    Parameters
    ----------
    values, margin : ndarray
        Effects and the half-widths of their intervals, NaN where not known.
    clear : ndarray of bool
        Which can be told from zero.
    matters : float, optional
        How large an effect must be to matter; None where it is not known: then unclear effects are only called that.

    Examples
    --------
    >>> values, margin = np.array([0.5, 0.01, 0.1]), np.array([0.1, 0.02, 0.3])
    >>> [Verdict(code).name for code in verdicts(values, margin, np.array([True, False, False]), matters=0.05)]
    ['CLEAR', 'NO_EFFECT', 'NOT_MEASURED']
    """
    reach = np.abs(values) + margin
    unclear = Verdict.UNCLEAR if matters is None else Verdict.NOT_MEASURED
    rest = np.where(reach <= (0.0 if matters is None else matters), Verdict.NO_EFFECT, unclear)
    return np.asarray(np.where(clear, Verdict.CLEAR, rest), dtype=np.int8)
