"""At most four prompts to try, each found in a way of its own, by what they are worth on new queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.order_search import best_order, best_order_seen, choose_cautiously, choose_set
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.prompt_prediction import Predicted, PromptPrediction
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import rising
from kernelsm.selection.search import Balance
from kernelsm.selection.simple_choices import most_alike, top_by_linear
from kernelsm.surrogates.results import Attribution

MOST_SHOWN = 4
MOST_ORDERED = 6
"""Demonstrations whose orders, 720, can all be tried."""
ORDERED, PAIRWISE, SEEN = "Order-aware", "Pairwise-aware", "Best prompt seen"
TOP, LINEAR, NEAREST = "Top by attribution", "Top by linear surrogate", "Nearest to the queries"
_ABOUT = {
    ORDERED: "demonstrations and their order together, by the worse end of the predicted interval",
    PAIRWISE: "demonstrations that work together whatever their order",
    SEEN: "the best of the measured prompts",
    TOP: "the paper's choice: the best single demonstrations",
    LINEAR: "the best coefficients of a tuned linear fit",
    NEAREST: "the texts most like the queries, by their embeddings",
}


@dataclass(frozen=True)
class Suggestion:
    """A prompt to try.

    Parameters
    ----------
    names : tuple of str
        The ways that lead to it.
    about : str
        How the first of them chooses.
    picked : tuple of int
        In its order.
    predicted : Predicted
        Of this order, on new queries.
    """

    names: tuple[str, ...]
    about: str
    picked: tuple[int, ...]
    predicted: Predicted

    @property
    def name(self) -> str:
        """The first way that leads to it."""
        return self.names[0]


def suggest(
    prediction: PromptPrediction,
    outcomes: Outcomes,
    effects: Attribution,
    labels: Sequence[str],
    *,
    balance: bool = False,
    likeness: Sequence[float] | None = None,
    by_prediction: bool = True,
) -> tuple[Suggestion, ...]:
    """Return at most four different prompts, those first whose interval's worse end is best.

    One that would be worse than what the first is expected to be even at its interval's better end is left out.

    Parameters
    ----------
    prediction : PromptPrediction
    outcomes : Outcomes
        Of the same prompts as sets.
    effects : Attribution
        What single candidates do; see `candidate_effects`.
    labels : sequence of str, length K
    balance : bool
        Only prompts in which no label has more than one demonstration more than another.
    likeness : sequence of float, optional
        How like the queries each candidate is.
    by_prediction : bool
        Else the best measured prompt alone.
    """
    measured, surrogate = prediction.measured, prediction.surrogate
    rule: dict[str, Any] = {"labels": labels, "balance": balance}
    better: dict[str, Any] = {"higher_is_better": measured.higher_is_better}
    seen = OrderedOutcomes(measured.orders.astype(np.int64), measured.values[:, None])
    makers: dict[str, Callable[[], tuple[int, ...]]] = {
        SEEN: lambda: best_order_seen(seen, measured.K, **rule, **better),
        ORDERED: lambda: choose_cautiously(surrogate, seen, **rule, **better)[0] if measured.k > 1 else (),
        PAIRWISE: lambda: choose_set(surrogate, **rule, **better)[0] if 1 < measured.k <= MOST_ORDERED else (),
        TOP: lambda: _top(effects, Balance.of(measured.K, measured.k, labels, balance)),
        LINEAR: lambda: top_by_linear(outcomes.mean_target(), measured.k, **rule).demonstrations,
        NEAREST: lambda: _nearest(likeness, measured.k, labels, balance),
    }
    found: dict[tuple[int, ...], list[str]] = {}
    for name, make in makers.items():
        if name != SEEN and not by_prediction:
            continue
        try:
            chosen = make()
        except InputError:  # no balanced prompt was measured, or a label is too rare for balance
            continue
        if chosen:
            found.setdefault(_in_best_order(prediction, name, chosen), []).append(name)
    made = [
        Suggestion(tuple(names), _ABOUT[names[0]], picked, prediction.predict(picked))
        for picked, names in found.items()
    ]
    sign = -1.0 if measured.higher_is_better else 1.0
    ends = sign * np.array([(one.predicted.low, one.predicted.high) for one in made]).reshape(-1, 2)
    ranked = [int(row) for row in rising(ends.max(axis=1))]
    bar = sign * made[ranked[0]].predicted.value if ranked else 0.0
    worth = [row for row in ranked if ends[row].min() <= bar]
    return tuple(made[row] for row in worth[:MOST_SHOWN])


def _in_best_order(prediction: PromptPrediction, name: str, chosen: tuple[int, ...]) -> tuple[int, ...]:
    """A set of demonstrations in the order predicted to be best; what comes in an order of its own, in that."""
    chosen = tuple(int(k) for k in chosen)
    if not prediction.knows_orders:
        return tuple(sorted(chosen))
    if name in (ORDERED, SEEN) or len(chosen) > MOST_ORDERED:
        return chosen
    return best_order(prediction.surrogate, chosen, higher_is_better=prediction.measured.higher_is_better)


def _top(effects: Attribution, rule: Balance) -> tuple[int, ...]:
    """The candidates with the best effects of their own."""
    preferred = rising(-effects.values[:, 0] if effects.higher_is_better else effects.values[:, 0])
    inside = rule.first_allowed(preferred)
    return tuple(int(k) for k in preferred[inside[preferred]])


def _nearest(likeness: Sequence[float] | None, size: int, labels: Sequence[str], balance: bool) -> tuple[int, ...]:
    """Candidates most like the queries; none where it is not known how alike they are."""
    if likeness is None or len(likeness) != len(labels):
        return ()
    return most_alike(list(likeness), size, labels=labels, balance=balance)
