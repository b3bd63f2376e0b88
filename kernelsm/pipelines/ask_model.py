"""Asking a language model as a job: outcomes of many prompts, and the check of chosen ones on fresh queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.endpoint import EndpointLimits
from kernelsm.models.endpoint_address import is_endpoint
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.askers import EndpointCost, check_calibrated, endpoint_cost, open_asker, queries_asked
from kernelsm.prompts import calibration
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.workspace.prompt_projects import find_prompts
from kernelsm.workspace.tables import save_run, save_run_orders

if TYPE_CHECKING:
    from kernelsm.models.language_model import LanguageModel
    from kernelsm.prompts.asker import Asker
    from kernelsm.prompts.prompting import Prompting

ORDERED_PROMPT_CHUNKS = ChunkKind("prompts_in_order", version=1)
LABEL_CHUNKS = ChunkKind("prompt_label_words", version=1)
"""Log-probabilities of label words after one prompt: of all queries, and of the content-free ones."""
START_SECONDS = 15.0
"""Until the default model is there."""
MOST_SUBSETS, MOST_ORDERS, MOST_PROMPTS = 5_000, 24, 200
FEWEST_PROMPTS = 3
"""With only two prompts, any demonstration that differs could explain the difference."""


@dataclass(frozen=True)
class PromptSettings:
    """Which prompts to ask a language model with.

    Parameters
    ----------
    source : str
        Name of a built-in prompt task, or the key of an uploaded one.
    subsets : int
        m, 3 to 5,000, all different; set to the number that there are where that is less.
    size : int, optional
        Demonstrations in each; the task's own k if not given.
    orders : int
        Random orders of each subset, 1 to 24.
    seed : int
        Of the subsets and of the orders.
    limits : EndpointLimits, optional
        How an endpoint is asked, and how much at most.
    calibrated : bool
        Take what the model leans to off the label words; see `Prompting`.

    Raises
    ------
    InputError
        A setting out of its range, fewer than 3 different prompts, a source that is not here, or `calibrated` without
        probabilities of label words.
    """

    source: str
    subsets: int = 200
    size: int | None = None
    orders: int = 2
    seed: int = 0
    limits: EndpointLimits | None = None
    calibrated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", as_limits(self.limits))
        source = find_prompts(self.source)
        task = source.task
        if self.calibrated:
            check_calibrated(source)
        if self.size is None:  # resolved here, so that equal work is one job
            object.__setattr__(self, "size", task.k)
        size = self.size or 0
        check_whole("subsets", self.subsets, FEWEST_PROMPTS, MOST_SUBSETS)
        check_whole("size", size, 1, task.K)
        check_whole("orders", self.orders, 1, MOST_ORDERS)
        check_whole("seed", self.seed, 0)
        most = math.comb(task.K, size)
        if most < FEWEST_PROMPTS:
            raise InputError(
                "candidates", f"{most} different prompt{'s' * (most > 1)} of {size} of {task.K}",
                f"at least {FEWEST_PROMPTS} prompts to learn from",
                "Give more candidates, or take fewer of them into a prompt.",
            )  # fmt: skip
        object.__setattr__(self, "subsets", min(self.subsets, most))

    @property
    def all_there_are(self) -> bool:
        """Whether these are all the prompts of their size."""
        return self.subsets == math.comb(find_prompts(self.source).task.K, self.size or 0)

    def masks(self) -> NDArray[np.bool_]:
        """The subsets, shape (m, K), no two alike."""
        assert self.size is not None
        K = find_prompts(self.source).task.K
        return fixed_size_masks(K, self.subsets, size=self.size, seed=self.seed, distinct=True)

    def seconds(self) -> float:
        """Expected seconds on two cores with nothing cached."""
        source = find_prompts(self.source)
        orders = min(self.orders, math.factorial(min(self.size or source.task.k, 12)))
        asked = queries_asked(source, calibrated=self.calibrated)
        return START_SECONDS + self.subsets * orders * asked * source.seconds_a_query

    def job(self) -> JobSpec:
        """The job that computes these outcomes."""
        return JobSpec("kernelsm.pipelines.ask_model:run", settings_arguments(self))

    def cost(self) -> EndpointCost | None:
        """What asking an endpoint takes at most; None where no endpoint is asked."""
        source = find_prompts(self.source)
        size = self.size or source.task.k
        orders = min(self.orders, math.factorial(min(size, 12)))
        return endpoint_cost(source, self.subsets * orders, size, calibrated=self.calibrated)

    def named(self, outcomes: Outcomes, store: Store) -> Outcomes:
        """Return the outcomes with metadata that names their texts, which the Demonstrations page needs."""
        likeness = _likeness(find_prompts(self.source).task, store)
        description = {"sampler": "fixed", "size": self.size, "prompts": self.source, "likeness": likeness}
        return replace(outcomes, meta={**outcomes.meta, **description})


@dataclass(frozen=True)
class CheckSettings:
    """Which prompts to check on the fresh queries of a task.

    Parameters
    ----------
    source : str
        As of `PromptSettings`.
    prompts : sequence of sequences of int
        Candidates of each prompt, in the order in which they are shown.
    orders : int
        Orders of each prompt: its own, and further ones drawn at random.
    seed : int
        Of these.
    limits : EndpointLimits, optional
        How an endpoint is asked, and how much at most.
    calibrated : bool
        Take what the model leans to off the label words; see `Prompting`. What it says without is told too.

    Raises
    ------
    InputError
        No prompt, an unknown or repeated candidate, a setting out of its range, no fresh queries, or `calibrated`
        without probabilities of label words.
    """

    source: str
    prompts: tuple[tuple[int, ...], ...]
    orders: int = 4
    seed: int = 0
    limits: EndpointLimits | None = None
    calibrated: bool = False

    def __post_init__(self) -> None:
        source = find_prompts(self.source)
        task = source.task
        if self.calibrated:
            check_calibrated(source)
        object.__setattr__(self, "limits", as_limits(self.limits))
        object.__setattr__(self, "prompts", tuple(tuple(int(i) for i in prompt) for prompt in self.prompts))
        if not task.fresh:
            raise InputError("fresh queries", "none", "at least 1", "Bring queries that are kept for checking.")
        if not 1 <= len(self.prompts) <= MOST_PROMPTS:
            raise InputError("prompts", f"{len(self.prompts)}", f"1 to {MOST_PROMPTS}", "Choose a prompt to check.")
        for prompt in self.prompts:
            if len(set(prompt)) != len(prompt) or not all(0 <= i < task.K for i in prompt):
                raise InputError("prompts", repr(prompt)[:80], f"different ones of 0..{task.K - 1}", "Choose again.")
        check_whole("orders", self.orders, 1, MOST_ORDERS)
        check_whole("seed", self.seed, 0)

    def orders_of(self, prompt: Sequence[int]) -> list[tuple[int, ...]]:
        """Return a prompt in its own order, then in further ones, all different."""
        rng = np.random.default_rng([self.seed, *prompt])
        orders = {tuple(prompt): None}
        while len(orders) < min(self.orders, math.factorial(min(len(prompt), 12))):
            orders[tuple(int(i) for i in rng.permutation(prompt))] = None
        return list(orders)

    def seconds(self) -> float:
        """Expected seconds on two cores with nothing cached."""
        source = find_prompts(self.source)
        count = sum(len(self.orders_of(prompt)) for prompt in self.prompts)
        asked = queries_asked(source, fresh=True, calibrated=self.calibrated)
        return START_SECONDS + count * asked * source.seconds_a_query

    def job(self) -> JobSpec:
        """The job that checks these prompts."""
        return JobSpec("kernelsm.pipelines.ask_model:check", settings_arguments(self))

    def cost(self) -> EndpointCost | None:
        """What asking an endpoint takes at most; None where no endpoint is asked."""
        source = find_prompts(self.source)
        count = sum(len(self.orders_of(prompt)) for prompt in self.prompts)
        size = max(map(len, self.prompts))
        return endpoint_cost(source, count, size, fresh=True, calibrated=self.calibrated)


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: ask the model about every query after each prompt, keep the table, and return {"run": content hash}."""
    outcomes, by_order = compute(PromptSettings(**settings), report, store)
    key = save_run(outcomes, store.root.parent)
    save_run_orders(key, by_order, store.root.parent)
    return {"run": key}


def compute(settings: PromptSettings, report: Report, store: Store) -> tuple[Outcomes, OrderedOutcomes]:
    """Compute the outcomes that `settings` name, and those of single orders; finished subsets come from the store."""
    from kernelsm.prompts.prompting import Prompting

    task, asker = open_source(settings.source, report, store, settings.limits)
    prompting = Prompting(task, asker, orders=settings.orders, seed=settings.seed, calibrated=settings.calibrated)
    masks = settings.masks()
    outcomes = settings.named(prompting.outcomes(masks, store=store, report=report), store)
    orders, values = prompting.by_order(masks, store=store)
    right = None
    if "accuracy" in [measure.name for measure in prompting.measures]:  # from the same answers
        right = prompting.by_order(masks, measure="accuracy", store=store)[1].mean(axis=1)
    return outcomes, OrderedOutcomes(np.array(orders), values, right)


def _likeness(task: PromptTask, store: Store) -> list[float]:
    """Mean cosine of each candidate's sentence embedding with those of the queries."""
    from kernelsm.models.text_embedding import embedded

    vectors = embedded([example.text for example in (*task.candidates, *task.queries)], store).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [round(float(example), 6) for example in vectors[: task.K] @ vectors[task.K :].mean(axis=0)]


def check(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: ask the model about the fresh queries after some prompts.

    Returns
    -------
    dict
        JSON types: `values`, for each prompt and each of its orders the (loss, accuracy) of every fresh query. Where
        label words are calibrated also `uncalibrated`, the same from the same answers as the model gave them, and
        `offsets`, for each prompt and order what was added to the log-probability of each label word.
    """
    from kernelsm.prompts.prompting import Prompting

    request = CheckSettings(**settings)
    task, asker = open_source(request.source, report, store, request.limits)
    prompting = Prompting(task, asker, fresh=True, calibrated=request.calibrated)
    ordered = [request.orders_of(prompt) for prompt in request.prompts]
    flat = [order for orders in ordered for order in orders]
    ends = np.cumsum([len(orders) for orders in ordered]).tolist()

    def by_prompt(found: list[Any]) -> list[list[Any]]:
        return [found[end - len(orders) : end] for orders, end in zip(ordered, ends, strict=True)]

    if not request.calibrated:
        measures = ordered_measures(prompting, flat, store, report)
        return {"values": by_prompt([found[:2].tolist() for found in measures])}
    answers = ordered_label_words(prompting, flat, store, report)
    return {
        "values": by_prompt([one.measures(calibrated=True)[:2].tolist() for one in answers]),
        "uncalibrated": by_prompt([one.measures(calibrated=False)[:2].tolist() for one in answers]),
        "offsets": by_prompt([calibration.label_offsets(one.content_free).tolist() for one in answers]),
    }


def open_source(
    source: str, report: Report, store: Store, limits: EndpointLimits | None = None
) -> tuple[PromptTask, Asker]:
    """Return the texts of a source and who answers them: its language model, one thread for each prompt, or endpoint.

    Raises
    ------
    InputError
        No such source, or a model or an endpoint that cannot be used here.
    """
    prompt_source = find_prompts(source)
    if not is_endpoint(prompt_source.model):
        task, model = open_model(source, report)
        from kernelsm.prompts.asker import as_asker

        return task, as_asker(model)
    report(0, 1, "opening the endpoint", reused=None)
    return prompt_source.task, open_asker(prompt_source, store, limits)


def open_model(source: str, report: Report) -> tuple[PromptTask, LanguageModel]:
    """Return the texts of a source and its language model, one thread for each prompt.

    Raises
    ------
    InputError
        No such source, or a model that cannot be used.
    """
    from kernelsm.pipelines.askers import source_model
    from kernelsm.runtime.threads import use_torch_threads

    prompt_source = find_prompts(source)
    report(0, 1, "loading the language model", reused=None)
    # prompts are independent: one thread each is faster than all threads on one after the other
    use_torch_threads(1)
    return prompt_source.task, source_model(prompt_source)


@dataclass(frozen=True, eq=False)
class LabelWords:
    """What a model says of the label words after one prompt, and without content.

    Parameters
    ----------
    log_probabilities : ndarray, shape (q, labels)
        In nats, normalised over the labels.
    content_free : ndarray, shape (c, labels)
        The same of content-free queries.
    true : ndarray of int64, shape (q,)
        Which label is right.
    """

    log_probabilities: NDArray[np.float64]
    content_free: NDArray[np.float64]
    true: NDArray[np.int64]

    def measures(self, *, calibrated: bool) -> NDArray[np.float64]:
        """All measures of every query, shape (3, q); see `measure_labels`."""
        from kernelsm.prompts.scoring import measure_labels

        found = self.log_probabilities
        if calibrated:
            found = calibration.calibrated(found, self.content_free)
        return measure_labels(found, self.true)


def ordered_measures(
    prompting: Prompting, orders: Sequence[tuple[int, ...]], store: Store, report: Report = silent
) -> list[NDArray[np.float64]]:
    """Return all measures of every query of `prompting` after each of some prompts, (measures, q) each.

    The first two are loss and accuracy; see `measures_of`.
    """
    if prompting.calibrated:
        return [one.measures(calibrated=True) for one in ordered_label_words(prompting, orders, store, report)]
    return _in_orders(prompting, orders, _measures, ORDERED_PROMPT_CHUNKS, store, report)


def ordered_label_words(
    prompting: Prompting, orders: Sequence[tuple[int, ...]], store: Store, report: Report = silent
) -> list[LabelWords]:
    """Return what the model says of the label words after each of some prompts; the store keeps it.

    Raises
    ------
    InputError
        As `score_with_content_free`.
    """
    from kernelsm.prompts.asked import true_labels

    true, q = true_labels(prompting.task, prompting.queries), len(prompting.queries)
    found = _in_orders(prompting, orders, _label_words, LABEL_CHUNKS, store, report)
    return [LabelWords(one[:q], one[q:], true) for one in found]


def _in_orders(
    prompting: Prompting,
    orders: Sequence[tuple[int, ...]],
    ask: Callable[[Prompting, tuple[int, ...]], NDArray[np.float64]],
    kind: ChunkKind,
    store: Store,
    report: Report,
) -> list[NDArray[np.float64]]:
    from kernelsm.prompts.asked import asked_where_it_works

    task = prompting.task
    message = "asking about fresh queries" if prompting.fresh else "asking the language model"
    work = ChunkedWork(lambda: Task(partial(ask, prompting), in_threads=True), kind, message)
    keys = [(task.content_hash, prompting.identity, prompting.fresh, order) for order in orders]
    with asked_where_it_works(prompting.asker):
        return computed_chunks(work, keys, orders, store, report)


def _measures(prompting: Prompting, order: tuple[int, ...]) -> NDArray[np.float64]:
    from kernelsm.prompts.asked import measured

    return measured(prompting.asker, prompting.task, order, prompting.queries)


def _label_words(prompting: Prompting, order: tuple[int, ...]) -> NDArray[np.float64]:
    """Log-probabilities of the label words: the queries' rows, then those of the content-free ones."""
    from kernelsm.prompts.asked import score_with_content_free

    return np.concatenate(score_with_content_free(prompting.asker, prompting.task, order, prompting.queries))


def as_limits(limits: EndpointLimits | dict[str, Any] | None) -> EndpointLimits | None:
    """Limits as they are or as a job holds them."""
    return EndpointLimits(**limits) if isinstance(limits, dict) else limits


def settings_arguments(settings: Any) -> dict[str, Any]:
    """Arguments of a job: without limits and calibration as they were before there were any."""
    found = asdict(settings)
    later = {"limits": None, "calibrated": False}
    return {name: value for name, value in found.items() if name not in later or value != later[name]}
