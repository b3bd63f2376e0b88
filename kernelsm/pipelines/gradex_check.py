"""Whether GradEx can be trusted on a model: computed as a job, shipped with the examples.

Three questions: does the network stay near its first-order expansion when it is really fine-tuned, do outcomes agree
with those of retraining, and how much does the projection distort gradients?
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.evaluation.first_order import FirstOrderCheck, first_order_check
from kernelsm.examples.catalog import get_example
from kernelsm.objectives.registry import find
from kernelsm.pipelines.compute import base_model, gradex, retraining
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.progress import Report, Stages, silent
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import find_recipe

if TYPE_CHECKING:
    from torch import nn

    from kernelsm.estimators.fine_tuning import FineTuning
    from kernelsm.estimators.retraining import Retraining

CHECK_SUBSETS = 8
CEILING_SUBSETS = 30
NETWORKS = 3
_SHOWN_PAIRS, _MAPS = 300, 5


@dataclass(frozen=True)
class ProjectionCheck:
    """How far a projection distorts inner products of this model's gradients.

    Parameters
    ----------
    kind : str
        Its name among the choices of projections.
    dim : int
        k.
    size : float
        Root mean square error of <Pg, Ph>, in units of |g| |h|, over all pairs and several random maps.
    errors : list of float
        Errors of some pairs, in the same unit.
    """

    kind: str
    dim: int
    size: float
    errors: list[float]


@dataclass(frozen=True)
class Ceiling:
    """How well outcomes of one base model predict those of another, trained from another seed.

    Parameters
    ----------
    subsets : int
    lds, spearman : float
        Mean over targets of the rank correlation over subsets; rank correlation of the outcome averaged over targets.
    """

    subsets: int
    lds: float
    spearman: float


@dataclass(frozen=True)
class Checks:
    """What is known of an example's first-order estimates beyond its truth.

    Parameters
    ----------
    first_order : FirstOrderCheck
    projections : list of ProjectionCheck
    expected_distortion : float
        The `size` of a dense Gaussian in theory, √(mean (1 + cos²) / k).
    ceiling : Ceiling, optional
    """

    first_order: FirstOrderCheck
    projections: list[ProjectionCheck]
    expected_distortion: float
    ceiling: Ceiling | None

    def save(self, path: Path) -> Path:
        """Write as JSON."""
        with write_whole(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return path

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Checks:
        """Read what `save` or the job wrote."""
        return cls(
            FirstOrderCheck.from_json(content["first_order"]),
            [ProjectionCheck(**projection) for projection in content["projections"]],
            content["expected_distortion"],
            Ceiling(**content["ceiling"]) if content["ceiling"] else None,
        )


def load_checks(name: str) -> Checks | None:
    """Return the finished checks of a built-in example; None for one without a model."""
    example = get_example(name)
    return Checks.from_json(json.loads((example.folder / "checks.json").read_text())) if example.has_model else None


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: retrain a few subsets, estimate them, compare, and return the checks as JSON under "checks"."""
    return {"checks": asdict(check(RunSettings(**settings), report, store))}


def check(settings: RunSettings, report: Report, store: Store) -> Checks:
    """Check GradEx with these settings on `settings.subsets` retrained subsets."""
    recipe = find_recipe(settings.source)
    stages = Stages(report, check_cost(settings))
    suite = recipe.suite(stages.stage("inputs") if recipe.rates.inputs else silent)
    masks = settings.masks()
    model = base_model(settings.source, store, stages.stage("base"))
    trainer = retraining(settings, recipe, model)
    truth = trainer.outcomes(masks, store=store, report=stages.stage("retraining"))
    networks = fine_tuned(trainer, masks, stages.stage("networks"))
    use_torch_threads()
    estimates = gradex(settings, recipe, model, stages, store).outcomes(
        masks, store=store, report=stages.stage("gradex")
    )
    projections, expected = projection_checks(settings.source, settings.dim, store, stages.stage("projections"))
    return Checks(first_order_check(suite, model, networks, truth, estimates), projections, expected, None)


def fine_tuned(trainer: Retraining | FineTuning, masks: NDArray[np.bool_], report: Report) -> list[nn.Module]:
    """Fine-tune the network on the first `NETWORKS` of these subsets, whose logits are compared."""
    networks = []
    for mask in masks[:NETWORKS]:
        networks.append(trainer.fine_tune(mask))
        report(len(networks), min(NETWORKS, len(masks)), "networks")
    return networks


def check_cost(settings: RunSettings) -> dict[str, float]:
    """Seconds that each stage of `check` is expected to take."""
    estimated = estimate_cost(replace(settings, estimator="gradex")).stages
    recipe = find_recipe(settings.source)
    rates = recipe.rates
    inputs = {"inputs": rates.inputs} if rates.inputs else {}
    return inputs | {
        "base": estimated["base"], "retraining": rates.retraining * settings.subsets,
        "networks": rates.retraining * NETWORKS, "train": estimated["train"], "test": estimated["test"],
        "gradex": estimated["gradex"],
        "projections": _MAPS * 64 * sum(rates.gradients.values()) / 1000 if recipe.objective != NEXT_TOKENS else 0.1,
    }  # fmt: skip


def projection_checks(source: str, dim: int, store: Store, report: Report) -> tuple[list[ProjectionCheck], float]:
    """Distortion of every random projection on gradients of an example's training samples, and the theory's size.

    Each kind is drawn several times: the errors of one map's pairs go together. There are none for language models,
    whose gradients are kept in every coordinate.
    """
    if find_recipe(source).objective == NEXT_TOKENS:
        return [], 0.0
    from kernelsm.gradients.distortion import distortion
    from kernelsm.gradients.projections import RANDOM

    suite = find_recipe(source).suite()
    maps = [kind(dim, seed) for kind in RANDOM.values() for seed in range(_MAPS)]
    found = distortion(
        base_model(source, store), suite.inputs, suite.labels, maps, objective=find(suite), report=report
    )
    checks = []
    for number, name in enumerate(RANDOM):
        errors = np.concatenate([one.errors for one in found[number * _MAPS : (number + 1) * _MAPS]])
        rows = np.linspace(0, len(errors) - 1, min(_SHOWN_PAIRS, len(errors))).astype(int)
        size = float(np.sqrt(np.mean(np.square(errors))))
        checks.append(ProjectionCheck(name, dim, size, [round(float(error), 5) for error in errors[rows]]))
    return checks, float(np.sqrt(np.mean(1 + np.square(found[0].exact)) / dim))
