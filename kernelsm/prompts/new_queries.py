"""How outcomes of prompts on new queries differ from those on the queries that prompts are chosen by."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.measured_prompts import FittedPrompts, MeasuredPrompts
from kernelsm.prompts.neighbours import near_and_drawn
from kernelsm.prompts.order_kernel import PromptOrders

Array = NDArray[np.float64]
_BOOTSTRAPS = 100
_DRAWN, _PARENTS = 800, 6


class NewQueries:
    """How outcomes on new queries differ from those on the queries that prompts are chosen by.

    By the bootstrap over queries (Efron 1983): drawn again from these, they are to these what these are to all there
    are. What the drawn ones choose, and how much less of its lead all of them leave it, tells how much of a lead is
    of these queries alone; how outcomes scatter over the draws, how well these queries know them. Where shares of
    right answers are known but not which, queries are drawn as if they were right independently of each other.

    Parameters
    ----------
    measured : MeasuredPrompts
        With outcomes of single queries, or shares of a known number.
    fitted : FittedPrompts
        To these.

    Attributes
    ----------
    kept_ : float
        Share of a prediction's lead over the mean prompt that is left on new queries, 0 to 1.
    kept_of_measured_ : float
        The same of a measured lead.
    """

    def __init__(self, measured: MeasuredPrompts, fitted: FittedPrompts) -> None:
        self._surrogate, self._scale = fitted.surrogate, fitted.scale
        q, rng, values = measured.asked_of, np.random.default_rng(0), measured.values
        if measured.by_query is None:
            means = rng.binomial(q, values[:, None], (len(values), _BOOTSTRAPS)) / q
        else:
            means = measured.by_query @ (rng.multinomial(q, np.full(q, 1 / q), size=_BOOTSTRAPS).T / q)
        # harder queries raise the losses of all prompts alike: told apart, or a floor would not be where it was
        self._levels = means.mean(axis=0) / values.mean() if measured.positive else np.ones(_BOOTSTRAPS)
        self._again = self._scale.write(means / self._levels)
        written, sign = self._scale.write(values), -1.0 if measured.higher_is_better else 1.0
        self.centre = float(written.mean())
        best = measured.orders[np.argsort(sign * written, kind="stable")]
        pool = near_and_drawn(best[:_PARENTS], measured.K, _DRAWN, np.random.default_rng(1), ordered=measured.ordered)
        self.kept_of_measured_ = _kept(sign * written, sign * self._again)
        self.kept_ = _kept(
            sign * self._surrogate.predict(pool)[:, 0], sign * self._surrogate.means_for(pool, self._again),
            around=sign * self.centre, around_again=sign * self._again.mean(axis=0),
        )  # fmt: skip
        self._widened = math.sqrt(1 + (q / measured.fresh if measured.fresh else 0.0))

    def of_measured(self, row: int) -> float:
        """Standard deviation that the draw of queries gives a measured outcome; of a loss, in its logarithm."""
        return self._spread(self._scale.read(self._again[row]))

    def of_mean(self, orders: PromptOrders) -> float:
        """The same of the mean outcome of some prompts."""
        return self._spread(self._scale.read(self._surrogate.means_for(orders, self._again)).mean(axis=0))

    def of_mean_prompt(self) -> float:
        """The same of the mean over all measured prompts."""
        return self._spread(self._scale.read(self._again).mean(axis=0))

    def _spread(self, outcomes: Array) -> float:
        """Of an outcome in each draw; harder queries come back in."""
        levels = np.log(outcomes * self._levels) if self._scale.positive else outcomes
        return float(levels.std(ddof=1)) * self._widened


def _kept(values: Array, again: Array, around: float | None = None, around_again: Array | None = None) -> float:
    """Share of the lead of what is least in each column of `again` that `values` leave it."""
    centre = values.mean() if around is None else around
    centres = again.mean(axis=0) if around_again is None else around_again
    picks = again.argmin(axis=0)
    promised = float((centres - again[picks, np.arange(again.shape[1])]).sum())
    left = float((centre - values[picks]).sum())
    return min(max(left / promised, 0.0), 1.0) if promised > 0 else 1.0
