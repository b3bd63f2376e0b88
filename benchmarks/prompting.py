"""Scoring of prompts: what sharing the demonstrations saves, and what first order does.

Exact: the default language model answers movie reviews after four demonstrations, drawn anew each turn, which are
read once for all queries; the plain side passes each prompt whole, alone and unpadded, and takes the logits of its
last token only. It gets fewer queries, and times are per query. Each turn times both sides one after the other, and
both must find the same losses.

First order: on both examples gradients at 1, 4 and 16 anchors, of which the nearest or the mean counts, estimate
subsets whose exact outcomes are known, for a few queries: all 200 subsets where the cache holds them, else 40 that
are scored now. The speed-up is that of 200 subsets in two orders by 100 queries, the anchors' cost among it, over
exact scoring.

All on one thread; some ten minutes.

    .venv/bin/python benchmarks/prompting.py
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from machine import publish
from numpy.typing import NDArray

from kernelsm.evaluation.metrics import relative_error
from kernelsm.evaluation.truth import score_estimates
from kernelsm.examples.catalog import PROMPT_EXAMPLES, load_selection
from kernelsm.examples.movie_reviews.example import movie_reviews
from kernelsm.models.language_model import LanguageModel, load_language_model
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.first_order import FirstOrder
from kernelsm.prompts.first_order_check import Combine
from kernelsm.prompts.prompting import Prompting, score
from kernelsm.prompts.scoring import measure_labels
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.progress import Cancelled
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads

DEMONSTRATIONS = 4
QUERIES, PLAIN_QUERIES = 100, 20
TURNS = 3
TOLERANCE = 1e-4
ANCHORS = (1, 4, 16)
SUBSETS, FEW_SUBSETS, ORDERS = 200, 40, 2
FIRST_ORDER_QUERIES = 8


def main() -> None:
    """Measure the three ways to score a prompt."""
    use_torch_threads(1)
    begun = time.perf_counter()
    model = load_language_model()
    loading = time.perf_counter() - begun
    shared = _shared_cache(model)
    first_order = _first_order(model, shared["s_per_subset_and_order"], shared["cpu_s_per_subset_and_order"])
    records = {name: load_selection(name) for name in PROMPT_EXAMPLES}
    gain = {name: round(record.gain, 4) for name, record in records.items() if record}
    result: dict[str, Any] = {
        "model": model.name, "threads": 1, "device": str(model.device), "load_s": round(loading, 2),
        "transformers": version("transformers"), **shared, **first_order, "selection_gain": gain,
    }  # fmt: skip
    publish("prompting", result)


def _shared_cache(model: LanguageModel) -> dict[str, Any]:
    """Time shared and plain scoring turn by turn, and compare their losses."""
    task = movie_reviews(k=DEMONSTRATIONS)
    queries = (*task.queries, *task.fresh)[:QUERIES]
    true = np.array([task.labels.index(query.label) for query in queries])
    few = min(PLAIN_QUERIES, len(queries))
    rng = np.random.default_rng(0)
    shared, plain, differences, tokens = [], [], [], []
    for turn in range(TURNS + 1):
        order = rng.permutation(task.K)[:DEMONSTRATIONS].tolist()
        prompts = [task.template.prompt([task.candidates[i] for i in order], query) for query in queries]
        begun, begun_cpu = time.perf_counter(), time.process_time()
        found = score(model, task, order, queries)
        between, between_cpu = time.perf_counter(), time.process_time()
        want = _plain(model, task, prompts[:few])
        ended, ended_cpu = time.perf_counter(), time.process_time()
        losses = measure_labels(found[:few], true[:few])[0], measure_labels(want, true[:few])[0]
        differences.append(float(np.max(np.abs(losses[0] - losses[1]) / losses[1])))
        if turn:  # the first turn does not count
            shared.append(((between - begun) / len(queries), (between_cpu - begun_cpu) / len(queries)))
            plain.append(((ended - between) / few, (ended_cpu - between_cpu) / few))
            tokens.append(float(np.mean([len(row) for row in model.encode(prompts)])))
    if max(differences) > TOLERANCE:
        raise SystemExit(f"losses differ by {max(differences):.2g} of their size")
    ours, theirs = np.array(shared), np.array(plain)
    return {
        "task": task.name, "demonstrations": DEMONSTRATIONS, "queries": len(queries),
        "plain_queries": few, "turns": TURNS, "tokens_of_a_prompt": round(float(np.mean(tokens)), 1),
        "s_per_subset_and_order": round(float(np.median(ours[:, 0])) * len(queries), 2),
        "cpu_s_per_subset_and_order": round(float(np.median(ours[:, 1])) * len(queries), 2),
        "ms_per_query": round(1e3 * float(np.median(ours[:, 0])), 1),
        "plain_ms_per_query": round(1e3 * float(np.median(theirs[:, 0])), 1),
        "speedup_vs_naive": round(float(np.median(theirs[:, 0] / ours[:, 0])), 2),
        "cpu_speedup_vs_naive": round(float(np.median(theirs[:, 1] / ours[:, 1])), 2),
        "largest_relative_difference_of_a_loss": max(differences),
    }  # fmt: skip


def _first_order(model: LanguageModel, exact_s: float, exact_cpu_s: float) -> dict[str, Any]:
    """Compare estimates by 1, 4 and 16 anchors with exact outcomes; the exact side's times are per prompt."""
    names = ("spearman", "lds", "relative_error")
    combinations: tuple[Combine, ...] = ("nearest", "mean")
    kinds = {"nearest": "first_order", "mean": "first_order_mean_of_anchors"}
    found: dict[str, Any] = {f"{kind}_{name}": {} for kind in kinds.values() for name in names}
    found |= {"first_order_subsets": {}, "relative_error_of_mean": {}}
    anchor, prompt = [], []
    for example in PROMPT_EXAMPLES.values():
        whole = example.make()
        task = replace(whole, queries=whole.queries[:FIRST_ORDER_QUERIES])
        exact = _exact(whole, task, model)
        mean = exact.mean_target().values
        found["first_order_subsets"][example.name] = exact.m
        found["relative_error_of_mean"][example.name] = relative_error(mean, np.full_like(mean, mean.mean()))
        with TemporaryDirectory() as folder:
            store = Store(Path(folder))  # anchors are computed anew, but once: the first ones of 16 are those of 4
            begun, begun_cpu = time.perf_counter(), time.process_time()
            FirstOrder(task, model, anchors=max(ANCHORS)).linearise(store=store)
            ended, ended_cpu = time.perf_counter(), time.process_time()
            share = max(ANCHORS) * len(task.queries)
            anchor.append(((ended - begun) / share, (ended_cpu - begun_cpu) / share))
            for count, combine in product(ANCHORS, combinations):
                estimator = FirstOrder(task, model, anchors=count, combine=combine, orders=ORDERS)
                begun, begun_cpu = time.perf_counter(), time.process_time()
                estimated = estimator.outcomes(exact.masks, store=store)
                ended, ended_cpu = time.perf_counter(), time.process_time()
                share = exact.m * ORDERS * len(task.queries)
                prompt.append(((ended - begun) / share, (ended_cpu - begun_cpu) / share))
                scores = score_estimates(exact, estimated)
                for name in names:
                    found[f"{kinds[combine]}_{name}"].setdefault(example.name, {})[str(count)] = round(
                        scores[name], 3
                    )
    # per query, and so for as many as the exact side was timed with
    prompts = SUBSETS * ORDERS
    (anchor_s, anchor_cpu_s), (prompt_s, prompt_cpu_s) = (
        QUERIES * np.mean(part, axis=0) for part in (anchor, prompt)
    )
    return {
        **found, "first_order_queries": FIRST_ORDER_QUERIES, "anchor_s": round(float(anchor_s), 1),
        "anchor_cpu_s": round(float(anchor_cpu_s), 1), "estimate_ms_per_prompt": round(1e3 * float(prompt_s), 2),
        "first_order_speedup_vs_exact": {
            str(count): round(float(prompts * exact_s / (count * anchor_s + prompts * prompt_s)), 1)
            for count in ANCHORS
        },
        "first_order_cpu_speedup_vs_exact": {
            str(count): round(float(prompts * exact_cpu_s / (count * anchor_cpu_s + prompts * prompt_cpu_s)), 1)
            for count in ANCHORS
        },
    }  # fmt: skip


def _exact(whole: PromptTask, task: PromptTask, model: LanguageModel) -> Outcomes:
    """Exact outcomes of the first queries: of all subsets where all were kept before, else of a few."""
    masks = fixed_size_masks(whole.K, SUBSETS, size=whole.k)

    def stop(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        if not reused:
            raise Cancelled

    store = Store()
    try:
        kept = Prompting(whole, model, orders=ORDERS).outcomes(masks, store=store, report=stop)
    except Cancelled:
        return Prompting(task, model, orders=ORDERS).outcomes(masks[:FEW_SUBSETS], store=store)
    return Outcomes(masks, kept.values[:, : len(task.queries)])


def _plain(model: LanguageModel, task: PromptTask, prompts: list[str]) -> NDArray[np.float64]:
    """Log-probabilities of label words of one token each, normalised over them, shape (prompts, labels)."""
    found = []
    for prompt in prompts:
        (start,) = model.encode([prompt])
        texts = model.encode([f"{prompt} {label}" for label in task.labels])
        assert all(text[:-1] == start for text in texts)
        with torch.inference_mode():
            logits = model.network(
                input_ids=torch.tensor([start], device=model.device), use_cache=False, logits_to_keep=1
            ).logits[0, -1]
        found.append(torch.log_softmax(logits[[text[-1] for text in texts]].double(), dim=0).cpu().numpy())
    return np.stack(found)


if __name__ == "__main__":
    main()
