"""The job that tries a handful of pulls towards W0: outcomes by GradEx for each, and how near retraining they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from kernelsm.evaluation.first_order import FirstOrderCheck, first_order_check
from kernelsm.pipelines.compute import base_model, described, gradex, retraining
from kernelsm.pipelines.gradex_check import CHECK_SUBSETS, NETWORKS, fine_tuned
from kernelsm.pipelines.run_settings import START_SECONDS, RunSettings, estimate_cost
from kernelsm.runtime.checks import check_number, check_whole, shown
from kernelsm.runtime.errors import ConvergenceError, InputError
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report, Stages, silent
from kernelsm.runtime.store import Store
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import find_recipe
from kernelsm.workspace.tables import save_run

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from kernelsm.estimators.estimator import Estimator

MOST_PULLS = 8
CHECK_SEED = 10_007
"""Of the retrained subsets: apart from the seeds of examples and of their truth."""


@dataclass(frozen=True)
class PullSweep:
    """Which pulls are tried, and with which outcomes.

    Parameters
    ----------
    settings : RunSettings
        How outcomes are computed but for the pull: subsets, and what is linearised. The estimator is GradEx.
    pulls : sequence of float
        λ of the pull towards W0, 2 to 8 different ones above 0.
    checked : int
        Subsets that are retrained with every pull to see how near the estimates are; 0 where there are gradient
        features in place of a network.

    Raises
    ------
    InputError
        A source without a network or gradient features, or settings out of their range.
    """

    settings: RunSettings
    pulls: tuple[float, ...]
    checked: int = CHECK_SUBSETS

    def __post_init__(self) -> None:
        recipe = find_recipe(self.settings.source)
        fix, expected = "Choose some from weak to strong.", f"2 to {MOST_PULLS} different numbers above 0"
        if not isinstance(self.pulls, list | tuple):
            raise InputError("pulls", shown(self.pulls), expected, fix)
        for pull in self.pulls:
            check_number("pulls", pull, above=0, fix=fix)
        pulls = tuple(sorted({float(pull) for pull in self.pulls}))
        if not 2 <= len(pulls) <= MOST_PULLS:
            raise InputError("pulls", f"{len(pulls)}", expected, fix)
        check_whole("checked", self.checked, 0, 100)
        object.__setattr__(self, "pulls", pulls)
        object.__setattr__(self, "settings", replace(self.settings, estimator="gradex", ridge=None, onto=""))
        object.__setattr__(self, "checked", 0 if recipe.features else self.checked)

    @property
    def checks(self) -> RunSettings:
        """Settings of the subsets that are retrained: fresh ones, drawn in the same way."""
        return replace(self.settings, subsets=max(self.checked, 1), seed=CHECK_SEED, chosen=(), design="random")

    def cost(self) -> dict[str, float]:
        """Seconds that each stage is expected to take when nothing is cached."""
        stages = dict(estimate_cost(self.settings).stages)
        recipe = find_recipe(self.settings.source)
        each, rates = stages.pop("gradex"), recipe.rates
        for number in range(len(self.pulls)):
            stages[f"gradex {number}"] = each
            # a language model is fine-tuned without a pull: the same networks stand beside all of GradEx'
            if self.checked and not (number and recipe.objective == NEXT_TOKENS):
                stages[f"retraining {number}"] = rates.retraining * self.checked
                stages[f"networks {number}"] = rates.retraining * min(NETWORKS, self.checked)
        return stages

    def seconds(self) -> float:
        """Expected seconds when nothing is cached."""
        return START_SECONDS + sum(self.cost().values())

    def job(self) -> JobSpec:
        """The job that tries them."""
        arguments = {"settings": self.settings.arguments(), "pulls": list(self.pulls), "checked": self.checked}
        return JobSpec("kernelsm.pipelines.pull_sweep:run", arguments)


@dataclass(frozen=True)
class TriedPull:
    """One pull and what came of it.

    Parameters
    ----------
    ridge : float
        λ.
    run : str
        Key of the table of its outcomes; "" where GradEx did not converge.
    first_order : FirstOrderCheck, optional
        Its estimates against retraining with the same pull; None where nothing was retrained.
    error : str
        Why there are no outcomes.
    """

    ridge: float
    run: str = ""
    first_order: FirstOrderCheck | None = None
    error: str = ""

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> TriedPull:
        """Read what the job returned."""
        check = found["first_order"]
        return cls(**{**found, "first_order": FirstOrderCheck.from_json(check) if check else None})


def run(
    report: Report, store: Store, *, settings: dict[str, Any], pulls: Sequence[float], checked: int
) -> dict[str, Any]:
    """Job: try the pulls, keep a table for each, and return them as JSON under "pulls"."""
    sweep = PullSweep(RunSettings(**settings), tuple(pulls), checked)
    return {"pulls": [asdict(one) for one in try_pulls(sweep, report, store)]}


def try_pulls(sweep: PullSweep, report: Report, store: Store) -> list[TriedPull]:
    """Compute outcomes with every pull from the same gradients, and check some of them by retraining."""
    from kernelsm.estimators.gradex import GradEx
    from kernelsm.runtime.threads import use_torch_threads

    recipe, stages = find_recipe(sweep.settings.source), Stages(report, sweep.cost())
    if recipe.rates.inputs:
        recipe.suite(stages.stage("inputs"))
    model = None if recipe.features else base_model(sweep.settings.source, store, stages.stage("base"))
    use_torch_threads()
    # adapted directions that are good enough for the weakest pull are so for stronger ones
    first = gradex(replace(sweep.settings, ridge=min(sweep.pulls)), recipe, model, stages, store)
    assert isinstance(first, GradEx)
    masks, tried = sweep.settings.masks(), []
    networks: list[nn.Module] = []
    for number, ridge in enumerate(sweep.pulls):
        estimator = GradEx(first.suite, first.train, first.test, ridge=ridge)
        use_torch_threads()
        try:
            outcomes = estimator.outcomes(
                masks, measure=sweep.settings.measure, store=store, report=stages.stage(f"gradex {number}")
            )
            check = _checked(sweep, ridge, estimator, store, stages, networks) if sweep.checked else None
        except ConvergenceError as error:  # a pull too weak for these gradients: the others tell on
            tried.append(TriedPull(ridge, error=str(error)))
            continue
        table = described(outcomes, replace(sweep.settings, ridge=ridge))
        tried.append(TriedPull(ridge, save_run(table, store.root.parent), check))
    report(stages.total, stages.total, "done", reused=None)
    return tried


def _checked(
    sweep: PullSweep, ridge: float, estimator: Estimator, store: Store, stages: Stages, networks: list[nn.Module]
) -> FirstOrderCheck:
    """Retrain some fresh subsets with a pull, and compare them with their estimates.

    `networks` are those of the pull before, which a language model's are for every pull.
    """
    from kernelsm.runtime.threads import use_torch_threads

    recipe, masks = find_recipe(sweep.settings.source), _fresh(sweep)
    number = sweep.pulls.index(ridge)
    known = bool(networks) and recipe.objective == NEXT_TOKENS

    def stage(name: str) -> Report:
        return silent if known else stages.stage(f"{name} {number}")

    use_torch_threads(1)  # networks this small train as fast on one thread
    model = base_model(sweep.settings.source, store)
    trainer = retraining(replace(sweep.checks, ridge=ridge), recipe, model)
    truth = trainer.outcomes(masks, store=store, report=stage("retraining"))
    if not known:
        networks[:] = fine_tuned(trainer, masks, stage("networks"))
    use_torch_threads()
    estimates = estimator.outcomes(masks, store=store)
    return first_order_check(recipe.suite(), model, networks, truth, estimates)


def _fresh(sweep: PullSweep) -> NDArray[Any]:
    return sweep.checks.masks()
