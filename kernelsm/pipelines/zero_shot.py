"""What a language model says without any demonstration: what every prompt is compared with, asked once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kernelsm.pipelines.ask_model import START_SECONDS, open_source, ordered_measures, settings_arguments
from kernelsm.pipelines.askers import EndpointCost, check_calibrated, cost_of_all_queries, queries_asked
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store
from kernelsm.workspace.prompt_projects import find_prompts


@dataclass(frozen=True)
class ZeroShotSettings:
    """Whose queries to ask with a prompt that holds no demonstration.

    Parameters
    ----------
    source : str
        Name of a built-in prompt task, or the key of an uploaded one.
    calibrated : bool
        Take what the model leans to off the label words; see `Prompting`.

    Raises
    ------
    InputError
        The source is not here, or `calibrated` without probabilities of label words.
    """

    source: str
    calibrated: bool = False

    def __post_init__(self) -> None:
        found = find_prompts(self.source)
        if self.calibrated:
            check_calibrated(found)

    def seconds(self) -> float:
        """Expected seconds on two cores with nothing cached."""
        found = find_prompts(self.source)
        asked = sum(queries_asked(found, fresh=fresh, calibrated=self.calibrated) for fresh in _parts(found.task))
        return START_SECONDS + asked * found.seconds_a_query

    def cost(self) -> EndpointCost | None:
        """What it takes where an endpoint is asked; None else."""
        return cost_of_all_queries(find_prompts(self.source), 0, calibrated=self.calibrated)

    def job(self) -> JobSpec:
        """The job that asks them."""
        return JobSpec("kernelsm.pipelines.zero_shot:run", settings_arguments(self))


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: ask about all queries with an empty prompt.

    Returns {"queries": [mean loss, mean accuracy], "fresh": the same of the fresh queries, or null}.
    """
    from kernelsm.prompts.prompting import Prompting

    request = ZeroShotSettings(**settings)
    task, asker = open_source(request.source, report, store)
    found: dict[str, Any] = {"queries": None, "fresh": None}
    for fresh in _parts(task):
        prompting = Prompting(task, asker, fresh=fresh, calibrated=request.calibrated)
        (measures,) = ordered_measures(prompting, [()], store, report)
        found["fresh" if fresh else "queries"] = measures[:2].mean(axis=1).tolist()
    return found


def _parts(task: PromptTask) -> tuple[bool, ...]:
    """Whether fresh: the queries to choose by, and the fresh ones where there are any."""
    return (False, True) if task.fresh else (False,)
