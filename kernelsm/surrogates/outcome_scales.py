"""Scales of the outcomes on which a surrogate may fit better, and the map back to the outcome's own scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import nnls
from sklearn.isotonic import IsotonicRegression

from kernelsm.runtime.near_ties import NEAR, first_least, mean_ranks
from kernelsm.surrogates.subset_distributions import Array

SCALES: dict[str, Callable[[Array], Array]] = {
    "identity": lambda values: values,
    "sqrt": np.sqrt,
    "log": np.log,
    "rank": lambda values: mean_ranks(values) / len(values),
}
POSITIVE_ONLY = ("sqrt", "log")
_FEWEST_ROWS = 20  # with fewer, one curve is all that can be told
_RISE = 0.02
_EXACT = 1e-3  # a curve that misses less of the spread is taken alone: what lies beyond the outcomes is its business
_COST = 8.0  # what free weights gain by chance, in squared errors of single rows
_WINDOW = 0.25  # in units of the score's spread


class ScoreToOutcome:
    """Map from a score that rises with the outcome to the outcome's own scale, target by target.

    On each scale a straight line is fitted from the scores to the transformed outcomes, then transformed back. The
    map is a sum of these curves, and of the rising curve (isotonic regression) nearest to a guide, with the weights
    above 0 of the least squared error; where that is hardly better than one curve, or rows are few, the first best
    one is taken alone. The map never falls, so the order of the scores is kept. Beyond the outcomes that were seen it
    flattens within half of their range, as an exponential curve through noise would go anywhere, unless it fits them
    all but exactly.

    Parameters
    ----------
    scales : sequence of str
        Names from `SCALES`.
    scores, observed : ndarray, shape (m, q)
        Leave-one-out scores, in units of the order of 1, and outcomes.
    guide : ndarray, shape (m, q), optional
        Leave-one-out predictions of the outcomes that are nearer in value and worse in order.
    """

    def __init__(self, scales: Sequence[str], scores: Array, observed: Array, guide: Array | None = None) -> None:
        self._sorted = np.sort(observed, axis=0)
        self._lines: dict[str, tuple[Array, Array]] = {}
        self.scales = tuple(scales)
        centred = scores - scores.mean(axis=0)
        squares = (centred**2).sum(axis=0)
        rises = squares > len(scores) * NEAR**2  # scores that differ by less differ by rounding
        for scale in self.scales:
            transformed = SCALES[scale](observed)
            mean = transformed.mean(axis=0)
            rise = np.maximum((centred * (transformed - mean)).sum(axis=0), 0.0)
            slope = np.where(rises, rise / np.where(rises, squares, 1.0), 0.0)
            self._lines[scale] = mean - slope * scores.mean(axis=0), slope
        self._slope = np.where(rises, (centred * (observed - observed.mean(axis=0))).sum(axis=0), 0.0)
        self._slope = np.maximum(self._slope / np.where(rises, squares, 1.0), 0.0)
        self._rising: list[IsotonicRegression | None] = [None] * observed.shape[1]
        if guide is not None:
            for j in np.flatnonzero(rises):
                self._rising[j] = IsotonicRegression(out_of_bounds="clip").fit(scores[:, j], guide[:, j])
        curves = self._curves(scores)
        errors = ((curves - observed) ** 2).sum(axis=1)
        spread = ((observed - observed.mean(axis=0)) ** 2).sum(axis=0)
        relative = np.sqrt(errors / np.where(spread > 0, spread, 1.0))
        handicap = np.full((len(self.scales), 1), 1 / np.sqrt(max(1 - _COST / len(scores), 0.25)))
        handicap[0] = 1.0  # what a choice gains by chance must not turn a straight line into another curve
        best = first_least(relative[: len(self.scales)] * handicap, tolerance=NEAR, axis=0)
        columns = np.arange(observed.shape[1])
        self.flat = np.array([self._lines[scale][1] for scale in self.scales])[best, columns] == 0
        """Targets whose curve does not rise at all, shape (q,)."""
        self._weights = np.zeros((len(curves), observed.shape[1]))
        self._weights[best, columns] = 1.0
        self._shift = np.zeros(observed.shape[1])
        exact = relative[best, columns] <= _EXACT
        self._reach = np.where(exact, np.inf, (self._sorted[-1] - self._sorted[0]) / 2)
        worth = 1 - _COST / len(scores)
        for j in np.flatnonzero(~self.flat) if len(scores) >= _FEWEST_ROWS else ():
            means = curves[:, :, j].mean(axis=1)
            weights, missed = nnls((curves[:, :, j] - means[:, None]).T, observed[:, j] - observed[:, j].mean())
            if not exact[j] and missed**2 < worth * errors[best[j], j]:
                # a little of the one curve, so that scores that differ never have the same outcome
                self._weights[:, j] *= _RISE
                self._weights[:, j] += (1 - _RISE) * weights
                self._shift[j] = observed[:, j].mean() - means @ self._weights[:, j]

    def __call__(self, scores: Array) -> Array:
        """Return outcomes, shape (m', q)."""
        outcomes = np.einsum("cj,cij->ij", self._weights, self._curves(scores)) + self._shift
        inside = np.clip(outcomes, self._sorted[0], self._sorted[-1])
        beyond, bounded = outcomes - inside, np.isfinite(self._reach) & (self._reach > 0)
        reach = np.where(bounded, self._reach, 1.0)
        return np.asarray(inside + np.where(bounded, reach * np.tanh(beyond / reach), beyond))

    def spread(self, scores: Array, std: Array) -> Array:
        """Standard deviation on the outcome's scale, shape (m', q): that of the score times the map's mean slope.

        The mean is over a window that smooths the steps of a rising curve, or over the deviation where that is wider.
        """
        reach = np.maximum(std, _WINDOW)
        return np.asarray((self(scores + reach) - self(scores - reach)) / 2 * std / reach)

    def _curves(self, scores: Array) -> Array:
        """Every curve, shape (C, m', q); the last is the rising one, 0 where there is none."""
        rising = np.zeros_like(scores)
        for j, curve in enumerate(self._rising):
            if curve is not None:
                inside = np.clip(scores[:, j], curve.X_min_, curve.X_max_)
                # beyond the scores that were seen it goes on with the mean slope
                rising[:, j] = curve.predict(inside) + self._slope[j] * (scores[:, j] - inside)
        return np.array([*(self._outcome_of(scale, scores) for scale in self.scales), rising])

    def _outcome_of(self, scale: str, scores: Array) -> Array:
        intercept, slope = self._lines[scale]
        return transformed_back(scale, intercept + slope * scores, self._sorted)


def transformed_back(scale: str, values: Array, observed: Array) -> Array:
    """Return what outcomes these values of a scale stand for, shape (m', q).

    Parameters
    ----------
    scale : str
        A name from `SCALES`.
    values : ndarray, shape (m', q)
    observed : ndarray, shape (m, q)
        Sorted outcomes, whose quantiles the ranks are.
    """
    if scale == "log":
        return np.exp(np.minimum(values, 300.0))  # so that squares stay finite
    if scale == "sqrt":
        return np.maximum(values, 0.0) ** 2
    if scale == "rank":
        return _quantiles(values, observed)
    return values


def _quantiles(ranks: Array, observed: Array) -> Array:
    """Outcome at each rank in 0..1: linear between the observed outcomes, beyond them with their mean slope."""
    m = len(observed)
    observed_ranks = np.arange(1, m + 1) / m
    inside = np.clip(ranks, observed_ranks[0], 1.0)
    values = np.column_stack([np.interp(inside[:, j], observed_ranks, observed[:, j]) for j in range(ranks.shape[1])])
    return np.asarray(values + (ranks - inside) * np.ptp(observed, axis=0))
