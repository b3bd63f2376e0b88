"""Who answers prompts: a language model on this computer or an endpoint, as the source of the prompts says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernelsm.models.endpoint import Endpoint, EndpointLimits
from kernelsm.models.endpoint_address import EndpointAddress, check_endpoint_allowed, is_endpoint
from kernelsm.models.model_folders import local_models_allowed
from kernelsm.prompts.calibration import CONTENT_FREE, check_label_probabilities, content_free_queries
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import Store
from kernelsm.workspace.prompt_projects import PromptSource

if TYPE_CHECKING:
    from kernelsm.models.language_model import LanguageModel
    from kernelsm.prompts.asker import Asker

_LETTERS_A_TOKEN = 4
_ANSWER_TOKENS = 8


@dataclass(frozen=True)
class EndpointCost:
    """What asking an endpoint takes where nothing is kept yet.

    Parameters
    ----------
    calls : int
        Requests, without those that are sent again after a failure.
    tokens : int
        Of prompts and answers, about: four characters count as one.
    """

    calls: int
    tokens: int


def open_asker(source: PromptSource, store: Store | None = None, limits: EndpointLimits | None = None) -> Asker:
    """Return who answers the prompts of a source.

    Parameters
    ----------
    source : PromptSource
        It may come from another computer, in a session file: endpoints, folders and names are followed only where
        this one allows them.
    store : Store, optional
        Where an endpoint's answers are kept.
    limits : EndpointLimits, optional

    Raises
    ------
    InputError
        A model or an endpoint that cannot be used, or may not be used here.
    """
    if is_endpoint(source.model):
        from kernelsm.prompts.endpoint_asker import EndpointAsker

        address = EndpointAddress.of_text(source.model)
        check_endpoint_allowed(address)
        return EndpointAsker(Endpoint(address, store, limits))
    from kernelsm.prompts.asker import LocalAsker

    return LocalAsker(source_model(source))


def source_model(source: PromptSource) -> LanguageModel:
    """Load the language model of a source.

    A source may come from another computer, in a session file: folders and names are followed only where this one
    allows them.

    Raises
    ------
    InputError
        Another than the default model where `local_models_allowed` says no, an endpoint, or none that can be used.
    """
    from kernelsm.models.language_model import load_language_model

    if is_endpoint(source.model):
        found = "an endpoint, which only answers"
        fix = "Ask with the prompts themselves (Exact), or choose a model on this computer."
        raise InputError("model", found, "a language model on this computer, whose insides are looked at", fix)
    if source.model and not local_models_allowed():
        fix = "Start the app with KERNELSM_ALLOW_PATHS=1 on your own computer to use folders and names on the hub."
        raise InputError(f"model {source.model!r}"[:160], "a folder or hub name", "the default model", fix)
    return load_language_model(source.model or None)


def gives_label_probabilities(source: PromptSource) -> bool:
    """Return whether the answers to a source are label words with probabilities, which can be calibrated."""
    return not source.task.free and (
        not is_endpoint(source.model) or EndpointAddress.of_text(source.model).probabilities
    )


def check_calibrated(source: PromptSource) -> None:
    """Refuse to calibrate what has no probabilities of label words.

    Raises
    ------
    InputError
        Free answers, or an endpoint that gives answers alone.
    """
    check_label_probabilities(
        source.task, gives_label_probabilities=gives_label_probabilities(source), name=source.model
    )


def queries_asked(source: PromptSource, *, fresh: bool = False, calibrated: bool = False) -> int:
    """Return how many queries are asked after each prompt; calibrated, the content-free ones are among them."""
    own = source.task.fresh if fresh else source.task.queries
    return len(own) + (len(CONTENT_FREE) if calibrated else 0)


def endpoint_cost(
    source: PromptSource, prompts: int, size: int, *, fresh: bool = False, calibrated: bool = False
) -> EndpointCost | None:
    """Estimate what asking an endpoint with some prompts takes; None where no endpoint is asked.

    Parameters
    ----------
    source : PromptSource
    prompts : int
        Orders of demonstrations, each asked with every query.
    size : int
        Demonstrations in each.
    fresh : bool
        Whether the fresh queries are asked.
    calibrated : bool
        Whether content-free queries are asked too.
    """
    if not is_endpoint(source.model):
        return None
    address, task = EndpointAddress.of_text(source.model), source.task
    queries = task.fresh if fresh else task.queries
    if calibrated:
        queries = (*queries, *content_free_queries(task))
    exact = address.api == "completions" and address.probabilities
    answer = _ANSWER_TOKENS
    if task.rule is None:
        each = len(task.labels) if exact else 1
    else:
        each = max(int(exact) + int(task.rule.needs_answers), 1)
        answer += round(_mean([len(query.label) for query in task.queries]) / _LETTERS_A_TOKEN)
    calls = prompts * len(queries) * each
    letters = sum(prompt_letters(task, size, queries))
    return EndpointCost(calls, round(calls * (letters / _LETTERS_A_TOKEN + answer)))


def cost_of_all_queries(source: PromptSource, size: int, *, calibrated: bool = False) -> EndpointCost | None:
    """Estimate what asking an endpoint once about every query and fresh query takes; None where none is asked.

    Parameters
    ----------
    source, size, calibrated
        As of `endpoint_cost`.
    """
    parts = (False, True) if source.task.fresh else (False,)
    costs = [endpoint_cost(source, 1, size, fresh=fresh, calibrated=calibrated) for fresh in parts]
    known = [cost for cost in costs if cost is not None]
    return EndpointCost(sum(one.calls for one in known), sum(one.tokens for one in known)) if known else None


def prompt_letters(task: PromptTask, size: int, queries: Sequence[Labelled]) -> tuple[float, float]:
    """Return how many letters a prompt has in the mean, before its query and in it.

    Parameters
    ----------
    task : PromptTask
    size : int
        Demonstrations in a prompt.
    queries : sequence of Labelled
    """
    template = task.template
    shown = _mean([len(template.head([example])) - len(template.head([])) for example in task.candidates])
    return len(template.instruction) + size * shown, _mean([len(template.tail(query)) for query in queries])


def _mean(numbers: list[int]) -> float:
    return sum(numbers) / max(1, len(numbers))
