"""Scales of the outcomes on which a surrogate may fit better, and the map back to the outcome's own scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.near_ties import NEAR, first_least, mean_ranks
from kernelsm.surrogates.subset_distributions import Array

SCALES: dict[str, Callable[[Array], Array]] = {
    "identity": lambda values: values,
    "sqrt": np.sqrt,
    "log": np.log,
    "rank": lambda values: mean_ranks(values) / len(values),
}
POSITIVE_ONLY = ("sqrt", "log")


class ScoreToOutcome:
    """Map from a score that rises with the outcome to the outcome's own scale, target by target.

    On each scale a straight line is fitted from the scores to the transformed outcomes, then transformed back; each
    target takes the scale with the smallest squared error in its own unit, the first in a tie. The curve never falls,
    so the order of the scores is kept.

    Parameters
    ----------
    scales : sequence of str
        Names from `SCALES` to choose among.
    scores, observed : ndarray, shape (m, q)
        Leave-one-out scores, in units of the order of 1, and outcomes.
    """

    def __init__(self, scales: Sequence[str], scores: Array, observed: Array) -> None:
        self._sorted = np.sort(observed, axis=0)
        self._lines: dict[str, tuple[Array, Array]] = {}
        self._chosen = np.zeros(observed.shape[1], dtype=np.intp)
        self.scales = tuple(scales)
        centred = scores - scores.mean(axis=0)
        squares = (centred**2).sum(axis=0)
        rises = squares > len(scores) * NEAR**2  # scores that differ by less differ by rounding
        errors = []
        for scale in self.scales:
            transformed = SCALES[scale](observed)
            mean = transformed.mean(axis=0)
            rise = np.maximum((centred * (transformed - mean)).sum(axis=0), 0.0)
            slope = np.where(rises, rise / np.where(rises, squares, 1.0), 0.0)
            self._lines[scale] = mean - slope * scores.mean(axis=0), slope
            errors.append(((self._outcome_of(scale, scores) - observed) ** 2).sum(axis=0))
        spread = ((observed - observed.mean(axis=0)) ** 2).sum(axis=0)
        relative = np.sqrt(np.array(errors) / np.where(spread > 0, spread, 1.0))
        self._chosen = first_least(relative, tolerance=NEAR, axis=0)

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Targets whose curve does not rise at all, shape (q,)."""
        slopes = np.array([self._lines[scale][1] for scale in self.scales])
        return np.asarray(slopes[self._chosen, np.arange(slopes.shape[1])] == 0)

    def __call__(self, scores: Array) -> Array:
        """Return outcomes, shape (m', q)."""
        values = np.empty_like(scores)
        for index, scale in enumerate(self.scales):
            here = self._chosen == index
            if here.any():
                values[:, here] = self._outcome_of(scale, scores)[:, here]
        return values

    def spread(self, scores: Array, std: Array) -> Array:
        """Half the distance from one standard deviation below to one above, on the outcome's scale; shape (m', q)."""
        return np.asarray((self(scores + std) - self(scores - std)) / 2)

    def _outcome_of(self, scale: str, scores: Array) -> Array:
        intercept, slope = self._lines[scale]
        line = intercept + slope * scores
        if scale == "log":
            return np.exp(np.minimum(line, 700.0))
        if scale == "sqrt":
            return np.maximum(line, 0.0) ** 2
        if scale == "rank":
            return self._quantiles(line)
        return line

    def _quantiles(self, ranks: Array) -> Array:
        """Outcome at each rank in 0..1: linear between the observed outcomes, beyond them with their mean slope."""
        m = len(self._sorted)
        observed_ranks = np.arange(1, m + 1) / m
        inside = np.clip(ranks, observed_ranks[0], 1.0)
        values = np.column_stack(
            [np.interp(inside[:, j], observed_ranks, self._sorted[:, j]) for j in range(ranks.shape[1])]
        )
        return np.asarray(values + (ranks - inside) * np.ptp(self._sorted, axis=0))
