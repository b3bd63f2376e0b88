"""How far a surrogate can be believed: scores on subsets that it has not seen, beside the tuned linear surrogate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernelsm.evaluation.comparison import PairedGain, paired_gain
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.auto_choice import auto_choice
from kernelsm.surrogates.reading import new_surrogate
from kernelsm.surrogates.results import interval_quantile
from kernelsm.surrogates.wording import LEVEL

Array = NDArray[np.float64]
SPLIT_FRACTION = 0.8
"""Share of the subsets that are fitted where there is no truth to test on; the others are held out."""
A_FIFTH = "a fifth of the subsets, held out"


@dataclass(frozen=True)
class Fidelity:
    """Scores of a surrogate on held-out subsets.

    Parameters
    ----------
    lds, relative_error : PairedGain
        Over all targets: the surrogate's is `first`, that of the tuned linear surrogate `second`.
    fitted, tested : int
        Numbers of subsets.
    tested_on : str
        What these are, in words.
    coverage : float
        Share of the held-out outcomes inside their 90 % intervals; NaN where no interval is known.
    observed, predicted, linear : ndarray, shape (m',)
        Held-out outcomes of the target looked at, and both predictions.
    choice : str
        What the default surrogate chose, as a sentence; "" for another.
    """

    lds: PairedGain
    relative_error: PairedGain
    fitted: int
    tested: int
    tested_on: str
    coverage: float
    observed: Array
    predicted: Array
    linear: Array
    choice: str = ""


def held_out_tables(outcomes: Outcomes, truth: Outcomes | None) -> tuple[Outcomes, Outcomes]:
    """Return what is fitted and what is tested on: all and the truth, or four fifths at random (seed 0) and the rest.

    Subsets of the truth that are among the fitted ones are left out.
    """
    if truth is None:
        return outcomes.split(SPLIT_FRACTION, seed=0)
    fitted = {row.tobytes() for row in outcomes.masks}
    unseen = np.array([row.tobytes() not in fitted for row in truth.masks])
    return outcomes, truth.take(unseen) if unseen.any() else truth


def measure_fidelity(
    outcomes: Outcomes,
    truth: Outcomes | None,
    *,
    kernel: str,
    gamma: float | None,
    ridge: float,
    target: str = "",
    tested_on: str = A_FIFTH,
) -> Fidelity | None:
    """Fit a surrogate without the held-out subsets, and score it on them; None where there are too few to hold out.

    Parameters
    ----------
    outcomes : Outcomes
    truth : Outcomes, optional
        Further subsets with what really happened; where absent a fifth of `outcomes` is held out.
    kernel, gamma, ridge
        Settings of the surrogate, see `new_surrogate`.
    target : str
        Whose predictions are kept beside the scores; "" is the mean over targets.
    tested_on : str
        What the held-out subsets are, in words.
    """
    if truth is None and outcomes.m < 10:
        return None
    train, test = held_out_tables(outcomes, truth)
    surrogate = new_surrogate(kernel, gamma, ridge).fit_outcomes(train)
    predicted, std = (table.reshape(test.m, -1) for table in surrogate.predict(test.masks, return_std=True))
    linear = new_surrogate("tuned_linear", None, 0.0).fit_outcomes(train).predict(test.masks).reshape(test.m, -1)
    exact = truth is not None and truth.meta.get("estimator") == "game without noise"
    spread = np.sqrt(std**2 + (0.0 if exact else surrogate.noise_variance_))
    return fidelity_of(
        test, predicted, spread, linear, fitted=train.m, target=target, tested_on=tested_on,
        degrees_of_freedom=surrogate.degrees_of_freedom_,
        choice=auto_choice(surrogate) if isinstance(surrogate, AutoSurrogate) else "",
    )  # fmt: skip


def fidelity_of(
    observed: Outcomes,
    predicted: Array,
    std: Array,
    linear: Array,
    *,
    fitted: int,
    target: str,
    tested_on: str,
    degrees_of_freedom: float,
    choice: str,
) -> Fidelity:
    """Score predictions of all targets, each shape (m', q); `std` is of a held-out outcome about its prediction."""
    known = np.isfinite(std) & (std > 0)
    inside = np.abs(observed.values - predicted)[known] <= interval_quantile(degrees_of_freedom, LEVEL) * std[known]
    tables = observed.values, predicted, linear
    if target:
        column = observed.target_names.index(target)
        truth, guess, baseline = (table[:, column] for table in tables)
    else:
        truth, guess, baseline = (observed.mean_over_targets(table) for table in tables)
    return Fidelity(
        paired_gain(observed.values, predicted, linear, "lds"),
        paired_gain(observed.values, predicted, linear, "relative_error"),
        fitted, observed.m, tested_on, float(inside.mean()) if known.any() else float("nan"),
        truth, guess, baseline, choice,
    )  # fmt: skip
