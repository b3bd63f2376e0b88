"""The job that searches for a better prompt, with a budget of questions and of minutes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.endpoint import EndpointLimits
from kernelsm.pipelines.ask_model import START_SECONDS, as_limits, open_source, settings_arguments
from kernelsm.pipelines.askers import EndpointCost, endpoint_cost
from kernelsm.prompts.answer_factors import AnswerScale
from kernelsm.prompts.prompt_search import FULL_STARTS, PromptSearch, Question
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.checks import check_choice, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.workspace.prompt_projects import find_prompts

if TYPE_CHECKING:
    from kernelsm.prompts.asker import Asker

_now = time.monotonic
QUESTION_CHUNKS = ChunkKind("prompt_questions", version=1)
OBJECTIVES = ("loss", "accuracy")
MOST_CALLS, MOST_MINUTES = 1_000_000, 24 * 60
SHOWN = 4
"""Prompts that a search ends with, the best first."""
BUDGET, TIME, NOTHING_LEFT = "budget", "time", "nothing left"
"""Why a search ended."""


@dataclass(frozen=True)
class SearchSettings:
    """What to search for, and what it may cost.

    Parameters
    ----------
    source : str
        Name of a built-in prompt task, or the key of an uploaded one.
    calls : int
        Most calls, one for each query after each prompt: at least those of 10 prompts on all queries.
    minutes : int
        After which it ends, between two questions.
    objective : {"loss", "accuracy"}
        What is to be least, or highest.
    seed : int
    limits : EndpointLimits, optional
        How an endpoint is asked.

    Raises
    ------
    InputError
        A setting out of its range, fewer than 12 different prompts, or a source that is not here.
    """

    source: str
    calls: int
    minutes: int = 60
    objective: str = "loss"
    seed: int = 0
    limits: EndpointLimits | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", as_limits(self.limits))
        task = find_prompts(self.source).task
        check_whole("calls", self.calls, fewest_calls(task), MOST_CALLS)
        check_whole("minutes", self.minutes, 1, MOST_MINUTES)
        check_whole("seed", self.seed, 0)
        check_choice("objective", self.objective, OBJECTIVES)
        there_are = int(np.prod([float(task.K - i) for i in range(min(task.k, 4))]))
        if there_are < FULL_STARTS + 4:
            found = f"{there_are} different prompts of {task.k} of {task.K} candidates"
            raise InputError("candidates", found, f"at least {FULL_STARTS + 4}", "Ask all of them instead.")

    def seconds(self) -> float:
        """Expected seconds on two cores with nothing cached."""
        return min(START_SECONDS + self.calls * find_prompts(self.source).seconds_a_query, 60.0 * self.minutes)

    def cost(self) -> EndpointCost | None:
        """What asking an endpoint takes at most; None where no endpoint is asked."""
        source = find_prompts(self.source)
        return endpoint_cost(source, math.ceil(self.calls / len(source.task.queries)), source.task.k)

    def job(self) -> JobSpec:
        """The job that searches."""
        return JobSpec("kernelsm.pipelines.search_prompts:run", settings_arguments(self))


def fewest_calls(task: PromptTask) -> int:
    """Return the calls below which nothing can be searched: those of 10 prompts on all queries."""
    return (FULL_STARTS + 2) * len(task.queries)


def new_queries(task: PromptTask) -> int:
    """Return of how many other queries intervals are told: as many as there are fresh ones, or as were asked."""
    return len(task.fresh) or len(task.queries)


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: search, and return what was found; every answer is kept, and a search that is resumed asks none twice.

    Returns
    -------
    dict
        JSON types: `found` (at most 4 `FoundPrompt` as dicts, the best first), `curve` (calls so far, and mean, low
        and high of the best by then, on `new_queries`), `calls`, `prompts` (how many were asked), `objective`,
        `ended` (of `BUDGET`, `TIME` and `NOTHING_LEFT`), `first` (the mean outcome of the random prompts at the
        start) and `wrong` (whether outcomes are shares of wrong answers).
    """
    from kernelsm.prompts.asked import asked_where_it_works  # loads torch, which no page is to wait for

    request = SearchSettings(**settings)
    begun = _now()
    task, asker = open_source(request.source, report, store, request.limits)
    search = _search(request, task, asker)
    work = ChunkedWork(
        lambda: Task(partial(_answers, asker, task), in_threads=True), QUESTION_CHUNKS, "asking the language model"
    )
    identity = asker.identity(chat=task.template.chat)
    curve: list[list[float]] = []
    ended = BUDGET
    while questions := search.propose():
        if _now() - begun > 60 * request.minutes:
            ended = TIME
            break
        done = _Counted(report, search, request.calls, _words(search, curve))
        keys = [(task.content_hash, identity, question.order, question.queries) for question in questions]
        with asked_where_it_works(asker):
            found = computed_chunks(work, keys, questions, store, done.report(questions))
        for question, answers in zip(questions, found, strict=True):
            search.tell(question, 1 - answers[1] if search.scale.name == "plain" else answers[0])
        if len(search.orders) >= FULL_STARTS:
            best = search.best()
            curve.append([search.calls, best.mean, *best.on_fresh(new_queries(task))])
    if search.nothing_left:
        ended = NOTHING_LEFT
    if len(search.orders) < FULL_STARTS:
        fix = "Allow more minutes."
        raise InputError("minutes", f"{request.minutes}", f"time for {FULL_STARTS} prompts", fix)
    starts = search.scale.outcome(search.answers[:FULL_STARTS])
    return {
        "found": [asdict(one) for one in search.ranked(SHOWN)], "curve": curve, "calls": search.calls,
        "prompts": len(search.orders), "objective": request.objective, "ended": ended,
        "first": float(starts.mean()), "wrong": search.scale.name == "plain",
    }  # fmt: skip


def _search(request: SearchSettings, task: PromptTask, asker: Asker) -> PromptSearch:
    labels = {label: i for i, label in enumerate(task.labels)}
    classes = [labels[one.label] for one in task.candidates] if labels else None
    groups = [labels.get(query.label, 0) for query in task.queries]
    return PromptSearch(
        task.K, task.k, groups, classes=classes, budget=request.calls, scale=scale_of(asker, task, request.objective),
        seed=request.seed,
    )  # fmt: skip


def scale_of(asker: Asker, task: PromptTask, objective: str) -> AnswerScale:
    """Return how answers are written: label words as margins, likelihoods as logarithms, right or wrong plainly."""
    if not task.free and asker.gives_label_probabilities:
        return AnswerScale("margin", accuracy=objective == "accuracy")
    if task.free and asker.gives_likelihoods and objective == "loss":
        return AnswerScale("log")
    return AnswerScale("plain")


def _answers(asker: Asker, task: PromptTask, question: Question) -> NDArray[np.float64]:
    """Loss and accuracy of the queries of a question, shape (2, queries)."""
    from kernelsm.prompts.asked import measured

    queries = [task.queries[j] for j in question.queries]
    return np.asarray(measured(asker, task, question.order, queries)[:2])


class _Counted:
    """Tells of calls instead of chunks."""

    def __init__(self, report: Report, search: PromptSearch, calls: int, words: str) -> None:
        self._report, self._before, self._calls, self._words = report, search.calls, calls, words
        self._prompts = len(search.orders)

    def report(self, questions: Sequence[Question]) -> Report:
        sizes = [len(question.queries) for question in questions]

        def tell(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
            words = self._words or f"asking random prompts first: {self._prompts + done} of {FULL_STARTS}"
            self._report(min(self._before + sum(sizes[:done]), self._calls), self._calls, words, reused=reused)

        return tell


def _words(search: PromptSearch, curve: list[list[float]]) -> str:
    """The best so far; nothing while random prompts are asked."""
    if not curve:
        return ""
    _, mean, low, high = curve[-1]
    return f"{len(search.orders)} prompts asked, the best so far {mean:.3g} ({low:.3g} to {high:.3g})"
