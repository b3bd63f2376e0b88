"""The one prediction of the Demonstrations page: the loss of a prompt in its order, from measured prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.prompts.order_surrogate import PositionSurrogate
from kernelsm.surrogates.results import interval_quantile

Array = NDArray[np.float64]

_FILLINGS = 800
"""Ways to fill empty slots that are averaged, and orders of these: the same ones for every choice."""
_MOST_PERMUTED = 720


@dataclass(frozen=True)
class Predicted:
    """An outcome and the ends of its 90% interval; all the same where the prompt was `measured`."""

    value: float
    low: float
    high: float
    measured: bool = False

    @property
    def margin(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, eq=False)
class MeasuredPrompts:
    """What was measured of the prompts of a run, in the mean over queries.

    Parameters
    ----------
    orders : ndarray of int, shape (rows, k)
        Candidates as they stood in each prompt; rising where `ordered` is False.
    values : ndarray, shape (rows,)
    K : int
        Number of candidates.
    labels : ndarray of int, shape (K,)
        Class of each candidate.
    ordered : bool
        Whether a row is one order: else the mean over some.
    higher_is_better : bool
    """

    orders: PromptOrders
    values: Array
    K: int
    labels: NDArray[np.intp]
    ordered: bool = True
    higher_is_better: bool = False

    @property
    def k(self) -> int:
        """Demonstrations in a prompt."""
        return int(self.orders.shape[1])

    @property
    def sets(self) -> list[tuple[int, ...]]:
        """The set of each row, rising."""
        return [tuple(row) for row in np.sort(self.orders, axis=1).tolist()]

    @property
    def positive(self) -> bool:
        """Whether outcomes are losses above 0, whose logarithm is predicted."""
        return not self.higher_is_better and bool((self.values > 0).all())


def fitted_to(measured: MeasuredPrompts, rows: NDArray[np.intp] | None = None) -> PositionSurrogate:
    """Fit the surrogate of ordered prompts to measured ones (to these rows), on the scale of `scaled`."""
    orders, values = (measured.orders, measured.values) if rows is None else (
        measured.orders[rows], measured.values[rows]
    )  # fmt: skip
    return PositionSurrogate(ordered=measured.ordered).fit(
        orders, scaled(measured, values)[:, None], measured.K, measured.labels
    )


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


class PromptPrediction:
    """Predicts prompts from measured ones.

    Losses are predicted by their logarithm, so that none is negative. A prediction is the middle of what it may be;
    neither it nor its interval is worse than the worst measured prompt.

    Parameters
    ----------
    measured : MeasuredPrompts
    """

    def __init__(self, measured: MeasuredPrompts) -> None:
        self.measured = measured
        self.surrogate = fitted_to(measured)
        self.quantile = interval_quantile(self.surrogate.degrees_of_freedom_)
        self._bounds = bounds_of(measured.values, higher_is_better=measured.higher_is_better)
        self._known = {
            tuple(order): float(value)
            for order, value in zip(measured.orders.tolist(), measured.values, strict=True)
        }  # fmt: skip

    @property
    def knows_orders(self) -> bool:
        """Whether single orders are predicted: else every prediction is the mean over orders."""
        return self.measured.ordered and self.measured.k > 1

    def measured_of(self, prompt: Sequence[int]) -> float | None:
        """What a prompt scored in this order; None where it was not asked."""
        return self._known.get(tuple(prompt) if self.measured.ordered else tuple(sorted(prompt)))

    @property
    def mean_prompt(self) -> Predicted:
        """The mean of the measured prompts, each set counting once, and its 90% interval."""
        sums: dict[tuple[int, ...], list[float]] = {}
        for members, value in zip(self.measured.sets, self.measured.values, strict=True):
            sums.setdefault(members, []).append(float(value))
        means = np.array([np.mean(values) for values in sums.values()])
        n = len(means)
        margin = interval_quantile(n - 1) * float(means.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        return Predicted(float(means.mean()), float(means.mean()) - margin, float(means.mean()) + margin)

    def predict(self, prompt: Sequence[int]) -> Predicted:
        """Outcome of a prompt in its order, measured where it was asked; empty slots at the end filled at random."""
        prompt = tuple(prompt)
        if not prompt:
            return self.mean_prompt
        found = self.measured_of(prompt)
        return self.modelled(prompt) if found is None else Predicted(found, found, found, measured=True)

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

    def _mean(self, orders: PromptOrders, *, alone: bool) -> Predicted:
        """The mean of some prompts; `alone` is a single one, which has all of its own noise."""
        n = len(orders)
        noise = self._noise if alone else self._noise / n
        if not self.measured.positive:
            value, std = (float(column[0]) for column in self.surrogate.predict_mean(orders))
            reach = self.quantile * math.hypot(std, math.sqrt(noise))
            return self._within(value, value - reach, value + reach)
        if alone:
            middle, std = (float(column[0]) for column in self.surrogate.predict_mean(orders))
            reach = self.quantile * math.hypot(std, math.sqrt(noise))
            return self._within(math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))
        value, std = self.contrast(orders, np.full(n, 1 / n))
        reach = self.quantile * math.hypot(std / value, math.sqrt(noise))
        return self._within(value, value * math.exp(-reach), value * math.exp(reach))

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
