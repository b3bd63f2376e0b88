"""Prompts of three tasks and what the model answered to them, asked once and kept in the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from kernelsm.examples.coin_flip.example import coin_flip
from kernelsm.examples.movie_reviews.example import movie_reviews
from kernelsm.models.language_model import LanguageModel
from kernelsm.prompts.prompting import score
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.runtime.store import cache_root

SAVE_EVERY = 60.0
RECORDED = Path(__file__).resolve().parent / "recorded"
"""Answers that were asked before: hours of the model's, from which results are had again in minutes."""
TICKETS = Path(__file__).resolve().parents[2] / "shared" / "cases" / "prompts"
Losses = NDArray[np.float64]
Order = tuple[int, ...]


def support_tickets() -> PromptTask:
    """Return the support tickets of the cases, where these are at hand."""
    import pandas as pd

    files = {"candidates": "cand.csv", "queries": "quer.csv", "fresh": "fresh.csv"}
    groups = {group: pd.read_csv(TICKETS / file) for group, file in files.items()}
    texts = {
        group: tuple(Labelled(text, label) for text, label in zip(rows["text"], rows["label"], strict=True))
        for group, rows in groups.items()
    }
    template = PromptTemplate(
        "Route each support ticket to one team: billing, technical or account.",
        "Ticket: {text}\nTeam: {label}\n\n",
        "Ticket: {text}\nTeam:",
    )
    labels = ("billing", "technical", "account")
    return PromptTask(
        texts["candidates"], texts["queries"], texts["fresh"], labels, template=template, k=4, name="tickets"
    )


TASKS: dict[str, Callable[[], PromptTask]] = {
    "movie-reviews": movie_reviews,
    "coin-flip": coin_flip,
    "support-tickets": support_tickets,
}


class Asked:
    """Losses of prompts on the queries of a task, asked once and kept; those that are recorded are not asked."""

    def __init__(self, task: PromptTask, model: LanguageModel, name: str) -> None:
        self.task, self.model = task, model
        self.all = (*task.queries, *task.fresh)
        self.true = np.array([task.labels.index(query.label) for query in self.all])
        self.file = cache_root() / "benchmarks" / f"prompt_search-{name}-{task.content_hash[:12]}.npz"
        self.known: dict[Order, Losses] = {}
        self.asked, self.seconds, self._saved = 0, 0.0, time.monotonic()
        recorded = RECORDED / self.file.name
        if (source := self.file if self.file.exists() else recorded).exists():
            kept = np.load(source)
            for order, losses in zip(kept["orders"].tolist(), kept["losses"], strict=True):
                self.known[tuple(k for k in order if k >= 0)] = losses.astype(np.float64)

    def ask(self, order: Order, numbers: Sequence[int]) -> Losses:
        """Return the losses of some queries after a prompt."""
        losses = self.known.setdefault(order, np.full(len(self.all), np.nan))
        missing = [j for j in numbers if np.isnan(losses[j])]
        if missing:
            begun = time.perf_counter()
            found = score(self.model, self.task, order, [self.all[j] for j in missing])
            losses[missing] = -found[np.arange(len(missing)), self.true[missing]]
            self.asked, self.seconds = self.asked + len(missing), self.seconds + time.perf_counter() - begun
            if time.monotonic() - self._saved > SAVE_EVERY:
                self.save()
        return losses[list(numbers)]

    def queries(self, order: Order) -> Losses:
        """Return the losses of all queries to choose by."""
        return self.ask(order, range(len(self.task.queries)))

    def fresh(self, order: Order) -> Losses:
        """Return the losses of all fresh queries."""
        return self.ask(order, range(len(self.task.queries), len(self.all)))

    def save(self) -> None:
        """Write what is known; a whole file or none."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        orders = [[*order, *[-1] * (self.task.k - len(order))] for order in self.known]
        part = self.file.with_suffix(".part.npz")
        np.savez_compressed(
            part, orders=np.array(orders), losses=np.array(list(self.known.values()), dtype=np.float32)
        )
        part.replace(self.file)
        self._saved = time.monotonic()


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean over seeds and its 90 % interval."""
    n = len(values)
    half = float(t.ppf(0.95, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return {"mean": float(np.mean(values)), "margin": half}
