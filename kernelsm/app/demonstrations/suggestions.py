"""At most four prompts to try, each found in a way of its own, by what they are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from kernelsm.app.demonstrations.prediction import Predicted, PromptPrediction
from kernelsm.app.demonstrations.prompt_choice import MOST_ORDERED, PromptChoice, effects_of, known_prediction
from kernelsm.app.shell.open_runs import open_run
from kernelsm.prompts.order_search import best_order, best_order_seen, choose_cautiously, choose_set
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import rising
from kernelsm.selection.search import Balance
from kernelsm.selection.simple_choices import most_alike, top_by_linear
from kernelsm.workspace.prompt_projects import find_prompts

BALANCE = "demo_balance"
"""Key of the toggle that asks for as many demonstrations of each label."""
MOST_SHOWN = 4
ORDERED, PAIRWISE, SEEN, RANDOM = "Order-aware", "Pairwise-aware", "Best prompt seen", "A random prompt"
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
        Of this order; measured, where it was asked.
    """

    names: tuple[str, ...]
    about: str
    picked: tuple[int, ...]
    predicted: Predicted

    @property
    def name(self) -> str:
        """The first way that leads to it."""
        return self.names[0]


def chosen_suggestions(choice: PromptChoice) -> tuple[Suggestion, ...]:
    """Return what to try: the best measured prompt alone, where too few were measured to choose by prediction."""
    if choice.prediction is None:
        return ()
    return suggestions(choice.run.fits, bool(st.session_state.get(BALANCE, False)), choice.more_to_ask == 0)


@st.cache_data(max_entries=32, show_spinner="Searching prompts ...")
def suggestions(key: str, balance: bool, by_prediction: bool = True) -> tuple[Suggestion, ...]:
    """Return at most four different prompts, those first whose interval's worse end is best.

    Parameters
    ----------
    key : str
        Of the run (see `Run.fits`).
    balance : bool
        Only prompts in which no label has more than one demonstration more than another.
    by_prediction : bool
        Else the best measured prompt alone.
    """
    prediction, run = known_prediction(key), open_run(key)
    task = find_prompts(run.prompts).task
    labels = [candidate.label for candidate in task.candidates]
    rule: dict[str, Any] = {"labels": labels, "balance": balance}
    better: dict[str, Any] = {"higher_is_better": run.outcomes.higher_is_better}
    measured, surrogate = prediction.measured, prediction.surrogate
    seen = OrderedOutcomes(measured.orders.astype(np.int64), measured.values[:, None])
    makers: dict[str, Callable[[], tuple[int, ...]]] = {
        SEEN: lambda: best_order_seen(seen, measured.K, **rule, **better),
        ORDERED: lambda: choose_cautiously(surrogate, seen, **rule, **better)[0] if measured.k > 1 else (),
        PAIRWISE: lambda: choose_set(surrogate, **rule, **better)[0] if 1 < measured.k <= MOST_ORDERED else (),
        TOP: lambda: _top(key, Balance.of(measured.K, measured.k, labels, balance)),
        LINEAR: lambda: top_by_linear(run.outcomes.mean_target(), measured.k, **rule).demonstrations,
        NEAREST: lambda: _nearest(run.outcomes.meta.get("likeness"), measured.k, labels, balance),
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
            found.setdefault(_in_best_order(prediction, name, chosen, **better), []).append(name)
    made = [
        Suggestion(tuple(names), _ABOUT[names[0]], picked, prediction.predict(picked))
        for picked, names in found.items()
    ]
    worst = [-one.predicted.low if better["higher_is_better"] else one.predicted.high for one in made]
    return tuple(made[row] for row in rising(np.array(worst))[:MOST_SHOWN])


def _in_best_order(
    prediction: PromptPrediction, name: str, chosen: tuple[int, ...], *, higher_is_better: bool
) -> tuple[int, ...]:
    """A set of demonstrations in the order predicted to be best; what comes in an order of its own, in that."""
    chosen = tuple(int(k) for k in chosen)
    if not prediction.knows_orders:
        return tuple(sorted(chosen))
    if name in (ORDERED, SEEN) or len(chosen) > MOST_ORDERED:
        return chosen
    return best_order(prediction.surrogate, chosen, higher_is_better=higher_is_better)


def _top(key: str, rule: Balance) -> tuple[int, ...]:
    """The candidates with the best effects of their own."""
    effects = effects_of(key)
    preferred = rising(-effects.values[:, 0] if effects.higher_is_better else effects.values[:, 0])
    inside = rule.first_allowed(preferred)
    return tuple(int(k) for k in preferred[inside[preferred]])


def _nearest(likeness: Any, size: int, labels: list[str], balance: bool) -> tuple[int, ...]:
    """Candidates most like the queries; none where the run does not say how alike they are."""
    if not isinstance(likeness, list) or len(likeness) != len(labels):
        return ()
    return most_alike(likeness, size, labels=labels, balance=balance)
