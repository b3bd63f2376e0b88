"""What the Demonstrations page works on: a run of prompts, what it predicts, and the picked demonstrations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from kernelsm.app.shell import session
from kernelsm.app.shell.open_runs import Run, known_orders, open_run
from kernelsm.app.shell.words import plain
from kernelsm.pipelines.askers import gives_label_probabilities
from kernelsm.prompts.measured_prompts import MeasuredPrompts
from kernelsm.prompts.order_search import best_order
from kernelsm.prompts.prediction_quality import more_to_ask
from kernelsm.prompts.prompt_effects import candidate_effects
from kernelsm.prompts.prompt_posterior import FEWEST
from kernelsm.prompts.prompt_prediction import Predicted, PromptPrediction
from kernelsm.prompts.suggestions import MOST_ORDERED
from kernelsm.prompts.task import PromptTask
from kernelsm.surrogates.reading import MEAN_TARGET
from kernelsm.surrogates.results import Attribution
from kernelsm.workspace.prompt_projects import PromptSource, find_prompts

AIM, RIGHT_ANSWERS = "demo_aim", "Right answers"
"""Key of what prompts are chosen by, and its value where that is the share of right answers."""
_BY_RIGHT = " by right answers"
_HISTORY = "kernelsm_picked_before"
_LONGEST_HISTORY = 100
ALL_IN = "Every prompt holds all candidates: only their order can be chosen."


@dataclass(frozen=True)
class PromptChoice:
    """A run of prompts and its texts; what is predicted of them is computed when it is asked for.

    Parameters
    ----------
    run : Run
    source : PromptSource
    prediction : PromptPrediction, optional
        None where nothing can be learnt: every prompt holds all candidates, or too few were measured.
    by_right : bool
        Whether prompts are chosen by their share of right answers: else by the outcome of the run.
    """

    run: Run
    source: PromptSource
    prediction: PromptPrediction | None
    by_right: bool = False

    @property
    def key(self) -> str:
        """Of what is fitted: that of the run's fits, marked where prompts are chosen by right answers."""
        return f"{self.run.fits}{_BY_RIGHT}" if self.by_right else self.run.fits

    @property
    def higher_is_better(self) -> bool:
        """Of what prompts are chosen by."""
        return self.by_right or self.run.outcomes.higher_is_better

    @property
    def word(self) -> str:
        """What prompts are chosen by, in a word or two."""
        return "share of right answers" if self.by_right else self.run.word

    @property
    def measured_unit(self) -> str:
        """What prompts are chosen by, with its unit."""
        return self.word if self.by_right else self.run.unit

    @property
    def of_outcome(self) -> PromptChoice:
        """The same, chosen by the outcome of the run."""
        return prompt_choice(self.run, by_right=False)

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
    def is_loss(self) -> bool:
        """Whether prompts are chosen by their loss."""
        return not self.higher_is_better and self.run.word == "loss"

    @property
    def calibrated(self) -> bool:
        """Whether label words of the run are calibrated, and can be again when the model is asked."""
        # metadata of an uploaded table may say so of texts that have no label words
        return self.run.calibrated and gives_label_probabilities(self.source)

    @property
    def unit(self) -> str:
        """What is measured with its unit, at the beginning of a sentence."""
        return f"{self.measured_unit[:1].upper()}{self.measured_unit[1:]}"

    @property
    def of_new_queries(self) -> bool:
        """Whether what is predicted is predicted of new queries: else of those that prompts were measured on."""
        return self.prediction is not None and self.prediction.of_new_queries

    @property
    def knows_orders(self) -> bool:
        """Whether single orders are predicted: else what is said of a prompt is the mean over its orders."""
        return self.prediction is not None and self.prediction.knows_orders

    def in_order(self, picked: tuple[int, ...]) -> Predicted | None:
        """The prediction of a prompt in its order, empty slots filled at random; None where nothing can be learnt."""
        return _in_order(self.key, picked) if self.prediction else None

    def over_orders(self, picked: tuple[int, ...]) -> Predicted | None:
        """The same in the mean over all orders."""
        return _over_orders(self.key, picked) if self.prediction else None

    def change(self, before: tuple[int, ...], after: tuple[int, ...]) -> float | None:
        """By how much the outcome changes from one choice to another; None where nothing can be learnt."""
        if self.prediction is None:
            return None
        # a first pick is held to what is predicted of empty slots, not to the measured mean that they show
        key = self.key
        values = [(_in_order(key, picked) if picked else _empty(key)).value for picked in (after, before)]
        return values[0] - values[1]

    @property
    def mean_prompt(self) -> float:
        """Mean outcome of the measured prompts."""
        return self.prediction.mean_prompt.value if self.prediction else float(self.run.outcomes.values.mean())

    @property
    def effects(self) -> Attribution | None:
        """What single candidates do; None where every prompt holds all of them, or nothing can be learnt."""
        return effects_of(self.key) if self.prediction else None

    @property
    def more_to_ask(self) -> int:
        """How many more prompts to ask before one can be chosen by prediction; 0 where there are enough."""
        return _more_to_ask(self.key) if self.prediction else 0

    @property
    def orders_learnt(self) -> tuple[int, int]:
        """How many single orders predictions come from, and how many are known; (0, 0) where they come from none."""
        if self.prediction is None or not self.prediction.measured.ordered:
            return 0, 0
        return len(self.prediction.surrogate.rows_), self.prediction.surrogate.given_

    def best_order(self, picked: tuple[int, ...]) -> tuple[int, ...] | None:
        """The same demonstrations in the order that is predicted to be best; None where it cannot be predicted."""
        if self.prediction is None or not self.knows_orders or len(picked) > MOST_ORDERED:
            return None
        return best_order(self.prediction.surrogate, picked, higher_is_better=self.higher_is_better)

    def name(self, k: int) -> str:
        """Short name of a candidate, safe for Markdown."""
        return plain(self.run.outcomes.task_names[k])

    def is_better(self, change: float) -> bool:
        """Whether an outcome that changes by so much is a better one."""
        return (change > 0) == self.higher_is_better


def prompt_choice(run: Run, *, by_right: bool | None = None) -> PromptChoice:
    """Find what the page works on; by what prompts are chosen is the visitor's, unless it is given."""
    source = find_prompts(run.prompts)
    asked_for = st.session_state.get(AIM) == RIGHT_ANSWERS if by_right is None else by_right
    if asked_for and knows_right(run):
        return PromptChoice(run, source, prediction(f"{run.fits}{_BY_RIGHT}"), by_right=True)
    return PromptChoice(run, source, prediction(run.fits))


def knows_right(run: Run) -> bool:
    """Whether the share of right answers is known of each prompt of a run whose outcome is something else."""
    found = prediction(run.fits)
    if found is None or found.measured.right is None or found.measured.higher_is_better:
        return False
    return bool(np.isfinite(found.measured.right).all())


def run_of(key: str) -> Run:
    """Return the run of a `PromptChoice.key`."""
    return open_run(key.removesuffix(_BY_RIGHT))


def measured_prompts(key: str, query: int | None = None) -> MeasuredPrompts | None:
    """Return what was measured of the prompts of a run, of one query or in the mean over all.

    Parameters
    ----------
    key : str
        See `PromptChoice.key`.
    query : int, optional

    Returns
    -------
    MeasuredPrompts or None
        None where there are too few, all hold all candidates, or right answers are not known.
    """
    run = run_of(key)
    ordered, task = known_orders(run.fits), find_prompts(run.prompts).task
    labels = np.array(task.classes)
    outcomes, size = run.outcomes, run.slots(task)
    if outcomes.masks.all() or outcomes.K != task.K:
        return None
    if ordered is not None and len(ordered.orders) and ordered.orders.max() < task.K:
        orders, table, right = ordered.orders, ordered.values, ordered.right
        is_loss = not outcomes.higher_is_better and outcomes.meta.get("unit", "nats") == "nats"
        if right is None and is_loss and not task.free and len(task.labels) == 2:
            right = (table < math.log(2)).mean(axis=1)  # the right one of two labels has more than half
    else:
        ordered, right = None, None
        rows = np.flatnonzero(outcomes.masks.sum(axis=1) == size)
        orders = np.nonzero(outcomes.masks[rows])[1].reshape(len(rows), size)
        table = outcomes.values[rows]
    if key.endswith(_BY_RIGHT):
        return None if right is None else MeasuredPrompts(
            orders.astype(np.intp), right, task.K, labels, ordered is not None, True, right=right,
            queries=table.shape[1], fresh=len(task.fresh),
        )  # fmt: skip
    values = table.mean(axis=1) if query is None else table[:, query]
    found = MeasuredPrompts(
        orders.astype(np.intp), values, task.K, labels, ordered is not None, outcomes.higher_is_better,
        right=right if query is None else None, by_query=table if query is None else None, fresh=len(task.fresh),
    )  # fmt: skip
    return found if len(set(found.sets)) >= FEWEST and np.isfinite(table).all() else None


# a fit keeps a factor of m² numbers
@st.cache_resource(max_entries=6, show_spinner="Learning from the measured prompts ...")
def prediction(key: str) -> PromptPrediction | None:
    """Return what predicts prompts (see `PromptChoice.key`); None where nothing can be learnt."""
    measured = measured_prompts(key)
    return None if measured is None else PromptPrediction(measured)


def known_prediction(key: str) -> PromptPrediction:
    """Return the prediction of a key (see `PromptChoice.key`) that has one."""
    found = prediction(key)
    assert found is not None
    return found


@st.cache_data(max_entries=10_000, show_spinner=False)
def _in_order(key: str, picked: tuple[int, ...]) -> Predicted:
    return known_prediction(key).predict(picked)


@st.cache_data(max_entries=64, show_spinner=False)
def _empty(key: str) -> Predicted:
    return known_prediction(key).modelled(())


@st.cache_data(max_entries=10_000, show_spinner=False)
def _over_orders(key: str, picked: tuple[int, ...]) -> Predicted:
    return known_prediction(key).mean_over_orders(picked)


@st.cache_data(max_entries=64, show_spinner="Looking what single demonstrations do ...")
def effects_of(key: str) -> Attribution:
    """Return what single candidates do, of a key (see `PromptChoice.key`) that has a prediction."""
    run = run_of(key)
    word = run.word if key == run.fits else "right answers"
    return candidate_effects(known_prediction(key), run.outcomes.task_names, MEAN_TARGET, word)


@st.cache_data(max_entries=64, show_spinner="Looking whether that is enough to choose by ...")
def _more_to_ask(key: str) -> int:
    found = known_prediction(key)
    return more_to_ask(found.measured, found.surrogate)


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


def moved_down(picked: tuple[int, ...], place: int) -> tuple[int, ...]:
    """Return the picked candidates with the one at `place` moved one place later."""
    return moved_up(picked, place + 1) if place + 1 < len(picked) else picked
