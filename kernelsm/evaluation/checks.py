"""Whether GradEx can be trusted on a model: computed as a job, shipped with the examples.

Three questions: does the network stay near its first-order expansion when it is really fine-tuned, do outcomes agree
with those of retraining, and how much does the projection distort gradients?
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kernelsm.evaluation.first_order import FirstOrderCheck, first_order_check
from kernelsm.evaluation.metrics import lds, spearman_per_target
from kernelsm.outcomes.examples import FINISHED, TRUTH_SEED, get_example, load_estimates_of_truth, load_truth
from kernelsm.outcomes.pipeline import base_model, gradex, retraining
from kernelsm.outcomes.recipes import RECIPES
from kernelsm.outcomes.run_settings import RunSettings, estimate_cost
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.progress import Report, Stages
from kernelsm.runtime.store import Store

CHECK_SUBSETS = 8
CEILING_SUBSETS = 30
_NETWORKS = 3
_SHOWN_PAIRS = 300


@dataclass(frozen=True)
class ProjectionCheck:
    """How far a projection distorts inner products of this model's gradients.

    Parameters
    ----------
    name : str
    dim : int
        k.
    size : float
        Root mean square error of <Pg, Ph>, in units of |g| |h|.
    errors : list of float
        Errors of some pairs, in the same unit.
    """

    name: str
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
        Mean over targets of the rank correlation, and that of the mean over targets.
    """

    subsets: int
    lds: float
    spearman: float


@dataclass(frozen=True)
class Checks:
    """What is known of an example's first-order estimates beyond its truth."""

    first_order: FirstOrderCheck
    projections: list[ProjectionCheck]
    ceiling: Ceiling | None

    def save(self, path: Path) -> Path:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return path

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Checks:
        """Read what `save` or the job wrote."""
        return cls(
            FirstOrderCheck.from_json(found["first_order"]),
            [ProjectionCheck(**one) for one in found["projections"]],
            Ceiling(**found["ceiling"]) if found["ceiling"] else None,
        )


def load_checks(name: str) -> Checks | None:
    """Return the finished checks of a built-in example; None for one without a model."""
    path = FINISHED / f"{get_example(name).name}.checks.json"
    return Checks.from_json(json.loads(path.read_text())) if get_example(name).has_model else None


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: retrain a few subsets, estimate them, compare, and return the checks as JSON under "checks"."""
    return {"checks": asdict(check(RunSettings(**settings), report, store))}


def check(settings: RunSettings, report: Report, store: Store) -> Checks:
    """Check GradEx with these settings on `settings.subsets` retrained subsets."""
    recipe = RECIPES[settings.example]
    suite = recipe.suite()
    stages = Stages(report, check_cost(settings))
    masks = settings.masks()
    model = base_model(settings.example, store, stages.stage("base"))
    trainer = retraining(settings, recipe, model)
    truth = trainer.outcomes(masks, store=store, report=stages.stage("retraining"))
    networks = []
    told = stages.stage("networks")
    for mask in masks[:_NETWORKS]:
        networks.append(trainer.fine_tune(mask))
        told(len(networks), _NETWORKS, "networks")
    estimates = gradex(settings, recipe, model, stages, store).outcomes(
        masks, store=store, report=stages.stage("gradex")
    )
    projections = projection_checks(settings.example, settings.dim, store, stages.stage("projections"))
    return Checks(first_order_check(suite, model, networks, truth, estimates), projections, None)


def check_cost(settings: RunSettings) -> dict[str, float]:
    """Seconds that each stage of `check` is expected to take."""
    estimated = estimate_cost(replace(settings, estimator="gradex")).stages
    rates = RECIPES[settings.example].rates
    return {
        "base": estimated["base"], "retraining": rates.retraining * settings.subsets,
        "networks": rates.retraining * _NETWORKS, "train": estimated["train"], "test": estimated["test"],
        "gradex": estimated["gradex"], "projections": 64 * sum(rates.gradients.values()) / 1000,
    }  # fmt: skip


def projection_checks(example: str, dim: int, store: Store, report: Report) -> list[ProjectionCheck]:
    """Distortion of every random projection on gradients of an example's training samples."""
    from kernelsm.gradients.distortion import distortion
    from kernelsm.gradients.projections import RANDOM

    suite = RECIPES[example].suite()
    projections = [kind(dim) for kind in RANDOM.values()]
    found = distortion(base_model(example, store), suite.inputs, suite.labels, projections, report=report)
    rows = np.linspace(0, len(found[0].errors) - 1, min(_SHOWN_PAIRS, len(found[0].errors))).astype(int)
    return [
        ProjectionCheck(one.name, one.dim, one.size, [round(float(error), 5) for error in one.errors[rows]])
        for one in found
    ]


def noise_ceiling(settings: RunSettings, truth: Outcomes, report: Report, store: Store) -> Ceiling:
    """Retrain the subsets of `settings` from another base model, and compare with a truth that begins with them."""
    recipe = RECIPES[settings.example]
    model = base_model(settings.example, store, seed=1)
    other = retraining(settings, recipe, model).outcomes(settings.masks(), store=store, report=report)
    same = truth.take(range(other.m))
    overall = spearman_per_target(same.mean_target().values, other.mean_target().values)
    return Ceiling(other.m, lds(same.values, other.values), float(overall[0]))


def rebuild_checks(name: str, report: Report, store: Store, folder: Path = FINISHED) -> Path:
    """Compute the finished checks of an example anew and write them; its outcomes and truth must be finished."""
    example = get_example(name)
    recipe = RECIPES[name]
    truth, estimates = load_truth(name), load_estimates_of_truth(name)
    assert estimates is not None
    model = base_model(name, store)
    trainer = retraining(example.settings, recipe, model)
    networks = [trainer.fine_tune(mask) for mask in truth.masks[:_NETWORKS]]
    first_order = first_order_check(recipe.suite(), model, networks, truth, estimates)
    projections = projection_checks(name, example.settings.dim, store, report)
    held_out = replace(example.settings, subsets=CEILING_SUBSETS, seed=TRUTH_SEED, estimator="retraining")
    ceiling = noise_ceiling(held_out, truth, report, store)
    return Checks(first_order, projections, ceiling).save(folder / f"{name}.checks.json")
