"""The job that tries prompts with their language model: label words, the longest prompt, costs, how orders matter."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, islice
from typing import Any

import numpy as np

from kernelsm.models.endpoint_address import is_endpoint
from kernelsm.models.language_model import LanguageModel
from kernelsm.models.model_folders import quiet_transformers
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.pipelines.askers import source_model
from kernelsm.pipelines.endpoint_check import check_endpoint
from kernelsm.prompts.asked import answer_tokens, check_prompt, measured
from kernelsm.prompts.asker import LocalAsker
from kernelsm.prompts.conversations import prompts_of
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.prompting import Prompting
from kernelsm.prompts.scoring import Tokens
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, Stages, silent
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.workspace.prompt_projects import PromptSource, prompts_key
from kernelsm.workspace.requests import PromptRequest

TIMED = 16
"""Most queries that are timed."""
_TIMES, _TIMING_SECONDS = 3, 20.0  # how often each timing is taken at most, and what all may take
# importing torch counts as loading
_STAGES = {"model": 10.0, "prompts": 2.0, "timing": 4.0, "orders": 15.0}
MOST_SHARED = 20
"""Pairs of label words that are told."""
PROBED = 8
"""Subsets that are scored in two orders each to see how much the order matters."""
_PROBE_SECONDS = 60.0
_FEWEST_PROBED = 4  # queries; with fewer the mean says little


def run(report: Report, store: Store, *, request: str) -> dict[str, Any]:
    """Job: read the uploaded texts (`PromptRequest.job`) and check them: `check_prompts`, or `check_endpoint`."""
    prompt_request = PromptRequest.from_json(request)
    task = prompt_request.read(store.root.parent).task
    source = PromptSource(task.name, task, prompt_request.model)
    return check_endpoint(source, report, store) if is_endpoint(source.model) else check_prompts(source, report)


def check_prompts(source: PromptSource, report: Report = silent) -> dict[str, Any]:
    """Try prompts with their language model.

    Parameters
    ----------
    source : PromptSource
    report : Report, optional

    Returns
    -------
    dict
        JSON types: `prompts` (key of the source), `model` (its name), `labels` (label word -> its number of tokens;
        none where answers are free), `shared` (the first pairs of label words that begin with the same token),
        `longest` (tokens of the longest prompt with its label or answer, of those of k candidates), `max_length`
        (most that the model reads), `queries` (their number), `seconds` (to score all of them with one subset in one
        order) and `orders` (how many of each subset a probe advises, see `orders_needed`; 0 where a probe would take
        more than a minute).

    Raises
    ------
    InputError
        The model cannot be used, label words that it cannot tell apart, or a prompt that is longer than it can read;
        the longest text in it is named.
    """
    use_torch_threads()
    quiet_transformers()
    stages, task = Stages(report, _STAGES), source.task
    stages.stage("model")(0, 1, "loading the language model", reused=None)
    model = source_model(source)
    stages.stage("model")(1, 1, "loading the language model", reused=None)
    longest = _longest_prompt(model, task)
    label_tokens = _label_tokens(model, task)
    stages.stage("prompts")(1, 1, "reading the longest prompt", reused=None)
    seconds = _seconds(model, task)
    stages.stage("timing")(1, 1, "timing a few queries", reused=None)
    orders = _orders(model, task, seconds / len(task.queries), stages.stage("orders"))
    alike = (
        [first, second]
        for first, second in combinations(label_tokens, 2)
        if label_tokens[first][0] == label_tokens[second][0]
    )
    return {
        "prompts": prompts_key(source), "model": model.name,
        "labels": {label: len(tokens) for label, tokens in label_tokens.items()},
        "shared": list(islice(alike, MOST_SHARED)),
        "longest": longest, "max_length": model.max_length, "queries": len(task.queries), "seconds": seconds,
        "orders": orders,
    }  # fmt: skip


def _longest_prompt(model: LanguageModel, task: PromptTask) -> int:
    """Tokens of the longest prompt; the model is asked it, so that too little memory fails here and not later."""
    asker, template = LocalAsker(model), task.template
    (bare,) = asker.sizes([template.instruction if template.chat else template.head([])])
    if bare >= model.max_length:
        expected = f"fewer than {model.max_length:,}, which is what {model.name!r} reads"
        raise InputError("template, instruction", f"{bare:,} tokens", expected, "Shorten it.")
    sizes = asker.sizes([template.head([candidate]) for candidate in task.candidates])
    largest = np.argsort(sizes)[::-1][: task.k].tolist()
    queries = (*task.queries, *task.fresh)
    prompts = prompts_of(template, [task.candidates[i] for i in largest], queries)
    if task.free:
        lengths = np.array([len(row) for row in asker.tokens(prompts)]) + answer_tokens(asker, task)
    else:
        lengths = asker.lengths(prompts, task.labels, after=template.after_label)
    longest = [queries[int(lengths.argmax())]]
    check_prompt(asker, task, largest, longest)
    measured(asker, task, largest, longest)
    return int(lengths.max())


def _label_tokens(model: LanguageModel, task: PromptTask) -> dict[str, Tokens]:
    """The tokens of each label word after a prompt; none has none, else it would be the start of another one."""
    if task.free:
        return {}
    prompts = prompts_of(task.template, task.candidates[: task.k], task.queries[:1])
    asker = LocalAsker(model)
    (prompt_tokens,) = asker.tokens(prompts)
    label_tokens = {}
    for label, row in zip(task.labels, asker.tokens(prompts, task.labels), strict=True):
        differing = (
            i
            for i, (without, with_label) in enumerate(zip(prompt_tokens, row, strict=False))
            if without != with_label
        )
        label_tokens[label] = tuple(row[next(differing, min(len(prompt_tokens), len(row) - 1)) :])
    return label_tokens


def _seconds(model: LanguageModel, task: PromptTask) -> float:
    """Seconds to score all queries with one subset: a fixed cost for the demonstrations, then a cost per query."""
    asker, shown = LocalAsker(model), _typical(task.candidates, task.k)
    timed_queries = [task.queries[i] for i in _typical(task.queries, TIMED)]

    def timed(queries: Sequence[Labelled]) -> float:
        begun = time.perf_counter()
        measured(asker, task, shown, queries)
        return time.perf_counter() - begun

    # the first time takes longer, and so does one that other programs disturb: the least of some is the cost
    one_query = all_queries = math.inf
    begun = time.perf_counter()
    for _ in range(_TIMES):
        one_query, all_queries = min(one_query, timed(timed_queries[:1])), min(all_queries, timed(timed_queries))
        if time.perf_counter() - begun + one_query + all_queries > _TIMING_SECONDS:
            break
    each = max(all_queries - one_query, 0.0) / max(len(timed_queries) - 1, 1)
    return one_query + each * (len(task.queries) - 1)


def _orders(model: LanguageModel, task: PromptTask, each: float, report: Report) -> int:
    """How many orders of each subset a few subsets, in two orders each, advise."""
    message = "trying two orders of some demonstrations"
    count = min(TIMED, int(_PROBE_SECONDS / (2 * PROBED * each)))
    if task.k == 1 or count < _FEWEST_PROBED:
        report(1, 1, message)
        return 1 if task.k == 1 else 0
    queries = tuple(task.queries[i] for i in _typical(task.queries, count))
    prompting = Prompting(replace(task, queries=queries), model, orders=2)
    masks = fixed_size_masks(task.K, PROBED, size=task.k, distinct=True)
    orders, values = prompting.by_order(masks, report=lambda done, total, *_, **__: report(done, total, message))
    return OrderedOutcomes(np.array(orders), values).needed()


def _typical(texts: Sequence[Labelled], most: int) -> list[int]:
    """Some texts, evenly from the shortest to the longest."""
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i].text))
    count = min(most, len(texts))
    return [by_length[int((rank + 0.5) * len(texts) / count)] for rank in range(count)]
