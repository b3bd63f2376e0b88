"""Computing the finished results of MT10 anew: demonstrations, the policy W0, rollouts, and task grouping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.attributors.network_losses import NetworkLosses
from kernelsm.estimators.adapted_features import adapted_features
from kernelsm.estimators.estimator import Estimator
from kernelsm.estimators.fine_tuning import FineTuning
from kernelsm.estimators.gradex import GradEx
from kernelsm.estimators.retraining import Retraining
from kernelsm.evaluation.first_order import logit_error
from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.examples.catalog import get_example
from kernelsm.examples.example import WEIGHTS
from kernelsm.examples.mt10.example import picture_of
from kernelsm.examples.mt10.suite import DEMONSTRATIONS, mt10_suite, mt10_units
from kernelsm.outcomes.samplers import bernoulli_masks, fixed_size_masks, masks_of_size
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.compute import base_model, gradex, retraining
from kernelsm.pipelines.rebuild import rebuild_checks, rebuild_example
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost, example_settings
from kernelsm.policies.cloning import PolicyUnits, cloned_policy, cloning_suite, some_steps
from kernelsm.policies.demonstrations import demonstrate
from kernelsm.policies.environment import Simulator
from kernelsm.policies.grouping import groups
from kernelsm.policies.meta_world import MT10_TASKS, MetaWorldTask, meta_world
from kernelsm.policies.policy_gradient import policy_gradient_suite
from kernelsm.policies.record import GroupResult, HeldOut, PolicyRecord
from kernelsm.policies.returns import PolicyReturns
from kernelsm.policies.rollouts import task_return
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.executors import Task
from kernelsm.runtime.progress import Report, Stages
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogateCV
from kernelsm.surrogates.linear import LinearSurrogateCV
from kernelsm.tasks.suite import TaskSuite
from kernelsm.workspace.projects import find_recipe

if TYPE_CHECKING:
    from torch import nn

NAME = "mt10"
POLICY_CHUNKS = ChunkKind("cloned_policies", version=1)
GROUP_CHUNKS = ChunkKind("task_groups", version=1)
EPISODES_OF_EXPERTS = 50
TRAIN_STEPS, TEST_STEPS = 150, 75
SIZE, SUBSETS, OTHERS = 7, 60, 30
EPISODES_OF_W0 = 50
DRAWS, TESTED = 30, 10
STEPS_TO_PICTURE = 25
COMPARED = 10
"""Fine-tuned policies whose actions are compared with their first-order estimates."""
SEEDS = (0, 1, 2)
GRADIENT_SUBSETS, GRADIENT_RIDGE = 20, 10.0
"""Of policy gradients: subsets that are really fine-tuned on, and the pull towards W0."""
TUNING: dict[str, Any] = {"epochs": 20, "learning_rate": 1e-3, "batch_size": 64}
"""How a policy is fine-tuned on a group of tasks, from several seeds."""


def rebuild_mt10(report: Report, store: Store, folder: Path | None = None, *, retrain: bool = False) -> list[Path]:
    """Compute all finished results of MT10 anew and write them; returns the files written.

    Parameters
    ----------
    report, store
        Told of progress; keeps finished chunks, so that a rebuild that was stopped goes on where it was.
    folder : Path, optional
        Where to write; the example's own if not given.
    retrain : bool
        Record the demonstrations and clone W0 anew, too.
    """
    folder = folder or get_example(NAME).folder
    written = rebuild_policy(report, store, folder) if retrain else []
    written += rebuild_example(NAME, report, store, folder)
    written.append(rebuild_checks(NAME, report, store, folder, ceiling=False))
    written += rebuild_returns(report, store, folder, example_settings(NAME))
    return [*written, rebuild_record(report, store, folder, example_settings(NAME))]


def rebuild_policy(report: Report, store: Store, folder: Path) -> list[Path]:
    """Draw the tasks, record the experts, and clone W0 on all tasks; write pictures, shipped demonstrations and W0.

    Parameters
    ----------
    report, store
        Told of progress; keeps finished chunks.
    folder : Path
        Where to write.
    """
    from kernelsm.models.weights import save_weights

    pictures = draw_tasks(folder)  # first: it takes seconds, and needs something that may not be there
    whole = demonstrate(meta_world(), episodes=EPISODES_OF_EXPERTS, store=store, report=report)
    written = [some_steps(whole, TRAIN_STEPS, TEST_STEPS).save(folder / DEMONSTRATIONS.name)]
    shipped = type(whole).load(written[0])
    units = PolicyUnits.fitted(shipped)
    # W0 learns from every step of the training episodes, and is measured on the shipped ones of the others
    suite = cloning_suite(whole, units)
    clone = partial(_cloned, suite)
    work = ChunkedWork(lambda: Task(clone, memory=2**30), POLICY_CHUNKS, "policy")
    (weights,) = computed_chunks(work, [(suite.content_hash,)], [None], store, report)
    model = policy_network(units.width, weights)
    return [*pictures, *written, save_weights(model, folder / WEIGHTS)]


def draw_tasks(folder: Path) -> list[Path]:
    """Draw what each task looks like half-way through an expert's episode; returns the files written.

    Raises
    ------
    InputError
        There is no OpenGL to draw with.
    """
    from PIL import Image

    written = []
    for task in MT10_TASKS:
        environment = MetaWorldTask(task, 1)
        environment.reset(0)
        for _ in range(STEPS_TO_PICTURE):
            environment.step(environment.expert())
        path = picture_of(task, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as part:
            Image.fromarray(environment.picture()).save(part, format="webp", quality=80)
        written.append(path)
    return written


def policy_network(width: int, weights: dict[str, NDArray[np.float32]]) -> nn.Module:
    """Return the policy of `cloned_policy` with these weights."""
    import torch

    from kernelsm.models.mlp import mlp
    from kernelsm.policies.cloning import HIDDEN

    model = mlp((width, *HIDDEN, 4))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model.eval()


def _cloned(suite: TaskSuite, _: None) -> dict[str, NDArray[np.float32]]:
    return {name: value.numpy() for name, value in cloned_policy(suite).state_dict().items()}


def rebuild_returns(report: Report, store: Store, folder: Path, settings: RunSettings) -> list[Path]:
    """Fine-tune W0 on subsets, let the policies act, and write the tables of what came of it.

    Parameters
    ----------
    report, store
        Told of progress; keeps finished chunks.
    folder : Path
        Where to write.
    settings : RunSettings
        Of GradEx on this example.
    """
    model = base_model(NAME, store)
    rolled, masks = rolled_policies(settings, model), rolled_subsets(mt10_suite().K)
    written = []
    for measure in rolled.measures:
        table = rolled.outcomes(masks, measure=measure.name, store=store, report=report)
        written.append(described(table).save(folder / f"measured_{measure.name}.parquet"))
    estimates = estimates_of(settings, model, store, report)
    sevens = estimates.outcomes(masks_of_size(masks.shape[1], SIZE), store=store, report=report)
    return [*written, described(sevens).save(folder / "estimated_sevens.parquet")]


def rebuild_record(report: Report, store: Store, folder: Path, settings: RunSettings) -> Path:
    """Choose groups of tasks, train with them, and write what is known of the policies beyond their tables.

    The tables must be finished, in `folder` too; parameters as of `rebuild_returns`.
    """
    model = base_model(NAME, store)
    rolled, masks = rolled_policies(settings, model), rolled_subsets(mt10_suite().K)
    tables = {one.name: Outcomes.load(folder / f"measured_{one.name}.parquet") for one in rolled.measures}
    sevens = Outcomes.load(folder / "estimated_sevens.parquet")
    estimates = estimates_of(settings, model, store, report).outcomes(masks, store=store, report=report)
    base = PolicyReturns(rolled.trainer, rolled.simulator, rolled.units, episodes=EPISODES_OF_W0).measured(model)
    errors = [
        logit_error(model, rolled.trainer.fine_tune(mask), rolled.suite.test_inputs).of_logits
        for mask in masks[masks.sum(axis=1) == SIZE][:COMPARED]
    ]
    record = PolicyRecord(
        list(rolled.suite.task_names), base[1].tolist(), base[2].tolist(), EPISODES_OF_W0, errors,
        _agreement(tables, estimates), _held_out_scores(tables, sevens),
        _group_results(model, sevens, rolled, store, report),
        _policy_gradient(model, rolled.simulator, rolled.units, store, report),
    )  # fmt: skip
    return record.save(folder / "policies.json")


def rolled_policies(settings: RunSettings, model: nn.Module) -> PolicyReturns:
    """Return the estimator that fine-tunes W0 and lets each policy act in all tasks."""
    return PolicyReturns(retraining(settings, find_recipe(NAME), model), meta_world(), mt10_units())


def rolled_subsets(K: int) -> NDArray[np.bool_]:
    """The subsets that are really fine-tuned on and rolled out: 60 of seven tasks, as in the paper, and 30 others."""
    sevens = fixed_size_masks(K, SUBSETS, size=SIZE, seed=2, distinct=True)
    others = bernoulli_masks(K, 2 * OTHERS, p=0.5, seed=3, distinct=True)
    return np.vstack([sevens, others[others.sum(axis=1) != SIZE][:OTHERS]])


def described(outcomes: Outcomes) -> Outcomes:
    """Return outcomes whose metadata names the example."""
    return replace(outcomes, meta={**outcomes.meta, "example": NAME})


def estimates_of(settings: RunSettings, model: nn.Module, store: Store, report: Report) -> Estimator:
    """Return GradEx with these settings; features come from the store where they are there."""
    stages = Stages(report, estimate_cost(settings).stages)
    return gradex(settings, find_recipe(NAME), model, stages, store)


def _agreement(tables: dict[str, Outcomes], estimates: Outcomes) -> dict[str, dict[str, float]]:
    """LDS of estimated losses against each measure, on the subsets of seven and on the others."""
    seven = estimates.masks.sum(axis=1) == SIZE
    found: dict[str, dict[str, float]] = {}
    for name, table in tables.items():
        sign = -1.0 if table.higher_is_better else 1.0
        found[name] = {
            kind: lds(table.values[rows], sign * estimates.values[rows])
            for kind, rows in (("sevens", seven), ("others", ~seven))
        }
    return found


def surrogates() -> dict[str, Surrogate]:
    """The surrogates that are compared, not fitted yet."""
    return {"linear": LinearSurrogateCV(), "kernel": KernelSurrogateCV(), "default": AutoSurrogate()}


def _held_out_scores(tables: dict[str, Outcomes], sevens: Outcomes) -> list[HeldOut]:
    """Hold out ten subsets of seven, as the paper does, again and again; once all that are left tell, once GradEx."""
    found = []
    for name, table in tables.items():
        rolled = table.take(table.masks.sum(axis=1) == SIZE)
        found += _scores(rolled, rolled, name)
    truth = tables["loss"].take(tables["loss"].masks.sum(axis=1) == SIZE)
    return [*found, *_scores(sevens, truth, "loss, by GradEx")]


def _scores(fitted: Outcomes, truth: Outcomes, measure: str) -> list[HeldOut]:
    """LDS on ten subsets of the truth of surrogates fitted to all others of a table, over several draws."""
    rng = np.random.default_rng(0)
    scores: dict[str, list[float]] = {name: [] for name in surrogates()}
    left = 0
    for _ in range(DRAWS):
        test = truth.take(np.sort(rng.choice(truth.m, TESTED, replace=False)))
        tested = {mask.tobytes() for mask in test.masks}
        train = fitted.take(np.array([mask.tobytes() not in tested for mask in fitted.masks]))
        left = train.m
        for name, surrogate in surrogates().items():
            found = lds(test.values, surrogate.fit_outcomes(train).predict(test.masks))
            # where all ten subsets come to the same success in every task, there are no ranks
            scores[name] += [found] if np.isfinite(found) else []
    return [HeldOut(name, measure, left, TESTED, values) for name, values in scores.items() if values]


def _group_results(
    model: nn.Module, sevens: Outcomes, rolled: PolicyReturns, store: Store, report: Report
) -> list[GroupResult]:
    """Fine-tune on the chosen groups of each target, from several seeds, and roll each policy out in its target."""
    cosines = gradient_cosines(rolled.suite, model, rolled.trainer.ridge)
    chosen = [
        (target, way, group)
        for j, target in enumerate(sevens.target_names)
        for way, found in groups(sevens, target, cosines[:, j]).items()
        for group in found
    ]
    tried = sorted({(rolled.suite.target_names.index(target), group, seed)
                    for target, _, group in chosen for seed in SEEDS})  # fmt: skip
    player = _GroupPlayer(rolled, model)
    work = ChunkedWork(lambda: Task(player.play, memory=2**29), GROUP_CHUNKS, "task groups")
    key = (*rolled._work(None).key, TUNING)
    played = computed_chunks(work, [(*key, one) for one in tried], tried, store, report)
    results = dict(zip(tried, played, strict=True))
    names = rolled.suite.task_names
    return [
        GroupResult(target, way, [names[k] for k in group], seed, *results[names.index(target), group, seed])
        for target, way, group in chosen
        for seed in SEEDS
    ]


def _policy_gradient(
    model: nn.Module, simulator: Simulator, units: PolicyUnits, store: Store, report: Report
) -> dict[str, float]:
    """How well GradEx of policy gradients agrees with really taking them, and what they do to returns."""
    suite = policy_gradient_suite(simulator, model, units, store=store, report=report)
    masks = fixed_size_masks(suite.K, GRADIENT_SUBSETS, size=SIZE, seed=2, distinct=True)
    features = adapted_features(suite, model, ridge=GRADIENT_RIDGE, store=store, report=report)
    estimator = GradEx(suite, *features, ridge=GRADIENT_RIDGE)
    trainer = Retraining(
        suite, model, ridge=GRADIENT_RIDGE, precision="single", relative_tolerance=0.01, max_steps=100
    )
    rolled = PolicyReturns(trainer, simulator, units)
    estimates, truth = (one.outcomes(masks, store=store, report=report) for one in (estimator, rolled))
    gains = estimator.outcomes(masks, measure="gain", store=store, report=report)
    returns = rolled.outcomes(masks, measure="return", store=store, report=report)
    tuned = trainer.fine_tune(masks[0])
    distance = sum(
        float((after - before).detach().square().sum())
        for after, before in zip(tuned.parameters(), model.parameters(), strict=True)
    )
    size = sum(float(before.detach().square().sum()) for before in model.parameters())
    return {
        "subsets": float(len(masks)), "ridge": GRADIENT_RIDGE, "distance": float(np.sqrt(distance / size)),
        "relative_error": relative_error(truth.values, estimates.values), "lds": lds(truth.values, estimates.values),
        "lds_of_returns": lds(returns.values, gains.values), "mean_return": float(returns.values.mean()),
    }  # fmt: skip


@dataclass(frozen=True)
class _GroupPlayer:
    rolled: PolicyReturns
    model: nn.Module

    def play(self, one: tuple[int, tuple[int, ...], int]) -> tuple[float, float, float]:
        """Return, success and loss of one target after fine-tuning on one group from one seed."""
        target, group, seed = one
        rolled, suite = self.rolled, self.rolled.suite
        mask = np.isin(np.arange(suite.K), group)
        trainer = FineTuning(suite, self.model, ridge=rolled.trainer.ridge, seed=seed, **TUNING)
        tuned = trainer.fine_tune(mask)
        # other beginnings for each seed, none of which any demonstration had
        reached = task_return(
            rolled.simulator, tuned, rolled.units, target, episodes=rolled.episodes, seed=rolled.seed + 1 + seed
        )
        return reached.mean_reward, reached.success, float(rolled.losses(tuned)[target])


def gradient_cosines(suite: TaskSuite, model: nn.Module, ridge: float) -> NDArray[np.float64]:
    """Cosine of each task's mean training gradient with each target's, at W0, shape (K, q)."""
    from torch.nn.functional import normalize

    losses = NetworkLosses(suite, model, ridge=ridge)
    sides = [normalize(side(losses.start), dim=1) for side in (losses.task_gradients, losses.target_gradients)]
    return np.asarray((sides[0] @ sides[1].T).numpy())
