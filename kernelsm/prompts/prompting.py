"""Prompting: F(s) by really asking a language model, its prompt holding the demonstrations in s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.estimators.estimator import BlockWork, Estimator
from kernelsm.models.language_model import LanguageModel
from kernelsm.objectives.objective import Measure, find_measure
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.asked import (
    MEASURES,
    askable_content_free,
    asked_where_it_works,
    check_prompt,
    measured,
    measures_of,
    score,
)
from kernelsm.prompts.asker import Asker, as_asker
from kernelsm.prompts.calibration import check_label_probabilities
from kernelsm.prompts.orders import order_noise
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.checks import check_counts, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store

SUBSET_CHUNKS = ChunkKind("prompt_subsets", version=1)
__all__ = ["MEASURES", "Prompting", "score", "short_names"]

_CALIBRATED = "calibrated"
_LONGEST_NAME = 60
_SAME_BEGINNING = 12  # characters; a shorter one stays


class Prompting(Estimator):
    """Scores subsets of demonstrations exactly, each under several random orders.

    The order of demonstrations changes the loss of small models about as much as their choice. The outcome of a
    subset is the mean over its orders, and their spread says how far one order may be from it (see `table`). The
    empty subset is a prompt without a demonstration. The loss of a query is the cross-entropy over the label words in
    nats; a subset is scored and kept by the store with all its orders and measures, so that another measure asks the
    model nothing.

    Parameters
    ----------
    task : PromptTask
        Its candidates are the tasks, its queries the targets.
    model : LanguageModel or Asker
        See `load_language_model` and `Asker`.
    orders : int
        Random orders of each subset, different ones; fewer where it has not so many.
    seed : int
        Of the orders. Those of a subset depend on nothing else, in particular not on the other subsets.
    fresh : bool
        Ask the task's fresh queries instead, which no choice of demonstrations has seen.
    calibrated : bool
        Ask about a few content-free queries after each prompt too, and take what the model then leans to off the
        log-probabilities of label words; see `kernelsm.prompts.calibration`.

    Raises
    ------
    InputError
        Orders below 1, a seed below 0, no fresh query where they are asked for, or `calibrated` without probabilities
        of label words.
    """

    block = 1

    def __init__(
        self,
        task: PromptTask,
        model: LanguageModel | Asker,
        *,
        orders: int = 2,
        seed: int = 0,
        fresh: bool = False,
        calibrated: bool = False,
    ) -> None:
        check_counts(orders=orders)
        check_whole("seed", seed, 0, fix="Number the seeds from 0.")
        if fresh and not task.fresh:
            raise InputError("fresh", "no fresh query", "at least 1", "Give the task queries that are kept back.")
        self.task, self.asker, self.orders, self.seed, self.fresh = task, as_asker(model), orders, seed, fresh
        self.queries = task.fresh if fresh else task.queries
        self.calibrated = calibrated
        if calibrated:
            gives = self.asker.gives_label_probabilities
            check_label_probabilities(task, gives_label_probabilities=gives, name=self.asker.name)

    def orders_of(self, mask: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
        """Return the orders that a subset is scored under: all different, drawn by the seed and the subset alone."""
        inside = np.flatnonzero(mask)
        rng = np.random.default_rng([self.seed, *inside.tolist()])
        # beyond 12 demonstrations there are more orders than anyone asks for
        most = min(self.orders, factorial(min(len(inside), 12)))
        drawn: dict[tuple[int, ...], None] = {}
        while len(drawn) < most:
            drawn[tuple(int(i) for i in rng.permutation(inside))] = None
        return tuple(drawn)

    @cached_property
    def identity(self) -> str:
        """Forty hex digits of what the answers depend on besides the task; see `Asker.identity`."""
        return self.asker.identity(chat=self.task.template.chat)

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """Short names of the candidates."""
        return short_names(self.task.candidates)

    @cached_property
    def target_names(self) -> tuple[str, ...]:
        """Short names of the queries."""
        return short_names(self.queries)

    @property
    def measures(self) -> Sequence[Measure]:
        """Those of the label words, which are the classes; see `measures_of`."""
        return measures_of(self.asker, self.task)

    @property
    def meta(self) -> dict[str, Any]:
        """Metadata of the outcomes: how they were computed; JSON types only."""
        return {
            "estimator": "prompting", "model": self.asker.name, "orders": self.orders, "seed": self.seed,
            "queries": "fresh" if self.fresh else "fit", "task": self.task.content_hash,
            "weights": self.identity, **({"calibrated": True} if self.calibrated else {}),
        }  # fmt: skip

    def by_order(
        self,
        masks: NDArray[np.bool_],
        *,
        measure: str = "loss",
        store: Store | None = None,
        report: Report = silent,
    ) -> tuple[list[tuple[int, ...]], NDArray[np.float64]]:
        """Find the outcome of each order of each mask; `outcomes` takes their mean, from the same store.

        Returns
        -------
        orders : list of tuples of int
            The candidates of each prompt as they stand in it, subset by subset.
        values : ndarray, shape (orders, q)

        Raises
        ------
        InputError
            As `outcomes`.
        """
        position = find_measure(self.measures, measure)
        masks = self.check_masks(masks)
        blocks = self._blocks(masks, self._work(store), store, report)
        orders = [order for mask in masks for order in self.orders_of(mask)]
        return orders, np.concatenate([values[:, position] for values in blocks])

    def table(
        self, masks: NDArray[np.bool_], blocks: Sequence[NDArray[np.float64]], measure: str, meta: dict[str, Any]
    ) -> Outcomes:
        """Take the mean over the orders of each subset, however they were scored.

        Parameters
        ----------
        masks : ndarray of bool, shape (m, K)
        blocks : sequence of ndarray, shape (orders, measures, q)
            All measures of each subset under its `orders_of`.
        measure : {"loss", "accuracy", "margin"}
        meta : dict
            Of the outcomes, without measure, unit and spread; JSON types only.

        Returns
        -------
        Outcomes
            Shape (m, q). `meta["order_spread"]` holds for each subset the standard deviation over its orders of the
            mean over the queries (one degree of freedom less; 0 for one order). What the orders say of the noise goes
            along as `noise`.
        """
        position = find_measure(self.measures, measure)
        by_order = [found[:, position] for found in blocks]
        means = [found.mean(axis=1) for found in by_order]
        spread = [float(mean.std(ddof=1)) if len(mean) > 1 else 0.0 for mean in means]
        noise = order_noise(by_order, np.sum(masks, axis=1).tolist())
        return replace(super().table(masks, blocks, measure, {**meta, "order_spread": spread}), noise=noise)

    def _values(self, block: NDArray[np.float64], position: int) -> NDArray[np.float64]:
        """Mean over the orders of one subset, shape (1, q)."""
        return np.asarray(block[:, position].mean(axis=0, keepdims=True))

    def _work(self, store: Store | None) -> BlockWork:
        return BlockWork(
            ChunkedWork(self._task, SUBSET_CHUNKS, "asking the language model"),
            # without calibration as it was before there was any: what was asked then is found again
            key=(
                self.task.content_hash,
                self.identity,
                self.orders,
                self.seed,
                self.fresh,
                *((_CALIBRATED,) if self.calibrated else ()),
            ),
            meta=self.meta,
        )

    def _task(self) -> Task:
        return Task(self._score_orders, in_threads=True)

    def _blocks(
        self, masks: NDArray[np.bool_], work: BlockWork, store: Store | None, report: Report
    ) -> list[NDArray[np.float64]]:
        self.check_lengths(masks)
        with asked_where_it_works(self.asker):
            return super()._blocks(masks, work, store, report)

    def _score_orders(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """All measures of one subset, a block of masks, under its orders: shape (orders, measures, q)."""
        (mask,) = masks
        return np.stack(
            [
                measured(self.asker, self.task, order, self.queries, calibrated=self.calibrated)
                for order in self.orders_of(mask)
            ]
        )

    def check_lengths(self, masks: NDArray[np.bool_]) -> None:
        """Refuse too long prompts before the first one is scored, not hours after it."""
        sizes = self.asker.sizes([candidate.text for candidate in self.task.candidates])
        largest = masks[(masks @ sizes + masks.sum(axis=1)).argmax()]
        demonstrations = np.flatnonzero(largest).tolist()
        check_prompt(self.asker, self.task, demonstrations, self.queries)
        if self.calibrated:
            askable_content_free(self.asker, self.task, demonstrations)


def short_names(texts: Sequence[Labelled]) -> tuple[str, ...]:
    """Return the texts on one line, cut to 60 characters and, where several are alike, numbered.

    A beginning that they all have is left out: it would be all that is seen of them.
    """
    names: list[str] = []
    shown = ("".join(letter if letter.isprintable() else " " for letter in example.text) for example in texts)
    words = [text.split() or ["(no", "letters)"] for text in shown]
    # what the first and the last in the order of words have in common all have; the last word of each stays
    first, last = min(words, default=[""]), max(words, default=[""])
    pairs = zip(first[:-1], last[:-1], strict=False)
    shared_words = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)) if len(words) > 1 else 0
    if shared_words and len(" ".join(words[0][:shared_words])) < _SAME_BEGINNING:
        shared_words = 0
    lines = [("… " if shared_words else "") + " ".join(row[shared_words:]) for row in words]
    shortened = [line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1].rstrip()}…" for line in lines]
    for name in shortened:
        unique, number = name, 1
        while unique in names:
            number += 1
            unique = f"{name} ({number})"
        names.append(unique)
    return tuple(names)
