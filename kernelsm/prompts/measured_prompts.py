"""Prompts that a model was asked with, the scale on which their outcomes are predicted, and the surrogate on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.prompts.prompt_posterior import PromptPosterior

Array = NDArray[np.float64]
FLOORS = (0.0, 0.5, 0.8, 0.9, 0.95)
"""Losses, in shares of the least measured one, that prompts are taken not to reach: the likeliest is found."""
_NEAREST = 0.05  # to the floor, in shares of the distance of the least measured loss: what is below is written so
_ALMOST = 0.5  # of a logarithm of a likelihood
_TRIED_ROWS = 200


@dataclass(frozen=True, eq=False)
class MeasuredPrompts:
    """What was measured of the prompts of a run.

    Parameters
    ----------
    orders : ndarray of int, shape (rows, k)
        Candidates as they stood in each prompt; rising where `ordered` is False.
    values : ndarray, shape (rows,)
        Outcome in the mean over queries.
    K : int
        Number of candidates.
    labels : ndarray of int, shape (K,)
        Class of each candidate.
    ordered : bool
        Whether a row is one order: else the mean over some.
    higher_is_better : bool
    right : ndarray, shape (rows,), optional
        Share of the queries that each prompt answers right, where it is known.
    by_query : ndarray, shape (rows, q), optional
        Outcomes of single queries, whose mean `values` is; without it predictions are of these queries, not of new
        ones.
    queries : int
        Of shares of right answers without `by_query`: of how many queries.
    fresh : int
        How many new queries predictions are of; 0 for endlessly many.
    """

    orders: PromptOrders
    values: Array
    K: int
    labels: NDArray[np.intp]
    ordered: bool = True
    higher_is_better: bool = False
    right: Array | None = None
    by_query: Array | None = None
    queries: int = 0
    fresh: int = 0

    @property
    def k(self) -> int:
        """Demonstrations in a prompt."""
        return int(self.orders.shape[1])

    @property
    def sets(self) -> list[tuple[int, ...]]:
        """The set of each row, rising."""
        return [tuple(row) for row in np.sort(self.orders, axis=1).tolist()]

    @property
    def asked_of(self) -> int:
        """Queries whose mean outcomes are; 0 where that is not known."""
        return self.queries if self.by_query is None else int(self.by_query.shape[1])

    @property
    def positive(self) -> bool:
        """Whether outcomes are losses above 0, whose logarithm is predicted."""
        return not self.higher_is_better and bool((self.values > 0).all())


@dataclass(frozen=True)
class OutcomeScale:
    """How outcomes are written to be predicted: losses as log(loss - floor), which none falls below; others as are.

    Small models reach no loss below some value whatever the prompt; the logarithm of what is above it adds up over
    demonstrations where losses near it no longer do.

    Parameters
    ----------
    positive : bool
        Whether outcomes are losses.
    floor : float
        Below all measured losses.
    nearest : float
        Distance to the floor at which anything nearer, or below, is written.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm.prompts.measured_prompts import OutcomeScale
    >>> scale = OutcomeScale(True, 0.5, 0.01)
    >>> scale.read(scale.write(np.array([0.7, 0.4]))).round(2)
    array([0.7 , 0.51])
    """

    positive: bool
    floor: float = 0.0
    nearest: float = 0.0

    def write(self, outcomes: Array) -> Array:
        """Outcomes on the scale."""
        return np.log(np.maximum(outcomes - self.floor, self.nearest)) if self.positive else outcomes

    def read(self, written: Array) -> Array:
        """Outcomes from the scale."""
        return np.asarray(self.floor + np.exp(written)) if self.positive else written

    def slope(self, outcomes: Array) -> Array:
        """By how much an outcome changes with what is written, to first order."""
        return np.asarray(outcomes - self.floor) if self.positive else np.ones_like(outcomes)


@dataclass(frozen=True, eq=False)
class FittedPrompts:
    """A surrogate of ordered prompts, and the scale that it predicts on."""

    surrogate: PromptPosterior
    scale: OutcomeScale


def fitted_to(measured: MeasuredPrompts, rows: NDArray[np.intp] | None = None) -> FittedPrompts:
    """Fit the surrogate of ordered prompts to measured ones, on the scale under which their losses are likeliest.

    Parameters
    ----------
    measured : MeasuredPrompts
    rows : ndarray of int, optional
        Only these.

    Raises
    ------
    InputError
        Fewer than 2 prompts.

    References
    ----------
    Snelson, Rasmussen and Ghahramani (2004), Warped Gaussian processes: a scale is chosen by the likelihood of the
    outcomes themselves, that of what is written times the slope of the writing.
    """
    chosen = np.arange(len(measured.values)) if rows is None else rows
    values = measured.values[chosen]
    scale = OutcomeScale(False) if not measured.positive else _likeliest(measured, chosen, float(values.min()))
    return FittedPrompts(_fitted(measured, chosen, scale), scale)


def _likeliest(measured: MeasuredPrompts, rows: NDArray[np.intp], least: float) -> OutcomeScale:
    """The scale under which some of the measured losses are likeliest."""
    some = rows
    if len(rows) > _TRIED_ROWS:
        some = np.sort(np.random.default_rng(0).permutation(rows)[:_TRIED_ROWS])
    scales = [OutcomeScale(True, share * least, _NEAREST * (1 - share) * least) for share in FLOORS]
    likelihoods = [
        _fitted(measured, some, scale).log_likelihood_ - float(np.log(scale.slope(measured.values[some])).sum())
        for scale in scales
    ]
    # of almost equally likely floors the lowest: it takes least for granted
    return next(
        scale for scale, found in zip(scales, likelihoods, strict=True) if found >= max(likelihoods) - _ALMOST
    )


def _fitted(measured: MeasuredPrompts, rows: NDArray[np.intp], scale: OutcomeScale) -> PromptPosterior:
    surrogate = PromptPosterior(measured.K, measured.labels, ordered=measured.ordered)
    return surrogate.fit(measured.orders[rows], scale.write(measured.values[rows]))


def bounds_of(values: Array, *, higher_is_better: bool) -> tuple[float, float]:
    """Between which outcomes predictions stay: none is worse than the worst measured one, nor beyond what there is.

    A loss above 0 cannot fall below it, nor a share of right answers rise above 1; where there is no such end,
    predictions go as far beyond the best measured outcome as that is from the worst.
    """
    least, most = float(values.min()), float(values.max())
    span = most - least
    if higher_is_better:
        return least, 1.0 if least >= 0 and most <= 1 else most + span
    return 0.0 if least >= 0 else least - span, most
