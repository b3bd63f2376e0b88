"""What the Demonstrations page works on: the fitted surrogate, its readouts, and the picked demonstrations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from kernelsm.app.shell import session
from kernelsm.app.shell.fits import fitted, read_off
from kernelsm.app.shell.open_runs import Run, known_orders, open_run
from kernelsm.app.shell.words import plain
from kernelsm.prompts.order_search import (
    best_order,
    best_order_seen,
    choose_cautiously,
    choose_set,
    expected_over_orders,
)
from kernelsm.prompts.order_surrogate import PositionSurrogate
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.selection.completion import expected_outcome
from kernelsm.selection.search import MOST_SUBSETS, Balance, choose
from kernelsm.selection.simple_choices import best_seen, most_alike, random_prompts, top_by_linear
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.reading import Readout
from kernelsm.surrogates.results import interval_quantile
from kernelsm.workspace.prompt_projects import PromptSource, find_prompts

_HISTORY = "kernelsm_picked_before"
_LONGEST_HISTORY = 100
ORDERED, PAIRWISE, SEEN, RANDOM = "Order-aware", "Pairwise-aware", "Best prompt seen", "A random prompt"
OWN_ORDER = {ORDERED, SEEN}
"""Suggestions of an order too, where single orders are known."""
BALANCE, EVERY = "demo_balance", "demo_every"
"""Keys of the toggles that ask for as many demonstrations of each label, and for a search of all prompts."""
_MOST_ORDERED = 6  # demonstrations, whose 720 orders can all be tried
ALL_IN = "Every prompt holds all candidates: only their order can be chosen."


@dataclass(frozen=True)
class PromptChoice:
    """A run of prompts, its texts, and the fitted surrogate with its readout."""

    run: Run
    source: PromptSource
    surrogate: Surrogate
    readout: Readout

    @property
    def task(self) -> PromptTask:
        """Texts, labels, template and k."""
        return self.source.task

    @property
    def size(self) -> int:
        """Demonstrations in a prompt: as many as in the measured ones."""
        return self.run.slots(self.task)

    @property
    def picked(self) -> tuple[int, ...]:
        """Candidates in the slots, in the prompt's order."""
        return session.view().picked

    @property
    def holds_all(self) -> bool:
        """Whether every measured prompt holds all candidates: then single effects cannot be estimated."""
        return bool(self.run.outcomes.masks.all())

    @property
    def knows_orders(self) -> bool:
        """Whether predictions come from single orders: with the default surrogate, where these are known."""
        return session.view().kernel == "auto" and position_surrogate(self.run.fits) is not None

    def expected(self, picked: tuple[int, ...]) -> tuple[float, float]:
        """Predicted loss of a prompt over all orders, empty slots filled at random, and half of its 90% interval."""
        if self.knows_orders:
            return _over_orders(self.run.fits, picked)
        return _over_fillings(self.run.fits, *session.view().surrogate, picked, self.size)

    def in_order(self, picked: tuple[int, ...]) -> tuple[float, float] | None:
        """Predicted loss of a full prompt in its order, and half of its 90% interval; None where it is not known."""
        surrogate = position_surrogate(self.run.fits)
        if surrogate is None:
            return None
        value, std = (float(column[0]) for column in surrogate.predict_mean([picked]))
        # one order has the noise that a mean over many is free of
        spread = math.hypot(std, float(surrogate.noise_variance_[0]) ** 0.5)
        return value, interval_quantile(surrogate.degrees_of_freedom_) * spread

    @property
    def orders_learnt(self) -> tuple[int, int]:
        """How many single orders predictions come from, and how many are known; (0, 0) where they come from none."""
        surrogate = position_surrogate(self.run.fits) if self.knows_orders else None
        return (0, 0) if surrogate is None else (len(surrogate.rows_), surrogate.given_)

    def best_order(self, picked: tuple[int, ...]) -> tuple[int, ...] | None:
        """The same demonstrations in the order that is predicted to be best; None where it cannot be predicted."""
        surrogate = position_surrogate(self.run.fits)
        if surrogate is None or len(picked) > _MOST_ORDERED:
            return None
        return best_order(surrogate, picked, higher_is_better=self.run.outcomes.higher_is_better)

    def name(self, k: int) -> str:
        """Short name of a candidate, safe for Markdown."""
        return plain(self.run.outcomes.task_names[k])


def prompt_choice(run: Run) -> PromptChoice:
    """Fit (or find) the surrogate that the view names, of the mean over queries, and read it off."""
    surrogate = session.view().surrogate
    return PromptChoice(
        run,
        find_prompts(run.prompts),
        fitted(run.fits, "", *surrogate),
        read_off(run.fits, "", *surrogate, "inclusion"),
    )


# a fit keeps a factor of m² numbers
@st.cache_resource(max_entries=3, show_spinner="Learning what the order does ...")
def position_surrogate(key: str) -> PositionSurrogate | None:
    """Return a surrogate of ordered prompts, of the mean over queries; None where single orders are not known."""
    run = open_run(key)
    ordered, task = known_orders(key), find_prompts(run.prompts).task
    if (
        ordered is None
        or not len(ordered.orders)
        or ordered.orders.shape[1] > _MOST_ORDERED
        or ordered.orders.max() >= task.K
    ):
        return None
    if run.outcomes.masks.all():  # the effect of an order can only be learnt from several sets
        return None
    labels = np.array([task.labels.index(candidate.label) for candidate in task.candidates])
    return PositionSurrogate().fit(ordered.orders, ordered.values.mean(axis=1)[:, None], task.K, labels)


@st.cache_data(max_entries=10_000, show_spinner=False)
def _over_fillings(
    key: str, kernel: str, gamma: float | None, ridge: float, picked: tuple[int, ...], size: int
) -> tuple[float, float]:
    surrogate = fitted(key, "", kernel, gamma, ridge)
    value, std = expected_outcome(surrogate, picked, size)
    return value, interval_quantile(surrogate.degrees_of_freedom_) * std


@st.cache_data(max_entries=10_000, show_spinner=False)
def _over_orders(key: str, picked: tuple[int, ...]) -> tuple[float, float]:
    surrogate = position_surrogate(key)
    assert surrogate is not None
    value, std = expected_over_orders(surrogate, picked)
    if len(picked) == surrogate.k_:  # with few orders, their noise remains in the mean over them
        std = math.sqrt(std**2 + float(surrogate.noise_variance_[0]) / math.factorial(surrogate.k_))
    return value, interval_quantile(surrogate.degrees_of_freedom_) * std


def pick(picked: tuple[int, ...]) -> None:
    """Put these into the slots and add the change to the history for Undo; call it in callbacks."""
    current = session.view().picked
    if picked == current:
        return
    past = _past()
    if past[-1:] != [current]:  # a link, or the change of run, filled or emptied the slots
        past.append(current)
    past.append(picked)
    del past[:-_LONGEST_HISTORY]
    session.update(picked=picked)


def undo() -> None:
    """Put back what was in the slots before."""
    before, past = picked_before(), _past()
    if before is not None:
        while past[-1] != before:
            past.pop()
        session.update(picked=before)


def picked_before() -> tuple[int, ...] | None:
    """What was in the slots of this run before the last change; None where nothing was changed."""
    current = session.view().picked
    return next((picked for picked in reversed(_past()) if picked != current), None)


def _past() -> list[tuple[int, ...]]:
    """What was in the slots of this run, oldest first; another run has other candidates and slots."""
    of_runs: dict[str, list[tuple[int, ...]]] = st.session_state.setdefault(_HISTORY, {})
    return of_runs.setdefault(session.view().run, [])


def ticked(picked: tuple[int, ...], shown: Sequence[int], rows: Sequence[int]) -> tuple[int, ...]:
    """Return the picked candidates after these rows of the table are ticked; new ones come last.

    Parameters
    ----------
    picked : tuple of int
        In the slots so far; those that the table does not show stay.
    shown : sequence of int
        Candidate of each row.
    rows : sequence of int
        The ticked ones.
    """
    chosen = [shown[row] for row in rows if row < len(shown)]
    kept = tuple(k for k in picked if k in chosen or k not in shown)
    return (*kept, *(k for k in chosen if k not in kept))


def moved_up(picked: tuple[int, ...], place: int) -> tuple[int, ...]:
    """Return the picked candidates with the one at `place` moved one place earlier."""
    if place == 0:
        return picked
    return (*picked[: place - 1], picked[place], picked[place - 1], *picked[place + 1 :])


@dataclass(frozen=True)
class Suggestion:
    """A choice of demonstrations: its name, how it is made, the candidates, and whether their order is chosen too.

    `measured` is its outcome in that order, where it is known.
    """

    name: str
    about: str
    picked: tuple[int, ...]
    ordered: bool = False
    measured: float | None = None


def chosen_suggestions(choice: PromptChoice) -> tuple[Suggestion, ...]:
    """Return the suggestions that the toggles ask for."""
    balance = bool(st.session_state.get(BALANCE, False))
    every = bool(st.session_state.get(EVERY, False)) and prompts_to_search(choice.task, choice.size, balance) > 0
    return suggestions(choice.run.fits, *session.view().surrogate, balance, every)


def prompts_to_search(task: PromptTask, size: int, balance: bool) -> int:
    """Return how many prompts there are of a size; 0 where they are too many to try them all, or there is none."""
    try:
        count = Balance.of(task.K, size, [candidate.label for candidate in task.candidates], balance).count()
    except InputError:
        return 0
    return count if count <= MOST_SUBSETS else 0


@st.cache_resource(max_entries=32, show_spinner="Searching prompts ...")
def suggestions(
    key: str, kernel: str, gamma: float | None, ridge: float, balance: bool, every: bool
) -> tuple[Suggestion, ...]:
    """Return the choices of every search and of the baselines, for a run's surrogate."""
    run = open_run(key)
    task = find_prompts(run.prompts).task
    size = run.slots(task)
    labels = [candidate.label for candidate in task.candidates]
    surrogate = fitted(key, "", kernel, gamma, ridge)
    outcomes, ordered = run.outcomes, known_orders(key)
    constraints: dict[str, Any] = {"labels": labels, "balance": balance}
    makers: list[tuple[str, str, Any]] = [
        (ORDERED, "demonstrations and their order together, by the worse end of the predicted interval",
         lambda: _by_orders(key, partial(choose_cautiously, seen=ordered), **constraints)
         if ordered and size > 1 else ()),
        (PAIRWISE, "which demonstrations and how many of each label work together, whatever their order",
         lambda: _by_orders(key, choose_set, **constraints)),
        (SEEN, "the best of the measured prompts",
         lambda: best_order_seen(ordered, outcomes.K, **constraints, higher_is_better=outcomes.higher_is_better)
         if ordered else best_seen(outcomes, size, **constraints)),
        ("By Fit's surrogate", "swap search on it: sees which demonstrations work together",
         lambda: choose(surrogate, size, "swap", **constraints).demonstrations),
        ("Best of all by Fit's surrogate", "all prompts predicted by it",
         lambda: choose(surrogate, size, "exhaustive", **constraints).demonstrations if every else ()),
        ("Greedy", "adds what the surrogate says helps most, one by one",
         lambda: choose(surrogate, size, "greedy", **constraints).demonstrations),
        ("Top by attribution", "the paper's choice: the best single demonstrations",
         lambda: choose(surrogate, size, "top", **constraints).demonstrations),
        ("Top by linear surrogate", "the best coefficients of a tuned linear fit",
         lambda: top_by_linear(outcomes, size, **constraints).demonstrations),
        ("Nearest to the queries", "the sentences most like the queries, by their embeddings",
         lambda: _nearest(outcomes.meta.get("likeness"), size, labels, balance)),
        (RANDOM, "drawn by chance, to compare with",
         lambda: tuple(np.flatnonzero(random_prompts(outcomes.K, size, 1, seed=7, **constraints)[0]).tolist())),
    ]  # fmt: skip
    made = []
    for name, about, make in makers:
        try:
            chosen = make()
        except InputError:  # no balanced prompt was measured, or a label is too rare for balance
            continue
        if chosen:
            measured = None
            if ordered is not None and name == SEEN:
                measured = float(ordered.values[(ordered.orders == chosen).all(axis=1)].mean())
            made.append(Suggestion(name, about, chosen, name in OWN_ORDER and ordered is not None, measured))
    return tuple(made)


def _by_orders(
    key: str, search: Callable[..., tuple[tuple[int, ...], float]], *, labels: list[str], balance: bool
) -> tuple[int, ...]:
    """The best prompt that a search on the surrogate of single orders finds; none where these are not known."""
    surrogate = position_surrogate(key)
    if surrogate is None:
        return ()
    higher_is_better = open_run(key).outcomes.higher_is_better
    return search(surrogate, labels=labels, balance=balance, higher_is_better=higher_is_better)[0]


def _nearest(likeness: Any, size: int, labels: list[str], balance: bool) -> tuple[int, ...]:
    """Candidates most like the queries; none where the run does not say how alike they are."""
    if not isinstance(likeness, list) or len(likeness) != len(labels):
        return ()
    return most_alike(likeness, size, labels=labels, balance=balance)
