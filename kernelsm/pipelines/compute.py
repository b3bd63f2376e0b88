"""From samples and a network to outcomes, in one resumable piece of work: base model, gradients, estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.estimators.recipe import Recipe
from kernelsm.examples.catalog import EXAMPLES, load_example
from kernelsm.examples.planted.game import planted_game
from kernelsm.gradients.choices import ADAPTED, EXACT_UP_TO
from kernelsm.objectives.registry import find
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost, linearisation_of
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.memory import check_memory
from kernelsm.runtime.progress import Report, Stages, Within, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.tasks.weighting import EQUALLY
from kernelsm.workspace.projects import find_recipe
from kernelsm.workspace.tables import TABLES, save_run

if TYPE_CHECKING:
    from torch import nn

    from kernelsm.estimators.estimator import Estimator
    from kernelsm.estimators.fine_tuning import FineTuning
    from kernelsm.estimators.retraining import Retraining
    from kernelsm.gradients.features import GradientFeatures
    from kernelsm.objectives.training import EpochLosses
    from kernelsm.tasks.suite import TaskSuite

BASE_MODEL_CHUNKS = ChunkKind("base_models", version=2)
# what outcomes of one table have in common
_ONE_WAY = ("estimator", "ridge", "projection", "outputs", "measure")


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: compute outcomes, append them to a table where one is named, keep it, and return {"run": content hash}."""
    request = RunSettings(**settings)
    continued = (
        _table(request.onto, store) if request.onto else None
    )  # a table that is not here fails before the work
    outcomes = compute(request, report, store)
    if continued is not None:
        outcomes = appended(continued, outcomes, request.onto)
    return {"run": save_run(outcomes, store.root.parent)}


def appended(before: Outcomes, outcomes: Outcomes, onto: str) -> Outcomes:
    """Return a table with further outcomes below those of another.

    Parameters
    ----------
    before : Outcomes
        The table continued.
    outcomes : Outcomes
        The new rows; their metadata is kept, with `onto` and the number of rows `added`.
    onto : str
        Key of `before`.

    Raises
    ------
    InputError
        Other tasks or targets, or outcomes estimated in another way.
    """
    weighed = [table.meta.get("task_weighting", EQUALLY) for table in (before, outcomes)]
    for place, have, new in (
        ("tasks", before.task_names, outcomes.task_names),
        ("targets", before.target_names, outcomes.target_names),
        ("sign", before.higher_is_better, outcomes.higher_is_better),
        # rows of a table without metadata may have come from anywhere
        *((key, before.meta.get(key), outcomes.meta.get(key)) for key in _ONE_WAY if key in before.meta),
        *([("task_weighting", *weighed)] if "estimator" in before.meta else []),
    ):
        if have != new:
            raise InputError(
                f"{place} of the table {onto}", repr(have)[:200], repr(new)[:200],
                "Outcomes are appended to a table of the same tasks and targets, computed in the same way.",
            )  # fmt: skip
    return Outcomes(
        np.vstack([before.masks, outcomes.masks]), np.vstack([before.values, outcomes.values]),
        task_names=before.task_names, target_names=before.target_names, higher_is_better=before.higher_is_better,
        meta={**outcomes.meta, "onto": onto, "added": outcomes.m}, target_weights=before.target_weights,
    )  # fmt: skip


def _table(key: str, store: Store) -> Outcomes:
    if key in EXAMPLES:
        return load_example(key)
    if not TABLES.is_here(key, store.root.parent):
        raise InputError("onto", repr(key), "a table that is here", "Upload or compute the table again.")
    return TABLES.load(key, store.root.parent)


def compute(settings: RunSettings, report: Report, store: Store, *, retrain: bool = False) -> Outcomes:
    """Compute the outcomes that `settings` name; finished chunks come from the store.

    Parameters
    ----------
    settings : RunSettings
    report, store
        Told of progress; keeps finished chunks.
    retrain : bool
        Train the W0 of an example anew instead of starting from the shipped one.

    Raises
    ------
    InputError
        More memory than is free would be needed; said before anything is computed.
    """
    masks = settings.masks()
    _check_memory(settings)
    if settings.estimator == "game":
        outcomes = play(settings.seed, masks)
        report(1, 1, "game")
    else:
        outcomes = _estimate(settings, masks, report, store, retrain)
    return described(outcomes, settings)


def _check_memory(settings: RunSettings) -> None:
    """Refuse before gradients are computed, which may take hours, what the solver would not have the memory for."""
    cost = estimate_cost(settings)
    if cost.memory:
        fix = "Take fewer dimensions, the margin in place of all logits, or fewer samples."
        what = f"gradients of {cost.coordinates:,} coordinates"
        check_memory(f"GradEx of {settings.source[:40]}", cost.memory, what=what, fix=fix)


def described(outcomes: Outcomes, settings: RunSettings) -> Outcomes:
    """Return outcomes whose metadata says how their subsets were drawn and what they were computed from."""
    unit = outcomes.meta.get("unit", "nats")
    meta = {**outcomes.meta, **settings.sampler(), "computed_from": settings.source, "unit": unit}
    return replace(outcomes, meta=meta)


def play(seed: int, masks: NDArray[np.bool_], *, noise: bool = True) -> Outcomes:
    """Outcomes of the planted game, with or without its noise."""
    game = planted_game()
    values = game.play(masks, seed=seed + 1) if noise else game.truth(masks)
    meta = {"estimator": "game" if noise else "game without noise"}
    return Outcomes(masks, values, task_names=game.task_names, target_names=("loss",), meta=meta)


def base_model(
    source: str, store: Store, report: Report = silent, *, seed: int = 0, retrain: bool = False
) -> nn.Module:
    """Return the network of a source at W0: shipped, uploaded, or trained here and kept by the store.

    Parameters
    ----------
    source : str
        The name of an example with a model, or the key of a project.
    store : Store
    report : Report
        Told after each epoch of training.
    seed : int
        Of the initial weights and of the order of batches; results of examples have 0.
    retrain : bool
        Train it anew even where its W0 is shipped. On another processor that gives another network.
    """
    recipe = find_recipe(source)
    if recipe.trained_weights and seed == 0 and not retrain:
        model = initial_model(replace(recipe, weights=recipe.trained_weights), seed)
        report(1, 1, "base model", reused=None)
        return model.eval()

    def told(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        # W0 is always there once a project is prepared: that it is saves nothing of what a job was expected to take
        report(done, total, message, reused=None if reused else reused)

    return trained(recipe, recipe.suite(), store, report if retrain else told, seed=seed)[0]


def trained(
    recipe: Recipe, suite: TaskSuite, store: Store, report: Report = silent, *, seed: int = 0
) -> tuple[nn.Module, list[EpochLosses]]:
    """Return a recipe's network at W0, trained on all tasks or as uploaded, and its training curve.

    Raises
    ------
    InputError
        The network does not fit the samples, or its training fails.
    """
    return train_seeds(recipe, suite, [seed], store, report)[0]


def train_seeds(
    recipe: Recipe, suite: TaskSuite, seeds: Sequence[int], store: Store, report: Report = silent
) -> list[tuple[nn.Module, list[EpochLosses]]]:
    """Return a recipe's network at W0 for each seed, side by side where cores allow; as `trained`."""
    import torch

    from kernelsm.models.hashing import model_hash
    from kernelsm.objectives.fit_check import check_model
    from kernelsm.objectives.training import EpochLosses
    from kernelsm.runtime.threads import use_torch_threads

    # networks this small train as fast on one thread, and ten times faster where cores are shared
    use_torch_threads(1)
    models = [initial_model(recipe, seed) for seed in seeds]
    for model in models:
        check_model(model, suite)
    if recipe.training is None:
        report(1, 1, "base model", reused=None)
        return [(model.eval(), []) for model in models]
    within = Within(report, len(seeds))
    training = partial(_train, models, list(seeds), suite, recipe.training, within)
    keys = [
        (suite.content_hash, model_hash(model), recipe.training, seed)
        for model, seed in zip(models, seeds, strict=True)
    ]
    work = ChunkedWork(lambda: Task(training), BASE_MODEL_CHUNKS, "base model")
    found = []
    for model, (weights, curve) in zip(
        models, computed_chunks(work, keys, range(len(seeds)), store, within), strict=True
    ):
        # what is frozen is not kept
        model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
        found.append((model.eval(), [EpochLosses(**row) for row in curve]))
    return found


def initial_model(recipe: Recipe, seed: int) -> nn.Module:
    """Return the network that training starts from, or the uploaded one."""
    from kernelsm.models.registry import build_model

    model = build_model(recipe.architecture, **recipe.config, seed=seed)
    if recipe.weights:
        from kernelsm.models.weights import load_weights, read_weights

        load_weights(model, read_weights(recipe.weights, recipe.weights.name), recipe.weights.name)
    return model


def _train(
    models: list[nn.Module], seeds: list[int], suite: TaskSuite, training: dict[str, Any], within: Within, number: int
) -> tuple[dict[str, NDArray[np.float32]], list[dict[str, Any]]]:
    """Weights W0 of one of the networks by parameter name, and its training curve."""
    from kernelsm.models.weights import own_state
    from kernelsm.objectives.training import train_base

    def epochs(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        within.inside(done, total + 1, message)  # all of W0 is one chunk

    curve: list[EpochLosses] = []
    model = train_base(models[number], suite, **training, seed=seeds[number], curve=curve, report=epochs)
    return {name: value.numpy() for name, value in own_state(model).items()}, [asdict(row) for row in curve]


def _estimate(
    settings: RunSettings, masks: NDArray[np.bool_], report: Report, store: Store, retrain: bool
) -> Outcomes:
    from kernelsm.runtime.threads import use_torch_threads

    recipe = find_recipe(settings.source)
    stages = Stages(report, estimate_cost(settings).stages)
    if recipe.rates.inputs:
        recipe.suite(stages.stage("inputs"))
    estimator: Estimator
    if settings.estimator == "retraining":
        model = base_model(settings.source, store, stages.stage("base"), retrain=retrain)
        estimator, last = retraining(settings, recipe, model), "retraining"
    else:
        base = None if recipe.features else base_model(settings.source, store, stages.stage("base"), retrain=retrain)
        use_torch_threads()
        estimator, last = gradex(settings, recipe, base, stages, store), "gradex"
    return estimator.outcomes(masks, measure=settings.measure, store=store, report=stages.stage(last))


def retraining(settings: RunSettings, recipe: Recipe, model: nn.Module, *, seed: int = 0) -> Retraining | FineTuning:
    """Return the ground truth of these settings; see `trainer`."""
    assert settings.ridge is not None
    return trainer(recipe, model, settings.ridge, seed=seed)


def trainer(recipe: Recipe, model: nn.Module, ridge: float, *, seed: int = 0) -> Retraining | FineTuning:
    """Return what trains a recipe's network on subsets, from W0 with a pull of `ridge` towards it.

    Language models are fine-tuned for some passes over their texts, in an order that `seed` draws, and with the pull
    that the recipe says; other networks are retrained until nothing changes, to which no order matters.
    """
    if recipe.objective == NEXT_TOKENS:
        from kernelsm.estimators.fine_tuning import FineTuning

        return FineTuning(recipe.suite(), model, **{"ridge": ridge, "seed": seed, **recipe.retraining})
    from kernelsm.estimators.retraining import Retraining

    return Retraining(recipe.suite(), model, ridge=ridge, **recipe.retraining)


def gradex(settings: RunSettings, recipe: Recipe, model: nn.Module | None, stages: Stages, store: Store) -> Estimator:
    """Return the estimator of these settings; features come from the model, the store, or an uploaded file."""
    from kernelsm.estimators.gradex import GradEx
    from kernelsm.gradients.features import gradient_features
    from kernelsm.gradients.training_span import in_training_span

    assert settings.ridge is not None
    suite = recipe.suite()
    if recipe.features:
        from kernelsm.gradients.features_file import load_features

        # the suite is that of the project: its weights may have been chosen anew
        return GradEx(suite, *load_features(recipe.features)[1:], ridge=settings.ridge)
    assert model is not None
    outputs, objective = linearisation_of(settings, recipe).name, find(suite)
    if settings.projection == ADAPTED:
        from kernelsm.estimators.adapted_features import adapted_features

        found = adapted_features(
            suite, model, ridge=settings.ridge, dim=settings.dim, outputs=outputs, store=store,
            report=stages.stage("train"),
        )  # fmt: skip
        stages.stage("test")(1, 1, "gradients")  # the rounds' report has those of the test samples too
        return GradEx(suite, *found, ridge=settings.ridge)

    def features(inputs: NDArray[Any], labels: NDArray[Any], stage: str) -> GradientFeatures:
        return gradient_features(
            model, inputs, labels, settings.projection, settings.dim, store=store, report=stages.stage(stage),
            outputs=outputs, objective=objective,
        )  # fmt: skip

    train = features(suite.inputs, suite.labels, "train")
    test = features(suite.test_inputs, suite.test_labels, "test")
    if train.features.shape[2] > max(EXACT_UP_TO, len(suite.inputs)):
        train, test = in_training_span(train, test)
    return GradEx(suite, train, test, ridge=settings.ridge)
