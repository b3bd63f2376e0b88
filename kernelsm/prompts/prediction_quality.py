"""How well prompts are predicted that were left out: the surrogate of the page beside plainer ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from kernelsm.evaluation.metrics import lds, spearman_per_target
from kernelsm.prompts.measured_prompts import MeasuredPrompts, bounds_of, fitted_to
from kernelsm.prompts.order_surrogate import PositionSurrogate
from kernelsm.prompts.prompt_posterior import PromptPosterior
from kernelsm.surrogates.results import interval_quantile

Array = NDArray[np.float64]

FOLDS = 5
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FEWEST_SETS = 2 * FOLDS
"""Fewer sets of demonstrations cannot be left out by turns."""
_PLENTY, _GOOD_ERROR = 100, 0.9
_TO_ASK = 60  # sets that a choice needs at least, as a rule; where they are not enough, as many again
_ONE_SIDED = 0.9


@dataclass(frozen=True)
class SurrogateQuality:
    """How a surrogate predicts left-out prompts.

    Parameters
    ----------
    name : str
    error : float
        Root mean square error of the mean outcome, over that of always saying the mean of the others.
    rank : float
        Rank correlation of the mean outcome over prompts.
    lds : float
        Mean over queries of the rank correlation; NaN where outcomes of single queries were not looked at.
    """

    name: str
    error: float
    rank: float
    lds: float


@dataclass(frozen=True)
class Quality:
    """Five-fold cross-validation over sets of demonstrations: all orders of a set are left out together.

    Parameters
    ----------
    surrogates : tuple of SurrogateQuality
        The page's first.
    sets, prompts : int
        How many were left out by turns.
    covered : tuple of float
        Share of left-out prompts in intervals of each of `LEVELS`.
    beats_mean : float
        How sure it is that the page's surrogate predicts better than the mean: mean gain in squared error over its
        standard deviation, over sets.
    """

    surrogates: tuple[SurrogateQuality, ...]
    sets: int
    prompts: int
    covered: tuple[float, ...]
    beats_mean: float


def cross_validated(measured: MeasuredPrompts, report: Callable[[float], None] = lambda _: None) -> Quality:
    """Leave out a fifth of the sets by turns.

    Parameters
    ----------
    measured : MeasuredPrompts
        Of at least `FEWEST_SETS` sets. LDS needs outcomes of single queries.
    report : callable
        Hears the share that is done.
    """
    by_query = measured.by_query
    numbers: dict[tuple[int, ...], int] = {}
    group = np.array([numbers.setdefault(members, len(numbers)) for members in measured.sets])
    fold = (np.random.default_rng(0).permutation(len(numbers)) % FOLDS)[group]
    names = ["In order", "Linear: which are in", "The mean"]
    predicted = {name: np.zeros(len(fold)) for name in names}
    of_queries = {name: np.zeros_like(by_query) for name in names[:-1]} if by_query is not None else {}
    deviations, degrees = np.zeros(len(fold)), 1
    for part in range(FOLDS):
        inside, outside = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        orders = measured.orders[outside]
        fitted = fitted_to(measured, inside)
        surrogate, scale = fitted.surrogate, fitted.scale
        middle = surrogate.predict(orders)[:, 0]
        spread = np.hypot(surrogate.predict_std(orders)[:, 0], math.sqrt(surrogate.noise_variance_[0]))
        deviations[outside] = np.abs(scale.write(measured.values[outside]) - middle) / np.maximum(spread, 1e-300)
        degrees = surrogate.degrees_of_freedom_
        predicted["In order"][outside] = np.clip(
            scale.read(middle),
            *bounds_of(measured.values[inside], higher_is_better=measured.higher_is_better),
        )
        predicted["The mean"][outside] = measured.values[inside].mean()
        plain = _linear().fit(measured.orders[inside], measured.values[inside, None], measured.K)
        predicted[names[1]][outside] = plain.predict(orders)[:, 0]
        if by_query is not None:
            # the same surrogate, of every query at once: what counts is what counts for the mean
            of_queries[names[0]][outside] = surrogate.means_for(orders, by_query[inside])
            of_queries[names[1]][outside] = (
                _linear().fit(measured.orders[inside], by_query[inside], measured.K).predict(orders)
            )
        report((part + 1) / FOLDS)
    wrong = {name: (values - measured.values) ** 2 for name, values in predicted.items()}
    base = wrong["The mean"].mean()
    surrogates = tuple(
        SurrogateQuality(
            name,
            math.sqrt(wrong[name].mean() / base) if base > 0 else 1.0,
            float(spearman_per_target(measured.values[:, None], predicted[name][:, None])[0])
            if name != "The mean" else math.nan,
            lds(by_query, of_queries[name]) if name in of_queries and by_query is not None else math.nan,
        )
        for name in names
    )  # fmt: skip
    gains = np.bincount(group, wrong["The mean"] - wrong["In order"]) / np.bincount(group)
    doubt = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    reach = np.array([interval_quantile(degrees, level) for level in LEVELS])
    return Quality(
        surrogates, len(numbers), len(fold), tuple(float((deviations <= one).mean()) for one in reach),
        float(gains.mean()) / doubt if doubt > 0 else 0.0,
    )  # fmt: skip


def more_to_ask(measured: MeasuredPrompts, fitted: PromptPosterior) -> int:
    """Return how many more sets to ask before one is chosen by prediction; 0 where there are enough.

    They are enough where left-out prompts are predicted better than by the mean of the others, by more than chance.
    """
    sets = len(set(measured.sets))
    most = math.comb(measured.K, measured.k)
    if sets >= _PLENTY and fitted.error_ <= _GOOD_ERROR:
        return 0
    if sets >= FEWEST_SETS and cross_validated(measured).beats_mean > t.ppf(_ONE_SIDED, sets - 1):
        return 0
    return max(0, min(max(_TO_ASK, 2 * sets), most) - sets)


def _linear() -> PositionSurrogate:
    return PositionSurrogate(kernel="linear", weights=[(0.0, 0.0)], ordered=False)
