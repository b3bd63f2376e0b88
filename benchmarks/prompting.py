"""Exact scoring of prompts: demonstrations read once for all queries against one full pass per prompt.

The default language model answers movie reviews after four demonstrations, drawn anew each turn; each turn times both
sides one after the other, on one thread. The plain side passes each prompt whole, alone and unpadded, and takes the
logits of its last token only; it gets fewer queries, and times are per query. Both must find the same losses.

    .venv/bin/python benchmarks/prompting.py
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from machine import publish
from numpy.typing import NDArray

from kernelsm.models.language_model import LanguageModel, load_language_model
from kernelsm.outcomes.prompt_scoring import measure_labels
from kernelsm.outcomes.prompting import score
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.tasks.prompt_examples import movie_reviews
from kernelsm.tasks.prompts import PromptTask

DEMONSTRATIONS = 4
QUERIES, PLAIN_QUERIES = 100, 20
TURNS = 3
TOLERANCE = 1e-4


def main() -> None:
    """Time both sides turn by turn, and compare their losses."""
    use_torch_threads(1)
    begun = time.perf_counter()
    model = load_language_model()
    loading = time.perf_counter() - begun
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
    result: dict[str, Any] = {
        "model": model.name, "task": task.name, "demonstrations": DEMONSTRATIONS, "queries": len(queries),
        "plain_queries": few, "turns": TURNS, "threads": 1, "device": str(model.device),
        "tokens_of_a_prompt": round(float(np.mean(tokens)), 1), "load_s": round(loading, 2),
        "s_per_subset_and_order": round(float(np.median(ours[:, 0])) * len(queries), 2),
        "cpu_s_per_subset_and_order": round(float(np.median(ours[:, 1])) * len(queries), 2),
        "ms_per_query": round(1e3 * float(np.median(ours[:, 0])), 1),
        "plain_ms_per_query": round(1e3 * float(np.median(theirs[:, 0])), 1),
        "speedup": round(float(np.median(theirs[:, 0] / ours[:, 0])), 2),
        "cpu_speedup": round(float(np.median(theirs[:, 1] / ours[:, 1])), 2),
        "largest_relative_difference_of_a_loss": max(differences), "transformers": version("transformers"),
    }  # fmt: skip
    publish("prompting", result)


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
