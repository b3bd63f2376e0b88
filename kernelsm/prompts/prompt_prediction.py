"""What a prompt will do on new queries, from measured ones: one prediction, which allows for having been chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.neighbours import near_and_drawn
from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.prompts.prompt_posterior import PromptPosterior
from kernelsm.surrogates.results import interval_quantile

Array = NDArray[np.float64]

_FILLINGS = 800
"""Ways to fill empty slots that are averaged, and orders of these: the same ones for every choice."""
_MOST_PERMUTED = 720
_BOOTSTRAPS = 100
_DRAWN, _PARENTS = 800, 6
_NORMAL_90 = 1.645
_FEWEST_QUERIES = 5


@dataclass(frozen=True)
class Predicted:
    """What is expected of a prompt on new queries.

    Parameters
    ----------
    value, low, high : float
        Outcome, and the ends of its 90% interval.
    measured : float, optional
        What was measured on the queries that prompts are chosen by; NaN where the prompt was not asked.
    accuracy : float, optional
        Share of right answers expected; NaN where it is not known.
    measured_accuracy : float, optional
        What was measured, as `measured`.
    """

    value: float
    low: float
    high: float
    measured: float = math.nan
    accuracy: float = math.nan
    measured_accuracy: float = math.nan

    @property
    def asked(self) -> bool:
        """Whether the model was asked with this prompt."""
        return not math.isnan(self.measured)

    @property
    def margin(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2


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


def fitted_to(measured: MeasuredPrompts, rows: NDArray[np.intp] | None = None) -> PromptPosterior:
    """Fit the surrogate of ordered prompts to measured ones (to these rows), on the scale of `scaled`."""
    orders, values = (measured.orders, measured.values) if rows is None else (
        measured.orders[rows], measured.values[rows]
    )  # fmt: skip
    surrogate = PromptPosterior(measured.K, measured.labels, ordered=measured.ordered)
    return surrogate.fit(orders, scaled(measured, values))


def scaled(measured: MeasuredPrompts, values: Array) -> Array:
    """Outcomes on the scale they are predicted on: the logarithm of a loss, which cannot be negative then."""
    return np.log(values) if measured.positive else values


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


class _NewQueries:
    """How outcomes on new queries differ from those on the queries that prompts are chosen by.

    By the bootstrap over queries (Efron 1983): drawn again from these, they are to these what these are to all there
    are. What the drawn ones choose, and how much less of its lead all of them leave it, tells how much of a lead is
    of these queries alone; how outcomes scatter over the draws, how well these queries know them. Where shares of
    right answers are known but not which, queries are drawn as if they were right independently of each other.

    Parameters
    ----------
    measured : MeasuredPrompts
        With outcomes of single queries, or shares of a known number.
    surrogate : PromptPosterior
        Fitted to it.

    Attributes
    ----------
    kept_ : float
        Share of a prediction's lead over the mean prompt that is left on new queries, 0 to 1.
    kept_of_measured_ : float
        The same of a measured lead.
    """

    def __init__(self, measured: MeasuredPrompts, surrogate: PromptPosterior) -> None:
        self._measured, self._surrogate = measured, surrogate
        q, rng = measured.asked_of, np.random.default_rng(0)
        if measured.by_query is None:
            means = rng.binomial(q, measured.values[:, None], (len(measured.values), _BOOTSTRAPS)) / q
        else:
            means = measured.by_query @ (rng.multinomial(q, np.full(q, 1 / q), size=_BOOTSTRAPS).T / q)
        self._again = scaled_means(measured, means)
        values, sign = scaled(measured, measured.values), -1.0 if measured.higher_is_better else 1.0
        self.centre = float(values.mean())
        best = measured.orders[np.argsort(sign * values, kind="stable")]
        pool = near_and_drawn(best[:_PARENTS], measured.K, _DRAWN, np.random.default_rng(1), ordered=measured.ordered)
        self.kept_of_measured_ = _kept(sign * values, sign * self._again)
        self.kept_ = _kept(
            sign * surrogate.predict(pool)[:, 0], sign * surrogate.means_for(pool, self._again),
            around=sign * self.centre, around_again=sign * self._again.mean(axis=0),
        )  # fmt: skip
        self._widened = math.sqrt(1 + (q / measured.fresh if measured.fresh else 0.0))

    def of_measured(self, row: int) -> float:
        """Standard deviation that the draw of queries gives a measured outcome, on the scale."""
        return float(self._again[row].std(ddof=1)) * self._widened

    def of_mean(self, orders: PromptOrders) -> float:
        """The same of the mean outcome of some prompts, on the scale of their logarithm where they are losses."""
        again = self._surrogate.means_for(orders, self._again)
        mean = np.log(np.exp(again).mean(axis=0)) if self._measured.positive else again.mean(axis=0)
        return float(mean.std(ddof=1)) * self._widened

    def of_mean_prompt(self) -> float:
        """The same of the mean over all measured prompts, in the outcome's unit."""
        levels = np.exp(self._again) if self._measured.positive else self._again
        return float(levels.mean(axis=0).std(ddof=1)) * self._widened


def scaled_means(measured: MeasuredPrompts, means: Array) -> Array:
    """Means over drawn queries on the scale of `scaled`; none is 0 unless all that was drawn is."""
    return np.log(np.maximum(means, 1e-3 * measured.values.min())) if measured.positive else means


def _kept(values: Array, again: Array, around: float | None = None, around_again: Array | None = None) -> float:
    """Share of the lead of what is least in each column of `again` that `values` leave it."""
    centre = values.mean() if around is None else around
    centres = again.mean(axis=0) if around_again is None else around_again
    picks = again.argmin(axis=0)
    promised = float((centres - again[picks, np.arange(again.shape[1])]).sum())
    left = float((centre - values[picks]).sum())
    return min(max(left / promised, 0.0), 1.0) if promised > 0 else 1.0


class PromptPrediction:
    """Predicts what prompts do on new queries from measured ones.

    Losses are predicted by their logarithm, so that none is negative. A prediction is the middle of what it may be;
    neither it nor its interval is worse than the worst measured prompt. Whoever looks for the best prediction finds
    what these queries flatter: so much of its lead over the mean prompt is left out as choosing by drawn queries
    gains on these (`kept_`), of predicted leads and of measured ones. Intervals are of the mean over new queries,
    as many as are kept back.

    Parameters
    ----------
    measured : MeasuredPrompts
        Of 8 prompts or more.

    Examples
    --------
    Texts of class 1 in the last place help with every query.

    >>> import numpy as np
    >>> from kernelsm.prompts.prompt_prediction import MeasuredPrompts, PromptPrediction
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(10) % 2
    >>> orders = np.array([rng.permutation(10)[:2] for _ in range(40)])
    >>> losses = np.exp(-1.0 * labels[orders[:, [1]]] + 0.3 * rng.normal(size=(40, 50)))
    >>> prediction = PromptPrediction(MeasuredPrompts(orders, losses.mean(axis=1), 10, labels, by_query=losses))
    >>> found = prediction.predict((0, 3))
    >>> bool(found.low < 0.385 < found.high)
    True
    """

    def __init__(self, measured: MeasuredPrompts) -> None:
        self.measured = measured
        self.surrogate = fitted_to(measured)
        self.quantile = interval_quantile(self.surrogate.degrees_of_freedom_)
        self._bounds = bounds_of(measured.values, higher_is_better=measured.higher_is_better)
        self._rows = {tuple(order): row for row, order in enumerate(measured.orders.tolist())}

    @cached_property
    def _new(self) -> _NewQueries | None:
        """None where outcomes of single queries are not known: then what is said is said of these queries."""
        return _NewQueries(self.measured, self.surrogate) if self.measured.asked_of >= _FEWEST_QUERIES else None

    @cached_property
    def _accuracy(self) -> PromptPosterior | None:
        """What predicts shares of right answers."""
        right = self.measured.right
        if right is None or not np.isfinite(right).all():
            return None
        surrogate = PromptPosterior(self.measured.K, self.measured.labels, ordered=self.measured.ordered)
        return surrogate.fit(self.measured.orders, right)

    @property
    def kept(self) -> float:
        """Share of a predicted lead over the mean prompt that new queries are expected to leave."""
        return self._new.kept_ if self._new else 1.0

    @property
    def of_new_queries(self) -> bool:
        """Whether predictions are of new queries: else of those that prompts were measured on."""
        return self._new is not None

    @property
    def knows_orders(self) -> bool:
        """Whether single orders are predicted: else every prediction is the mean over orders."""
        return self.measured.ordered and self.measured.k > 1

    def measured_of(self, prompt: Sequence[int]) -> int | None:
        """Row of a prompt in this order among the measured ones; None where it was not asked."""
        return self._rows.get(tuple(prompt) if self.measured.ordered else tuple(sorted(prompt)))

    @property
    def mean_prompt(self) -> Predicted:
        """The mean of the measured prompts on new queries, each set counting once, and its 90% interval."""
        sums: dict[tuple[int, ...], list[float]] = {}
        for members, value in zip(self.measured.sets, self.measured.values, strict=True):
            sums.setdefault(members, []).append(float(value))
        means = np.array([np.mean(values) for values in sums.values()])
        n = len(means)
        margin = interval_quantile(n - 1) * float(means.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        margin = math.hypot(margin, _NORMAL_90 * (self._new.of_mean_prompt() if self._new else 0.0))
        right = math.nan if self.measured.right is None else float(self.measured.right.mean())
        return Predicted(
            float(means.mean()), float(means.mean()) - margin, float(means.mean()) + margin, accuracy=right
        )

    def predict(self, prompt: Sequence[int]) -> Predicted:
        """Outcome of a prompt in its order, measured where it was asked; empty slots at the end filled at random."""
        prompt = tuple(prompt)
        if not prompt:
            return self.mean_prompt
        row = self.measured_of(prompt)
        return self.modelled(prompt) if row is None else self._of_measured(row)

    def mean_over_orders(self, prompt: Sequence[int]) -> Predicted:
        """Outcome of the same demonstrations in the mean over all their orders."""
        prompt = tuple(prompt)
        return self._mean(self._reordered(prompt), alone=False) if prompt else self.mean_prompt

    def modelled(self, prompt: tuple[int, ...]) -> Predicted:
        """What the surrogate says of a prompt, whether it was asked or not."""
        orders = self._filled(prompt)
        return self._mean(orders, alone=len(prompt) == self.measured.k)

    def values(self, prompts: Sequence[Sequence[int]] | PromptOrders) -> Array:
        """Predict many full prompts in their order, shape (rows,)."""
        predicted = self.surrogate.predict(prompts)[:, 0]
        return np.asarray(np.clip(np.exp(predicted) if self.measured.positive else predicted, *self._bounds))

    def contrast(self, prompts: PromptOrders, weights: Array) -> tuple[float, float]:
        """Return a weighted sum of predictions, as an effect is, and its standard deviation; in nats, of a loss."""
        if not self.measured.positive:
            value, std = self.surrogate.predict_contrast(prompts, weights)
            return float(value[0]), float(std[0])
        levels = self.values(prompts)
        # to first order: a logarithm that changes by d changes the loss by d times the loss
        _, std = self.surrogate.predict_contrast(prompts, weights * levels)
        return float(weights @ levels), float(std[0])

    @property
    def _noise(self) -> float:
        """Variance of single orders about the fit."""
        return float(self.surrogate.noise_variance_[0])

    def _of_measured(self, row: int) -> Predicted:
        """A measured prompt on new queries."""
        value = float(self.measured.values[row])
        right = math.nan if self.measured.right is None else float(self.measured.right[row])
        if self._new is None:
            return Predicted(value, value, value, value, right, right)
        kept = self._new.kept_of_measured_
        middle = float(scaled(self.measured, self.measured.values[row : row + 1])[0])
        found = self._read(middle, _NORMAL_90 * self._new.of_measured(row), kept)
        accuracy = (
            math.nan if self.measured.right is None else self._shrunk(right, float(self.measured.right.mean()), kept)
        )
        return replace(found, measured=value, accuracy=accuracy, measured_accuracy=right)

    def _mean(self, orders: PromptOrders, *, alone: bool) -> Predicted:
        """The mean of some prompts; `alone` is a single one, which has all of its own noise."""
        n = len(orders)
        noise = self._noise if alone else self._noise / n
        if self.measured.positive and not alone:
            level, doubt = self.contrast(orders, np.full(n, 1 / n))
            middle, std = math.log(level), doubt / level
        else:
            middle, std = (float(column[0]) for column in self.surrogate.predict_mean(orders))
        reach = self.quantile * math.hypot(std, math.sqrt(noise))
        if self._new is not None:
            reach = math.hypot(reach, _NORMAL_90 * self._new.of_mean(orders))
        found = self._read(middle, reach, self.kept)
        if self._accuracy is None or self.measured.right is None:
            return found
        share = float(self._accuracy.predict(orders).mean())
        accuracy = self._shrunk(share, float(self.measured.right.mean()), self.kept)
        return replace(found, accuracy=min(max(accuracy, 0.0), 1.0))

    def _shrunk(self, value: float, centre: float, kept: float) -> float:
        return centre + kept * (value - centre)

    def _read(self, middle: float, reach: float, kept: float) -> Predicted:
        """A value on the scale with its lead cut to what is kept, and the ends of its interval, as outcomes."""
        if self._new is not None:
            middle = self._shrunk(middle, self._new.centre, kept)
        ends = (middle, middle - reach, middle + reach)
        return self._within(*(map(math.exp, ends) if self.measured.positive else ends))

    def _within(self, value: float, low: float, high: float) -> Predicted:
        least, most = self._bounds
        low, high = min(max(low, least), most), max(min(high, most), least)
        return Predicted(min(max(value, low), high), low, high)

    def _filled(self, prompt: tuple[int, ...]) -> PromptOrders:
        """A prompt with its empty slots, the last ones, filled with others at random; shape (ways, k)."""
        empty = self.measured.k - len(prompt)
        if not empty:
            return np.array([prompt], dtype=np.intp)
        others = np.setdiff1d(np.arange(self.measured.K), prompt)
        # the same keys for every choice: two choices then differ by what was chosen, not by the fillings drawn
        keys = np.random.default_rng(0).random((_FILLINGS, self.measured.K))[:, others]
        drawn = others[np.argsort(keys, axis=1)[:, :empty]]
        kept = np.tile(np.array(prompt, dtype=np.intp), (_FILLINGS, 1))
        return np.concatenate([kept, drawn], axis=1)

    def _reordered(self, prompt: tuple[int, ...]) -> PromptOrders:
        """The same demonstrations, filled up, in all their orders or in some drawn at random; shape (ways, k)."""
        k, filled = self.measured.k, self._filled(prompt)
        if not self.measured.ordered:
            return filled
        if len(filled) == 1 and math.factorial(min(k, 12)) <= _MOST_PERMUTED:
            return np.array(list(permutations(filled[0].tolist())), dtype=np.intp)
        places = np.random.default_rng(1).random((_FILLINGS, k)).argsort(axis=1)
        return np.asarray(np.take_along_axis(np.resize(filled, (_FILLINGS, k)), places, axis=1))
