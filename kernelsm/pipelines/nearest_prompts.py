"""A prompt of its own for each query: what the language model says after the candidates nearest to the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.endpoint import EndpointLimits
from kernelsm.models.endpoint_address import is_endpoint
from kernelsm.pipelines.ask_model import START_SECONDS, as_limits, open_source, settings_arguments
from kernelsm.pipelines.askers import EndpointCost, cost_of_all_queries, prompt_letters
from kernelsm.prompts.nearest_prompts import nearest_prompts
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.executors import Task
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.workspace.prompt_projects import find_prompts

if TYPE_CHECKING:
    from kernelsm.prompts.asker import Asker

NEAREST_CHUNKS = ChunkKind("nearest_prompts", version=1)
_TOGETHER, _SENT_TOGETHER = 4, 16  # queries of a chunk: of a model here, and of an endpoint, several at a time


@dataclass(frozen=True)
class NearestSettings:
    """Whose queries to ask, each after the candidates nearest to it.

    Parameters
    ----------
    source : str
        Name of a built-in prompt task, or the key of an uploaded one.
    limits : EndpointLimits, optional
        How an endpoint is asked, and how much at most.

    Raises
    ------
    InputError
        The source is not here.
    """

    source: str
    limits: EndpointLimits | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", as_limits(self.limits))
        find_prompts(self.source)

    def seconds(self) -> float:
        """Expected seconds on two cores with nothing cached.

        A model here reads the demonstrations anew for each query, not once for all of them.
        """
        source = find_prompts(self.source)
        task = source.task
        each = source.seconds_a_query
        if not is_endpoint(source.model):
            before, own = prompt_letters(task, task.k, task.queries)
            each *= (before + own) / max(own, 1.0)
        return START_SECONDS + (len(task.queries) + len(task.fresh)) * each

    def cost(self) -> EndpointCost | None:
        """What it takes where an endpoint is asked; None else."""
        source = find_prompts(self.source)
        return cost_of_all_queries(source, source.task.k)

    def job(self) -> JobSpec:
        """The job that asks them."""
        return JobSpec("kernelsm.pipelines.nearest_prompts:run", settings_arguments(self))


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: ask about each query after a prompt of its own; what is answered is kept, and not asked again.

    Returns
    -------
    dict
        JSON types: `queries` (mean loss and mean accuracy), `fresh` (the same of the fresh queries, or None) and
        `fresh_losses` (the loss of each fresh query, for a paired comparison).

    Raises
    ------
    InputError
        A model or an endpoint that cannot be used here, or a prompt that is too long for it: found before any is
        asked.
    """
    from kernelsm.prompts.asked import asked_where_it_works, check_prompt  # loads torch, which no page is to wait for

    request = NearestSettings(**settings)
    task, asker = open_source(request.source, report, store, request.limits)
    queries = (*task.queries, *task.fresh)
    shown = nearest_prompts(task.candidates, queries, task.k)
    longest = _longest(asker, task, shown, queries)
    check_prompt(asker, task, shown[longest], [queries[longest]])
    places, size = [*range(len(queries))], _TOGETHER if asker.works_here else _SENT_TOGETHER
    parts = [(shown[begin : begin + size], places[begin : begin + size]) for begin in range(0, len(queries), size)]
    work = ChunkedWork(
        lambda: Task(partial(_measured, asker, task, queries), in_threads=True), NEAREST_CHUNKS,
        "asking each query after its own prompt",
    )  # fmt: skip
    identity = asker.identity(chat=task.template.chat)
    keys = [(task.content_hash, identity, *part) for part in parts]
    with asked_where_it_works(asker):
        measures = np.concatenate(computed_chunks(work, keys, parts, store, report), axis=1)
    of_queries, of_fresh = np.split(measures, [len(task.queries)], axis=1)
    return {
        "queries": of_queries.mean(axis=1).tolist(),
        "fresh": of_fresh.mean(axis=1).tolist() if task.fresh else None,
        "fresh_losses": of_fresh[0].tolist(),
    }


Part = tuple[list[tuple[int, ...]], list[int]]
"""Prompts of some queries, and which queries these are."""


def _measured(asker: Asker, task: PromptTask, queries: Sequence[Labelled], part: Part) -> NDArray[np.float64]:
    """Loss and accuracy of some queries, shape (2, queries)."""
    from kernelsm.prompts.asked import measured_each

    shown, which = part
    return np.asarray(measured_each(asker, task, shown, [queries[j] for j in which])[:2])


def _longest(asker: Asker, task: PromptTask, shown: Sequence[tuple[int, ...]], queries: Sequence[Labelled]) -> int:
    """Which query has the longest prompt."""
    sizes, own = (asker.sizes([one.text for one in texts]) for texts in (task.candidates, queries))
    return int(np.argmax([sizes[list(prompt)].sum() + size for prompt, size in zip(shown, own, strict=True)]))
