"""Is the search for a prompt worth its questions? Against asking random prompts, at equal numbers of calls.

A call is one query after one prompt. With the calls of 25, 50, 100 or 200 whole prompts, each with 10 seeds:

- `search`: `PromptSearch`, which asks on growing sets of queries;
- `random`: random prompts asked about all queries, the best one taken (bootstrap with random search, as in DSPy);
- `attribution`: the four demonstrations with the best attribution of a kernel surrogate of these random prompts (the
  paper's choice), in a random order.

Beside them stand what takes no call: a prompt without demonstrations, guessing, and a prompt for each query of the
candidates nearest to it by TF-IDF. Every choice is then asked about fresh queries, which nothing has seen. Random
prompts are drawn from one pool of 400 for all seeds, so that the model need not be asked 2,000 times.

The model is the packaged SmolLM2-135M-Instruct, in bfloat16: the same for all ways, and three times faster on
processors that know it. What was asked is kept in the cache; a run that was stopped goes on.

    .venv/bin/python benchmarks/prompt_search.py [NAME ...] [--seeds 10] [--most 200]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, publish
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.feature_extraction.text import TfidfVectorizer

from kernelsm.examples.coin_flip.example import coin_flip
from kernelsm.examples.movie_reviews.example import movie_reviews
from kernelsm.models.language_model import LanguageModel, load_language_model
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.answer_factors import AnswerScale
from kernelsm.prompts.prompt_search import FoundPrompt, PromptSearch
from kernelsm.prompts.prompting import score
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.runtime.store import cache_root
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.selection.search import choose
from kernelsm.surrogates.kernel import KernelSurrogateCV

BUDGETS = (25, 50, 100, 200)
POOL = 400
SAVE_EVERY = 60.0
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
    """Losses of prompts on the queries of a task, asked once and kept."""

    def __init__(self, task: PromptTask, model: LanguageModel, name: str) -> None:
        self.task, self.model = task, model
        self.all = (*task.queries, *task.fresh)
        self.true = np.array([task.labels.index(query.label) for query in self.all])
        self.file = cache_root() / "benchmarks" / f"prompt_search-{name}-{task.content_hash[:12]}.npz"
        self.known: dict[Order, Losses] = {}
        self.asked, self.seconds, self._saved = 0, 0.0, time.monotonic()
        if self.file.exists():
            kept = np.load(self.file)
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


def main() -> None:
    """Run what was asked for and write the result of all that is whole."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--most", type=int, default=max(BUDGETS))
    options = parser.parse_args()
    use_torch_threads(1)
    model = load_language_model()
    model.network = model.network.bfloat16()
    file = RESULTS / "prompt_search.json"
    result = json.loads(file.read_text()) if file.exists() else {}
    result.pop("machine", None)
    for name in options.names:
        result[name] = _compare(TASKS[name](), model, name, options.seeds, options.most)
        publish("prompt_search", result)


def _compare(task: PromptTask, model: LanguageModel, name: str, seeds: int, most: int) -> dict[str, Any]:
    asked = Asked(task, model, name)
    budgets = [budget for budget in BUDGETS if budget <= most]
    drawn = np.random.default_rng(2026)
    pool = [tuple(int(i) for i in drawn.permutation(task.K)[: task.k]) for _ in range(POOL)]
    fresh: dict[str, dict[int, list[float]]] = {
        way: {budget: [] for budget in budgets} for way in ("search", "random", "attribution")
    }
    held: dict[int, list[bool]] = {budget: [] for budget in budgets}
    for seed in range(seeds):
        found = searched(asked, seed, budgets)
        chosen = np.random.default_rng([seed, 7]).permutation(POOL)[: max(budgets)]
        means = np.array([asked.queries(pool[i]).mean() for i in chosen])
        masks = np.array([np.isin(np.arange(task.K), pool[i]) for i in chosen])
        for budget in budgets:
            losses = asked.fresh(found[budget].order)
            fresh["search"][budget].append(float(losses.mean()))
            low, high = found[budget].on_fresh(len(losses))
            held[budget].append(bool(low <= losses.mean() <= high))
            fresh["random"][budget].append(float(asked.fresh(pool[chosen[int(means[:budget].argmin())]]).mean()))
            outcomes = Outcomes(masks[:budget], means[:budget, None])
            top = choose(KernelSurrogateCV().fit_outcomes(outcomes), task.k, "top").demonstrations
            order = tuple(int(i) for i in np.random.default_rng(seed).permutation(top))
            fresh["attribution"][budget].append(float(asked.fresh(order).mean()))
        asked.save()
        print(name, seed, {way: [round(rows[b][-1], 3) for b in budgets] for way, rows in fresh.items()}, flush=True)
    table = {}
    for budget in budgets:
        row = {way: _interval(rows[budget]) for way, rows in fresh.items()}
        difference = np.subtract(fresh["search"][budget], fresh["random"][budget])
        table[str(budget)] = {
            **row, "search_minus_random": _interval(difference.tolist()),
            "interval_holds": float(np.mean(held[budget])),
        }  # fmt: skip
    zero = asked.fresh(())
    near = _nearest(task, model)
    asked.save()
    return {
        "queries": len(task.queries), "fresh": len(task.fresh), "seeds": seeds, "budgets": table,
        "zero_shot": float(zero.mean()), "guessing": float(np.log(len(task.labels))),
        "nearest_for_each_query": near,
        "mean_random_prompt_on_queries": float(np.mean([asked.queries(order).mean() for order in pool])),
        "ms_per_call": round(1000 * asked.seconds / max(asked.asked, 1), 1),
    }  # fmt: skip


def searched(asked: Asked, seed: int, budgets: Sequence[int]) -> dict[int, FoundPrompt]:
    """Return what the search takes for best after the calls of so many whole prompts."""
    task = asked.task
    q = len(task.queries)
    classes = [task.labels.index(one.label) for one in task.candidates]
    groups = [task.labels.index(query.label) for query in task.queries]
    search = PromptSearch(
        task.K, task.k, groups, classes=classes, budget=max(budgets) * q, scale=AnswerScale("margin"), seed=seed
    )
    found: dict[int, FoundPrompt] = {}
    open_budgets = list(budgets)
    while questions := search.propose():
        for question in questions:
            if open_budgets and search.calls + len(question.queries) > open_budgets[0] * q:
                found[open_budgets.pop(0)] = search.best()
            search.tell(question, asked.ask(question.order, question.queries))
    return found | {budget: search.best() for budget in open_budgets}


def _interval(values: Sequence[float]) -> dict[str, float]:
    """Mean over seeds and its 90 % interval."""
    n = len(values)
    half = float(t.ppf(0.95, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return {"mean": float(np.mean(values)), "margin": half}


def _nearest(task: PromptTask, model: LanguageModel) -> float:
    """Loss on fresh queries, each with the candidates nearest to it, the nearest last."""
    texts = [one.text for one in (*task.candidates, *task.fresh)]
    vectors = TfidfVectorizer().fit_transform(texts)
    alike = (vectors[task.K :] @ vectors[: task.K].T).toarray()
    losses = []
    for query, row in zip(task.fresh, alike, strict=True):
        order = np.argsort(-row, kind="stable")[: task.k][::-1].tolist()
        losses.append(-score(model, task, order, [query])[0, task.labels.index(query.label)])
    return float(np.mean(losses))


if __name__ == "__main__":
    main()
