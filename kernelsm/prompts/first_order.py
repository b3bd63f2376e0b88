"""First-order scoring of prompts (paper eq. 26): gradients at a few anchor prompts estimate all others at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from math import perm
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.language_model import LanguageModel
from kernelsm.objectives.objective import find_measure
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.first_order_check import Combine
from kernelsm.prompts.prompting import MEASURES, Prompting
from kernelsm.prompts.scoring import forward_passes, measure_labels, read_prompts
from kernelsm.prompts.slot_gradients import (
    AnchorLinearisation,
    Order,
    PaddedSlots,
    filling,
    gradients,
    normalised,
    query_batches,
)
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.checks import check_choice, check_counts
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store

ANCHOR_CHUNKS = ChunkKind("prompt_anchors", version=1)


class FirstOrder:
    """Estimates subsets of demonstrations from a few anchor prompts, each under the orders that `Prompting` takes.

    At an anchor, k random candidates in random order, each query passes through the network once, forward and back.
    The gradient of its label scores in the embeddings of the slots is multiplied with those of every candidate at
    once, which leaves one number for each query, label, slot and candidate: any further prompt is a sum of k of them.
    A prompt is estimated from its nearest anchor (that with most candidates in the same slots, then with most in
    common, then the first), or from the mean of all: each anchor is off by an amount of its own, which prompts that
    have different nearest anchors do not share.

    Two things are not exact: the first order itself, which is crude for small models, and the slots, whose tokens are
    read piece by piece and filled up to the longest candidate. See `kernelsm.prompts.first_order_check`.

    Parameters
    ----------
    task : PromptTask
        Its candidates are the tasks, its queries the targets; every prompt holds `task.k` demonstrations.
    model : LanguageModel
    anchors : int
        How many; fewer where there are not so many prompts. The first ones do not depend on their number.
    combine : {"nearest", "mean"}
        Which anchors estimate a prompt; "mean" is that of the label scores.
    orders, seed, fresh
        As of `Prompting`; the seed also draws the anchors.

    Raises
    ------
    InputError
        Prompts that are conversations, free answers, anchors below 1, an unknown way to combine them, what
        `Prompting` refuses, label words that the model cannot tell apart, or slots that are together longer than the
        model can read.
    """

    def __init__(
        self,
        task: PromptTask,
        model: LanguageModel,
        *,
        anchors: int = 4,
        combine: Combine = "nearest",
        orders: int = 2,
        seed: int = 0,
        fresh: bool = False,
    ) -> None:
        if task.template.chat:
            fix = "Ask with the prompts themselves (Prompting), or write them as plain text."
            raise InputError(
                "template", "prompts that are conversations", "plain text, whose slots are exchanged", fix
            )
        if task.free:
            fix = "Ask with the prompts themselves (Prompting)."
            raise InputError("task", "free answers", "label words, whose probabilities are estimated", fix)
        check_counts(anchors=anchors)
        check_choice("combine", combine, get_args(Combine))
        self.prompting = Prompting(task, model, orders=orders, seed=seed, fresh=fresh)
        self.task, self.model, self.combine = task, model, combine
        rng = np.random.default_rng(seed)
        drawn: dict[Order, None] = {}
        while len(drawn) < min(anchors, perm(task.K, task.k)):
            drawn[tuple(int(i) for i in rng.permutation(task.K)[: task.k])] = None
        self.anchors = tuple(drawn)
        self._check_length()

    @cached_property
    def slots(self) -> PaddedSlots:
        """The tokens of all prompts."""
        task, template = self.task, self.task.template
        marks, head, *texts = self.model.encode(
            [
                "",
                template.head([]),
                *map(template.shown, task.candidates),
            ]
        )
        rows = [row[len(marks) :] for row in texts]
        asked = [template.tail(query) for query in self.prompting.queries]
        tails = read_prompts(self.model, asked, task.labels, template.after_label)
        longest = max(map(len, rows))
        fill = filling(self.model, rows)
        blocks = np.array([[fill] * (longest - len(row)) + row for row in rows])
        return PaddedSlots(tuple(head), blocks, replace(tails, prompts=tuple(p[len(marks) :] for p in tails.prompts)))

    def outcomes(
        self,
        masks: NDArray[np.bool_],
        *,
        measure: str = "loss",
        store: Store | None = None,
        report: Report = silent,
    ) -> Outcomes:
        """Estimate the outcome of each mask, as `Prompting.outcomes` finds it.

        Parameters
        ----------
        masks : ndarray of bool, shape (m, K)
            Of `task.k` candidates each.
        measure : {"loss", "accuracy", "margin"}
            Of the estimated probabilities of the label words.
        store, report
            Where finished anchors are kept, and the progress while they are computed, in queries done.

        Returns
        -------
        Outcomes
            Shape (m, q), means over the orders; `meta["estimator"]` is "first order".

        Raises
        ------
        InputError
            Masks of another shape, size or type, an unknown measure, or gradients that are not finite.
        """
        find_measure(MEASURES, measure)
        masks = self.prompting.check_masks(masks)
        sizes, k = masks.sum(axis=1), self.task.k
        if (wrong := np.flatnonzero(sizes != k)).size:
            found, fix = f"{sizes[wrong[0]]} candidates in row {wrong[0]}", "Score other sizes exactly: Prompting."
            raise InputError("masks", found, f"{k} in every row, as the anchors hold", fix)
        linearised = self.linearise(store=store, report=report)
        true = np.array([self.task.labels.index(query.label) for query in self.prompting.queries])
        entries = [
            np.stack(
                [measure_labels(self._estimated(order, linearised), true) for order in self.prompting.orders_of(mask)]
            )
            for mask in masks
        ]
        anchors = [list(anchor) for anchor in self.anchors]
        meta = {**self.prompting.meta, "estimator": "first order", "anchors": anchors, "combine": self.combine}
        return self.prompting.table(masks, entries, measure, meta)

    def linearise(self, *, store: Store | None = None, report: Report = silent) -> list[AnchorLinearisation]:
        """Linearise the model at every anchor; finished anchors are found in the store.

        Raises
        ------
        InputError
            Gradients that are not finite.
        """
        key = (self.task.content_hash, self.model.content_hash, self.prompting.fresh)
        q = len(self.prompting.queries)
        linearisations = []
        for position, anchor in enumerate(self.anchors):

            def report_queries(done: int, *, reused: bool = False, earlier: int = position * q) -> None:
                kind = reused if done == q else None  # None: within an anchor
                report(earlier + done, len(self.anchors) * q, "finding gradients at anchor prompts", reused=kind)

            linearise = partial(self._linearise_at, anchor, report_queries)
            if store is None:
                base_and_table = linearise()
            else:
                reused = store.reused
                base_and_table = store.chunk(ANCHOR_CHUNKS, (*key, anchor), linearise)
                if store.reused > reused:
                    report_queries(q, reused=True)
            linearisations.append(AnchorLinearisation(anchor, *base_and_table))
        return linearisations

    def _linearise_at(
        self, anchor: Order, report_queries: Callable[[int], None]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Base and table of an anchor, see `AnchorLinearisation`; `report_queries` is given the queries done."""
        model, slots = self.model, self.slots
        rows = forward_passes(slots.tails)
        bases, tables = [], []
        for start, stop in query_batches(slots, rows, len(anchor)):
            base, table = gradients(model, slots, anchor, [row for row in rows if start <= row.query < stop], start)
            bases.append(base)
            tables.append(table)
            report_queries(stop)
        base_and_table = np.concatenate(bases), np.concatenate(tables)
        if not all(np.isfinite(array).all() for array in base_and_table):
            fix = "Were its weights damaged, or saved in half precision and too large?"
            raise InputError(f"model {model.name!r}", "gradients that are not finite", "finite gradients", fix)
        return base_and_table

    def _estimated(self, order: Order, linearised: Sequence[AnchorLinearisation]) -> NDArray[np.float64]:
        """Estimated log-probabilities of the labels, shape (q, labels)."""
        if self.combine == "nearest":
            return nearest(order, linearised).log_probabilities(order)
        return normalised(np.mean([linearisation.scores(order) for linearisation in linearised], axis=0))

    def _check_length(self) -> None:
        slots, model = self.slots, self.model
        length = len(slots.head) + slots.blocks.shape[1] * self.task.k + int(slots.tails.lengths().max())
        if length > model.max_length:
            longest = max(self.task.candidates, key=lambda candidate: len(candidate.text))
            raise InputError(
                f"candidate {longest.text[:60]!r}",
                f"{self.task.k} slots of its length, a prompt of {length:,} tokens",
                f"at most {model.max_length:,}, which is what {model.name!r} reads",
                "Leave out the longest candidates, take fewer demonstrations, or score exactly.",
            )  # fmt: skip


def nearest(order: Sequence[int], linearisations: Sequence[AnchorLinearisation]) -> AnchorLinearisation:
    """Return the nearest anchor: most candidates in the same slots, then most in common, then the first."""
    return max(
        linearisations,
        key=lambda linearisation: (
            sum(a == b for a, b in zip(linearisation.anchor, order, strict=True)),
            len({*linearisation.anchor} & {*order}),
        ),
    )
