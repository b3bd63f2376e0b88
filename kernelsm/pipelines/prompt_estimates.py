"""Estimating prompts as a job: a few anchors estimate them all, and exact outcomes of some give the error."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.ask_model import START_SECONDS, PromptSettings, open_model
from kernelsm.prompts.first_order_check import FEWEST, Combine, PromptFirstOrderCheck, prompt_first_order_check
from kernelsm.runtime.checks import check_choice, check_whole
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report, Stages
from kernelsm.runtime.store import Store
from kernelsm.workspace.prompt_projects import SECONDS_A_QUERY, find_prompts
from kernelsm.workspace.tables import save_run

CHECK = "first_order_check"
"""Entry of the metadata of estimated outcomes that holds their check, as JSON."""
ESTIMATOR = "first order"
"""What such a table says of itself under "estimator"."""
MOST_ANCHORS = 64
SECONDS_A_GRADIENT = 0.8
"""Of one query at one anchor, for the default model and the texts of the examples, on two cores.

Measured on one core (`benchmarks/prompting.py`): 1.6 s, fourteen times what a query scored exactly takes.
"""


@dataclass(frozen=True)
class EstimateSettings:
    """Which prompts to estimate from how many anchors, and how many of them to score exactly as well.

    Parameters
    ----------
    source, subsets, orders, seed
        As of `PromptSettings`; every prompt holds as many demonstrations as the task says. The seed also draws the
        anchors.
    anchors : int
        1 to 64.
    combine : {"nearest", "mean"}
        Which anchors estimate a prompt, see `FirstOrder`.
    checked : int
        The first so many subsets are also scored exactly, 3 to `subsets`; all where there are fewer.

    Raises
    ------
    InputError
        A setting out of its range, or a source that is not here.
    """

    source: str
    subsets: int = 200
    orders: int = 2
    seed: int = 0
    anchors: int = 4
    combine: Combine = "nearest"
    checked: int = 20

    def __post_init__(self) -> None:
        most = self.prompts.subsets  # what is wrong with the prompts is said first
        check_whole("anchors", self.anchors, 1, MOST_ANCHORS)
        check_choice("combine", self.combine, get_args(Combine))
        check_whole("checked", self.checked, FEWEST, self.subsets, fix="Check some of the subsets.")
        object.__setattr__(self, "subsets", most)
        object.__setattr__(self, "checked", min(self.checked, most))

    @property
    def prompts(self) -> PromptSettings:
        """The prompts that are estimated, as a job that scores them exactly names them."""
        return PromptSettings(self.source, subsets=self.subsets, orders=self.orders, seed=self.seed)

    @property
    def exact(self) -> PromptSettings:
        """The first of them, which are scored exactly."""
        return replace(self.prompts, subsets=self.checked)

    def masks(self) -> NDArray[np.bool_]:
        """The subsets, shape (m, K)."""
        return self.prompts.masks()

    def stages(self) -> dict[str, float]:
        """Expected seconds of each part on two cores with nothing cached."""
        source = find_prompts(self.source)
        task, slower = source.task, source.seconds_a_query / SECONDS_A_QUERY
        anchors = min(self.anchors, math.perm(task.K, task.k))
        return {
            "model": START_SECONDS,
            "anchors": anchors * len(task.queries) * SECONDS_A_GRADIENT * slower,
            "exact": self.exact.seconds() - START_SECONDS,
        }

    def seconds(self) -> float:
        """Expected seconds on two cores with nothing cached."""
        return sum(self.stages().values())

    def job(self) -> JobSpec:
        """The job that estimates these prompts and checks some."""
        return JobSpec("kernelsm.pipelines.prompt_estimates:run", asdict(self))


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: estimate prompts, check some, keep the table, and return {"estimates": content hash, "check": as JSON}.

    The table is not under "run", where it would be offered as a result at once: its check is to be read first.
    """
    estimates, check = estimate(EstimateSettings(**settings), report, store)
    return {"estimates": save_run(estimates, store.root.parent), "check": check.to_json()}


def estimate(settings: EstimateSettings, report: Report, store: Store) -> tuple[Outcomes, PromptFirstOrderCheck]:
    """Estimate the outcomes that `settings` name and compare some with exact ones; the store keeps both parts.

    The table says nothing of how much the order of demonstrations matters: orders of one prompt are estimated from
    anchors that are off by amounts of their own, and how far those are apart is no spread of the model's outcomes. So
    it has no `noise`, no "order_spread", and nothing is kept of its single orders.
    """
    from kernelsm.prompts.first_order import FirstOrder
    from kernelsm.runtime.threads import use_torch_threads

    stages = Stages(report, settings.stages())
    task, model = open_model(settings.source, stages.stage("model"))
    first_order = FirstOrder(
        task, model, anchors=settings.anchors, combine=settings.combine, orders=settings.orders, seed=settings.seed
    )
    masks = settings.masks()
    use_torch_threads()  # anchors come one after the other
    estimates = first_order.outcomes(masks, store=store, report=stages.stage("anchors"))
    use_torch_threads(1)
    few = settings.exact.masks()
    truth = first_order.prompting.outcomes(few, store=store, report=stages.stage("exact"))
    check = prompt_first_order_check(truth, estimates.take(range(settings.checked)))
    meta = {key: value for key, value in estimates.meta.items() if key != "order_spread"}
    return settings.prompts.named(replace(estimates, noise=None, meta={**meta, CHECK: check.to_json()}), store), check
