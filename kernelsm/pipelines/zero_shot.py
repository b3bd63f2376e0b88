"""What a language model says without any demonstration: what every prompt is compared with, asked once and kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kernelsm.pipelines.ask_model import START_SECONDS, open_source, ordered_measures
from kernelsm.pipelines.askers import EndpointCost, cost_of_all_queries
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

    Raises
    ------
    InputError
        The source is not here.
    """

    source: str

    def __post_init__(self) -> None:
        find_prompts(self.source)

    def seconds(self) -> float:
        """Expected seconds on two cores with nothing cached."""
        found = find_prompts(self.source)
        return START_SECONDS + (len(found.task.queries) + len(found.task.fresh)) * found.seconds_a_query

    def cost(self) -> EndpointCost | None:
        """What it takes where an endpoint is asked; None else."""
        return cost_of_all_queries(find_prompts(self.source), 0)

    def job(self) -> JobSpec:
        """The job that asks them."""
        return JobSpec("kernelsm.pipelines.zero_shot:run", asdict(self))


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: ask about all queries with an empty prompt.

    Returns {"queries": [mean loss, mean accuracy], "fresh": the same of the fresh queries, or null}.
    """
    from kernelsm.prompts.prompting import Prompting

    task, asker = open_source(ZeroShotSettings(**settings).source, report, store)
    found: dict[str, Any] = {"queries": None, "fresh": None}
    for name, fresh in (("queries", False), ("fresh", True)):
        if fresh and not task.fresh:
            continue
        (measures,) = ordered_measures(Prompting(task, asker, fresh=fresh), [()], store, report)
        found[name] = measures[:2].mean(axis=1).tolist()
    return found
