"""Learning curves: held-out error against the number of subsets, and the gain of sampling more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.base import clone

from kernelsm.outcomes.completeness import subsets_left
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, first_least, varies
from kernelsm.surrogates.base import Surrogate

Array = NDArray[np.float64]
FEWEST = 20
_POWERS = (0.5, 0.75, 1.0, 1.5, 2.0)
_GOOD_ERROR, _FLOOR_FACTOR, _MOST_TIMES = 0.02, 1.1, 10


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Held-out error against the number of fitted subsets.

    Parameters
    ----------
    sizes : ndarray of int, shape (S,)
        Numbers of fitted subsets.
    errors : ndarray, shape (S, repeats)
        Share of the outcomes' variance left unexplained on held-out subsets, mean over targets: 0 is perfect, 1 as
        good as the mean.
    m : int
        Number of subsets there are.
    floor, slope, power : float
        Parameters of the best fitting curve error = floor + slope / number^power (floor and slope at least 0).
    left : int, optional
        Different subsets that were not measured; None where there is no end of them.
    """

    sizes: NDArray[np.intp]
    errors: Array
    m: int
    floor: float
    slope: float
    power: float
    left: int | None = None

    def expected(self, count: float | Array) -> Array:
        """Error that the fitted curve expects for a number of subsets."""
        return np.asarray(self.floor + self.slope / np.asarray(count, dtype=np.float64) ** self.power)

    @property
    def doubled(self) -> int:
        """Twice as many subsets, or as many as there would be with all that are left."""
        return 2 * self.m if self.left is None else self.m + min(self.m, self.left)

    @property
    def gain_of_doubling(self) -> float:
        """Share of the error that these subsets are expected to take away."""
        now = float(self.expected(self.m))
        return 1 - float(self.expected(self.doubled)) / now if now > 0 else 0.0

    @property
    def takes_all(self) -> bool:
        """Whether no fewer subsets than all there are would be enough."""
        return self.left is not None and not self.is_enough and self.recommended == self.m + self.left

    @property
    def recommended(self) -> int:
        """Subsets that bring the error within a tenth of its floor, or below 2 %.

        At most ten times m, and no more than there would be with all that are left.
        """
        allowed_excess = max(_FLOOR_FACTOR * self.floor, _GOOD_ERROR) - self.floor
        needed = (self.slope / allowed_excess) ** (1 / self.power)
        # a whole number that rounding has raised a little must not be rounded up to the next
        most = _MOST_TIMES * self.m
        if self.left is not None:
            most = min(most, self.m + self.left)
        return int(min(np.ceil(needed * (1 - NEAR)), most))

    @property
    def is_enough(self) -> bool:
        """Whether there are as many as recommended."""
        return self.recommended <= self.m


def learning_curve(
    outcomes: Outcomes, surrogate: Surrogate, *, points: int = 6, repeats: int = 5, seed: int = 0
) -> LearningCurve:
    """Fit growing random parts of a table and predict a fifth of it that was held out.

    Parameters
    ----------
    outcomes : Outcomes
        At least 20 subsets.
    surrogate : Surrogate
        Its parameters are used as they are for every size; it is cloned, not fitted.
    points, repeats, seed : int
        Sizes between a tenth and four fifths of m, random splits per size, and their seed.

    Raises
    ------
    InputError
        Fewer than 20 subsets, or no target that varies.
    """
    m = outcomes.m
    if m < FEWEST:
        raise InputError("outcomes", f"{m} subsets", f"at least {FEWEST}", "Sample more subsets.")
    varied = varies(outcomes.values)
    if not varied.any():
        raise InputError("outcomes", "outcomes that do not vary", "a target that varies", "Choose another target.")
    values = outcomes.values[:, varied]
    held_out = m // 5
    sizes = np.unique(np.geomspace(max(8, m // 10), m - held_out, points).astype(np.intp))
    errors = np.empty((len(sizes), repeats))
    rng = np.random.default_rng(seed)
    for repeat in range(repeats):
        rows = rng.permutation(m)
        test, train = rows[:held_out], rows[held_out:]
        for i, size in enumerate(sizes):
            g = clone(surrogate).fit(outcomes.masks[train[:size]], values[train[:size]])
            missed = ((g.predict(outcomes.masks[test]) - values[test]) ** 2).mean(axis=0)
            errors[i, repeat] = (missed / values.var(axis=0)).mean()
    if not np.isfinite(errors).all():
        raise InputError("outcomes", "errors that are not finite", "numbers of a usual size", "Change the unit.")
    mean = errors.mean(axis=1)
    # relative residuals below: the small errors of many subsets say more about the floor than the large ones of few
    return LearningCurve(sizes, errors, m, *_fitted_curve(sizes, mean), left=subsets_left(outcomes.masks))


def _fitted_curve(sizes: NDArray[np.intp], mean: Array) -> tuple[float, float, float]:
    """Floor, slope and power of the curve that fits best; ties go to the smallest power."""
    if not (mean > 0).all():
        return 0.0, 0.0, 1.0
    fits, misses = [], []
    for power in _POWERS:
        terms = np.column_stack([np.ones(len(sizes)), 1.0 / sizes**power])
        (floor, slope), missed = nnls(terms / mean[:, None], np.ones(len(sizes)))
        fits.append((float(floor), float(slope), power))
        misses.append(missed)
    return fits[first_least(misses, tolerance=NEAR)]
