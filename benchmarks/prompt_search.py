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
from collections.abc import Sequence
from typing import Any

import numpy as np
from asked_prompts import TASKS, Asked, interval
from machine import RESULTS, publish

from kernelsm.models.language_model import LanguageModel, load_language_model
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.answer_factors import AnswerScale
from kernelsm.prompts.asked import measured_each
from kernelsm.prompts.asker import as_asker
from kernelsm.prompts.nearest_prompts import nearest_prompts
from kernelsm.prompts.prompt_search import FoundPrompt, PromptSearch
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.selection.search import choose
from kernelsm.surrogates.kernel import KernelSurrogateCV

BUDGETS = (25, 50, 100, 200)
POOL = 400


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
    drawn_ones: set[int] = set()
    for seed in range(seeds):
        found = searched(asked, seed, budgets)
        chosen = np.random.default_rng([seed, 7]).permutation(POOL)[: max(budgets)]
        drawn_ones.update(chosen.tolist())
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
        row = {way: interval(rows[budget]) for way, rows in fresh.items()}
        difference = np.subtract(fresh["search"][budget], fresh["random"][budget])
        table[str(budget)] = {
            **row, "search_minus_random": interval(difference.tolist()),
            "interval_holds": float(np.mean(held[budget])),
        }  # fmt: skip
    zero = asked.fresh(())
    near = _nearest(task, model)
    asked.save()
    return {
        "queries": len(task.queries), "fresh": len(task.fresh), "seeds": seeds, "budgets": table,
        "zero_shot": float(zero.mean()), "guessing": float(np.log(len(task.labels))),
        "nearest_for_each_query": near,
        "mean_random_prompt_on_queries": float(np.mean([asked.queries(pool[i]).mean() for i in sorted(drawn_ones)])),
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


def _nearest(task: PromptTask, model: LanguageModel) -> float:
    """Loss on fresh queries, each with the candidates nearest to it, the nearest last."""
    losses = measured_each(as_asker(model), task, nearest_prompts(task.candidates, task.fresh, task.k), task.fresh)[0]
    return float(losses.mean())


if __name__ == "__main__":
    main()
