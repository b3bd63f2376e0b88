"""What a prompt will do on new queries, from measured ones: one prediction, which allows for having been chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.measured_prompts import MeasuredPrompts, bounds_of, fitted_to
from kernelsm.prompts.new_queries import NewQueries
from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.prompts.prompt_posterior import PromptPosterior
from kernelsm.surrogates.results import interval_quantile

Array = NDArray[np.float64]

_FILLINGS = 800
"""Ways to fill empty slots that are averaged, and orders of these: the same ones for every choice."""
_MOST_PERMUTED = 720
_NORMAL_90 = 1.645
_FEWEST_QUERIES = 5
_FARTHEST = 50.0  # of a logarithm


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


class PromptPrediction:
    """Predicts what prompts do on new queries from measured ones.

    Losses are predicted by the logarithm of what they are above a floor (`OutcomeScale`), so that none is negative. A
    prediction is the middle of what it may be; neither it nor its interval is worse than the worst measured prompt.
    Whoever looks for the best prediction finds what these queries and the surrogate flatter. Of a lead over the mean
    prompt so much is left out as choosing by drawn queries gains on these alone (`kept`), of predicted leads and of
    measured ones. What goes beyond all that was measured no prompt has shown yet: half of it counts, and the interval
    reaches from none of it to all.
    Intervals are of the mean over new queries, as many as are kept back.

    Parameters
    ----------
    measured : MeasuredPrompts
        Of 2 prompts or more.

    Examples
    --------
    Texts of class 1 in the last place help with every query.

    >>> import numpy as np
    >>> from kernelsm.prompts.measured_prompts import MeasuredPrompts
    >>> from kernelsm.prompts.prompt_prediction import PromptPrediction
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
        self._fitted = fitted_to(measured)
        self.surrogate, self.scale = self._fitted.surrogate, self._fitted.scale
        self.quantile = interval_quantile(self.surrogate.degrees_of_freedom_)
        self._bounds = bounds_of(measured.values, higher_is_better=measured.higher_is_better)
        self._rows = {tuple(order): row for row, order in enumerate(measured.orders.tolist())}

    @cached_property
    def _new(self) -> NewQueries | None:
        """None where outcomes of single queries are not known: then what is said is said of these queries."""
        return NewQueries(self.measured, self._fitted) if self.measured.asked_of >= _FEWEST_QUERIES else None

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
        if self._new is not None:
            drawn = self._new.of_mean_prompt() * (abs(float(means.mean())) if self.measured.positive else 1.0)
            margin = math.hypot(margin, _NORMAL_90 * drawn)
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
        return np.asarray(np.clip(self.scale.read(predicted), *self._bounds))

    def contrast(self, prompts: PromptOrders, weights: Array) -> tuple[float, float]:
        """Return a weighted sum of predictions, as an effect is, and its standard deviation; in nats, of a loss."""
        levels = self.values(prompts)
        # to first order: what is written changes an outcome by the slope of the scale
        _, std = self.surrogate.predict_contrast(prompts, weights * self.scale.slope(levels))
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
        found = self._read(float(self.scale.write(np.array(value))), 0.0, self._new.of_measured(row), kept)
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
            middle, std = float(self.scale.write(np.array(level))), doubt / float(self.scale.slope(np.array(level)))
        else:
            middle, std = (float(column[0]) for column in self.surrogate.predict_mean(orders))
        beyond = self._beyond(middle)
        middle -= beyond / 2
        # somewhere between none of it and all, each as likely
        reach = self.quantile * math.hypot(std, math.sqrt(noise), beyond / math.sqrt(12))
        found = self._read(middle, reach, self._new.of_mean(orders) if self._new else 0.0, self.kept)
        if self._accuracy is None or self.measured.right is None:
            return found
        share = float(self._accuracy.predict(orders).mean())
        accuracy = self._shrunk(share, float(self.measured.right.mean()), self.kept)
        return replace(found, accuracy=min(max(accuracy, 0.0), 1.0))

    def _beyond(self, middle: float) -> float:
        """By how much a prediction on the scale goes beyond that of the best measured prompt; signed as a change."""
        if self.measured.higher_is_better:
            return max(middle - self._best, 0.0)
        return min(middle - self._best, 0.0)

    @cached_property
    def _best(self) -> float:
        """The best that the surrogate says of a measured prompt, on the scale."""
        fitted = self.surrogate.predict(self.measured.orders)
        return float(fitted.max() if self.measured.higher_is_better else fitted.min())

    def _shrunk(self, value: float, centre: float, kept: float) -> float:
        return centre + kept * (value - centre)

    def _read(self, middle: float, reach: float, drawn: float, kept: float) -> Predicted:
        """A value on the scale with its lead cut to what is kept, and the ends of its interval, as outcomes.

        `reach` is half of the interval on the scale, `drawn` the standard deviation that queries give the outcome, of
        a loss in its logarithm.
        """
        if self._new is not None:
            middle = self._shrunk(middle, self._new.centre, kept)
        if self.measured.positive:  # of few prompts a reach may be too long for an exponential; bounds end it anyway
            reach = min(reach, _FARTHEST)
        value, low, high = (float(end) for end in self.scale.read(np.array([middle, middle - reach, middle + reach])))
        far = _NORMAL_90 * drawn
        if self.measured.positive:
            below, above = (math.hypot(math.log(value / low), far), math.hypot(math.log(high / value), far))
            return self._within(value, value * math.exp(-below), value * math.exp(above))
        return self._within(value, value - math.hypot(value - low, far), value + math.hypot(high - value, far))

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
