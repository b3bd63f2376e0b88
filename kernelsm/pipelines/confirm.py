"""The job that retrains a network with and without some tasks, seed by seed, and keeps what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.estimators.recipe import Recipe
from kernelsm.evaluation.confirmation import ANEW, FINE_TUNED, WAYS, Confirmation, MeasureName
from kernelsm.objectives.objective import Measure
from kernelsm.objectives.registry import find
from kernelsm.pipelines.compute import base_model, initial_model, train_seeds, trainer
from kernelsm.pipelines.run_settings import START_SECONDS
from kernelsm.runtime.checks import check_number, check_whole, shown
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report, Stages, Within
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.restriction import only_tasks
from kernelsm.tasks.weighting import BY_SIZE
from kernelsm.workspace.confirmations import CONFIRMATIONS, confirmation_key, keep_confirmation
from kernelsm.workspace.projects import find_recipe

if TYPE_CHECKING:
    from torch import nn

    from kernelsm.tasks.suite import TaskSuite

Values = NDArray[np.float64]
Masks = NDArray[np.bool_]

ANEW_CHUNKS = ChunkKind("trained_without", version=1)
MOST_SEEDS = 50
_AT_ONCE = 256  # test samples that a network sees in one pass
_LOADING_SECONDS = 0.1


@dataclass(frozen=True)
class ConfirmSettings:
    """Which tasks are left out, and how the network is retrained.

    Parameters
    ----------
    source : str
        What the tasks are those of: the name of an example with a model, or the key of a project.
    left_out : sequence of int
        Indices of the tasks left out, some but not all.
    seeds : int
        How many: seeds 0, 1, ... of the initial weights, the batches and the samples held out. W0 that was brought
        ready has no seed, and fine-tuning from it no randomness: then 1.
    ways : sequence of {"fine_tuned", "anew"}
        "fine_tuned": from W0, which is trained on all tasks for each seed, to convergence on the loss with the pull
        towards W0: what outcomes are, and what a prediction is about. "anew": trained as W0 was, with all tasks and
        without those left out, as their owner would. W0 that was brought cannot be trained anew.
    ridge : float, optional
        λ of the pull towards W0; the source's own if not given.

    Raises
    ------
    InputError
        A setting out of its range, no such project here, or a source that has no network.
    """

    source: str
    left_out: tuple[int, ...]
    seeds: int = 5
    ways: tuple[str, ...] = WAYS
    ridge: float | None = None

    def __post_init__(self) -> None:
        recipe = find_recipe(self.source)
        if recipe.features:
            found, fix = "gradient features without a network", "Bring the network, or retrain it where it is."
            raise InputError(f"network of {self.source[:8]}", found, "a network to retrain", fix)
        object.__setattr__(self, "left_out", _checked_tasks(self.left_out, recipe.size.tasks))
        check_whole("seeds", self.seeds, 1, MOST_SEEDS)
        ways = self.ways if isinstance(self.ways, list | tuple) else (self.ways,)
        if not ways or not all(isinstance(way, str) and way in WAYS for way in ways):
            raise InputError("ways", shown(self.ways), f"some of {', '.join(map(repr, WAYS))}", "Choose among these.")
        possible = ways_of(recipe)
        if not set(ways) & set(possible):
            found, fix = f"{ways[0]!r} for a network that came with its weights", "Fine-tune it from W0."
            raise InputError("ways", found, " or ".join(map(repr, possible)), fix)
        object.__setattr__(self, "ways", tuple(way for way in possible if way in ways))
        object.__setattr__(self, "seeds", self.seeds if recipe.training is not None else 1)
        object.__setattr__(self, "ridge", recipe.ridge if self.ridge is None else self.ridge)
        check_number("ridge", self.ridge, above=0)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """The subset without the tasks left out, shape (K,)."""
        mask = np.ones(find_recipe(self.source).size.tasks, dtype=np.bool_)
        mask[list(self.left_out)] = False
        return mask

    def cost(self) -> dict[str, float]:
        """Seconds that each stage is expected to take when nothing is cached."""
        recipe = find_recipe(self.source)
        rates, share = recipe.rates, float(self.kept.mean())
        stages = {"inputs": rates.inputs} if rates.inputs else {}
        shipped = recipe.training is None or recipe.trained_weights is not None
        fine_tuned, anew = FINE_TUNED in self.ways, ANEW in self.ways
        # W0 of the first seed may be shipped, but is trained here where it is compared with others trained here
        to_train = self.seeds if anew or not shipped else self.seeds - 1 if recipe.training is not None else 0
        stages["base"] = recipe.rates.base * to_train + _LOADING_SECONDS
        if fine_tuned:
            # rates are those of subsets of half the tasks
            stages[FINE_TUNED] = recipe.rates.retraining * 2 * (1 + share) * self.seeds
        if anew:
            stages[ANEW] = recipe.rates.base * share * self.seeds
        return stages

    def seconds(self) -> float:
        """Expected seconds when nothing is cached."""
        return START_SECONDS + sum(self.cost().values())

    def job(self) -> JobSpec:
        """The job that retrains."""
        return JobSpec("kernelsm.pipelines.confirm:run", asdict(self))


def ways_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the ways in which a network can be retrained; none where there is no network."""
    if recipe.features:
        return ()
    return WAYS if recipe.training is not None else (FINE_TUNED,)


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: retrain, keep the confirmation and return {"confirmed": key}."""
    found, root = confirm(ConfirmSettings(**settings), report, store), store.root.parent
    key = confirmation_key(found)
    # measured before: whoever did may have renamed it
    return {"confirmed": key if CONFIRMATIONS.opens(key, root) else keep_confirmation(found, root)}


def confirm(settings: ConfirmSettings, report: Report, store: Store) -> Confirmation:
    """Retrain with all tasks and without those left out; finished networks come from the store.

    Tasks weigh as they do in the suite of the source.

    Raises
    ------
    InputError
        Training fails: a loss that is not finite.
    """
    from kernelsm.runtime.threads import use_torch_threads

    # networks this small train as fast on one thread, and ten times faster where cores are shared
    use_torch_threads(1)
    recipe, stages = find_recipe(settings.source), Stages(report, settings.cost())
    suite = recipe.suite(stages.stage("inputs")) if recipe.rates.inputs else recipe.suite()
    masks = np.array([np.ones(suite.K, dtype=np.bool_), settings.kept])
    seeds, base_report = range(settings.seeds), stages.stage("base")
    to_train = [
        seed for seed in seeds
        if recipe.training is not None and (ANEW in settings.ways or seed or not recipe.trained_weights)
    ]  # fmt: skip
    if to_train:
        train_seeds(recipe, suite, to_train, store, base_report)
    found: dict[str, Values] = {}
    if FINE_TUNED in settings.ways:
        bases = [base_model(settings.source, store, base_report, seed=seed) for seed in seeds]
        found[FINE_TUNED] = _fine_tuned(settings, recipe, bases, masks, store, stages.stage(FINE_TUNED))
    if ANEW in settings.ways:
        found[ANEW] = _anew(recipe, suite, settings.kept, seeds, store, stages.stage(ANEW))
    assert settings.ridge is not None
    return Confirmation(
        source=settings.source, left_out=settings.left_out, task_names=suite.task_names,
        target_names=suite.target_names, ridge=float(settings.ridge), seeds=tuple(range(settings.seeds)),
        measures=tuple(MeasureName(one.name, one.unit, one.higher_is_better) for one in _measures(suite)),
        values={way: found[way] for way in settings.ways},
        title=_title(settings, suite), task_weighting=suite.task_weighting,
        target_weights=tuple(map(float, suite.targets.sizes)) if suite.target_weighting == BY_SIZE else None,
    )  # fmt: skip


def _measures(suite: TaskSuite) -> Sequence[Measure]:
    objective = find(suite)
    return objective.measures_for(objective.outputs)


def _fine_tuned(
    settings: ConfirmSettings, recipe: Recipe, bases: list[nn.Module], masks: Masks, store: Store, report: Report
) -> Values:
    """All measures of the network fine-tuned from W0 of each seed on each mask, shape (seeds, 2, measures, q)."""
    from kernelsm.estimators.estimator import compute_together

    assert settings.ridge is not None
    retrained = [trainer(recipe, base, settings.ridge, seed=seed) for seed, base in enumerate(bases)]
    compute_together(retrained, masks, store, report)
    # the store keeps all measures of all blocks: asking for them trains nothing
    return np.stack([
        np.stack([one.outcomes(masks, measure=name, store=store).values for name in one.measure_names], axis=1)
        for one in retrained
    ])  # fmt: skip


def _anew(
    recipe: Recipe, suite: TaskSuite, kept: NDArray[np.bool_], seeds: Sequence[int], store: Store, report: Report
) -> Values:
    """All measures of the network trained from its first weights on all tasks and on those kept, for each seed.

    Returns
    -------
    ndarray, shape (seeds, 2, measures, q)
    """
    from kernelsm.models.hashing import model_hash

    assert recipe.training is not None
    measures = tuple(measure.name for measure in _measures(suite))
    models = [initial_model(recipe, seed) for seed in seeds]
    keys = [
        (suite.content_hash, kept, model_hash(model), recipe.training, seed, measures)
        for model, seed in zip(models, seeds, strict=True)
    ]
    within = Within(report, len(seeds))
    training = partial(_trained_on, models, list(seeds), only_tasks(suite, kept), recipe.training, within)
    work = ChunkedWork(lambda: Task(training), ANEW_CHUNKS, "trained anew")
    without = computed_chunks(work, keys, range(len(seeds)), store, within)
    whole = [_measured(model, suite) for model, _ in train_seeds(recipe, suite, seeds, store)]
    return np.array([whole, without]).swapaxes(0, 1)


def _trained_on(
    models: list[nn.Module], seeds: list[int], suite: TaskSuite, training: dict[str, Any], within: Within, number: int
) -> Values:
    """All measures of one network trained on a suite, shape (measures, q)."""
    from kernelsm.objectives.training import train_base

    trained = train_base(models[number], suite, **training, seed=seeds[number], report=within.inside)
    return _measured(trained, suite)


def _measured(model: nn.Module, suite: TaskSuite) -> Values:
    """All measures of a network on the suite's test samples, shape (measures, q)."""
    import torch

    with torch.no_grad():
        parts = torch.from_numpy(suite.test_inputs).split(_AT_ONCE)
        outputs = torch.cat([model(part) for part in parts]).double()
        found = find(suite).measure_model(
            outputs[None], torch.from_numpy(suite.test_labels), torch.from_numpy(suite.target_of),
            len(suite.target_names),
        )[0]  # fmt: skip
    return np.asarray(found.numpy())


def _title(settings: ConfirmSettings, suite: TaskSuite) -> str:
    names = [suite.task_names[k] for k in settings.left_out]
    shown_names = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"Without {shown_names}"


def _checked_tasks(left_out: Any, K: int) -> tuple[int, ...]:
    """Tasks as a rising tuple; JSON brings a list."""
    expected, fix = f"some of the tasks 0 to {K - 1}, not all", "Give the tasks by their numbers, from 0."
    if not isinstance(left_out, list | tuple):
        raise InputError("left_out", shown(left_out), expected, fix)
    for k in left_out:
        check_whole("left_out", k, 0, K - 1, fix=fix)
    tasks = tuple(sorted({int(k) for k in left_out}))
    if not 0 < len(tasks) < K:
        raise InputError("left_out", f"{len(tasks)} of {K} tasks", expected, fix)
    return tasks
