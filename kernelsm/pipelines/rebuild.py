"""Computing the finished results of the built-in examples anew, which are then shipped with the package."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernelsm.evaluation.first_order import first_order_check
from kernelsm.evaluation.metrics import lds, spearman_per_target
from kernelsm.examples.catalog import PROMPT_EXAMPLES, TRUTH_SEED, get_example
from kernelsm.examples.example import WEIGHTS, Example
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines import ask_model, compute, zero_shot
from kernelsm.pipelines.gradex_check import NETWORKS, Ceiling, Checks, projection_checks
from kernelsm.pipelines.run_settings import RunSettings, example_settings
from kernelsm.prompts.orders import save_orders
from kernelsm.prompts.selection_record import selection_record
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import find_recipe
from kernelsm.workspace.prompt_projects import find_prompts

CEILING_SUBSETS = 30
CEILING_OF_TEXTS = 12
"""Of a language model, which takes longest."""


def rebuild_example(
    name: str, report: Report, store: Store, folder: Path | None = None, *, retrain: bool = False
) -> list[Path]:
    """Compute the outcomes and the truth of an example anew and write them; returns the files written.

    Parameters
    ----------
    name : str
        Of a built-in example.
    report, store
        Told of progress; keeps finished chunks.
    folder : Path, optional
        Where to write; the example's own if not given.
    retrain : bool
        Train W0 anew and write it too. Otherwise all starts from the shipped W0.
    """
    from kernelsm.models.weights import save_weights

    example, settings = get_example(name), example_settings(name)
    folder = folder or example.folder
    held_out = _held_out(example, settings, example.truth_subsets)
    written = []
    if retrain and example.has_model:
        written.append(save_weights(compute.base_model(name, store, report, retrain=True), folder / WEIGHTS))
    outcomes = compute.compute(settings, report, store, retrain=retrain)
    written.append(outcomes.save(folder / "outcomes.parquet"))
    if example.has_model:
        estimates = compute.compute(held_out, report, store, retrain=retrain)
        written.append(estimates.save(folder / "estimates.parquet"))
        truth = compute.compute(replace(held_out, estimator="retraining"), report, store, retrain=retrain)
    else:
        truth = compute.play(TRUTH_SEED, held_out.masks(), noise=False)
    return [*written, truth.save(folder / "truth.parquet")]


def _held_out(example: Example, settings: RunSettings, subsets: int) -> RunSettings:
    """Settings of the first subsets of the truth."""
    p = settings.p if example.truth_p is None else example.truth_p
    return replace(settings, subsets=subsets, seed=TRUTH_SEED, p=p)


def rebuild_checks(
    name: str,
    report: Report,
    store: Store,
    folder: Path | None = None,
    *,
    retrain: bool = False,
    ceiling: bool = True,
) -> Path:
    """Compute the finished checks of an example anew and write them.

    Its outcomes and truth must be finished, in `folder` too; parameters as of `rebuild_example`. `ceiling` says
    whether to train another W0 and compare with it, which needs one that is trained as the shipped one was.
    """
    example, settings, recipe = get_example(name), example_settings(name), find_recipe(name)
    folder = folder or example.folder
    truth, estimates = (Outcomes.load(folder / f"{kind}.parquet") for kind in ("truth", "estimates"))
    model = compute.base_model(name, store, retrain=retrain)
    trainer = compute.retraining(settings, recipe, model)
    networks = [trainer.fine_tune(mask) for mask in truth.masks[:NETWORKS]]
    first_order = first_order_check(recipe.suite(), model, networks, truth, estimates)
    projections, expected = projection_checks(name, settings.dim, store, report)
    again = min(CEILING_OF_TEXTS if recipe.objective == NEXT_TOKENS else CEILING_SUBSETS, truth.m)
    held_out = replace(_held_out(example, settings, again), estimator="retraining")
    found = noise_ceiling(held_out, truth, report, store) if ceiling else None
    return Checks(first_order, projections, expected, found).save(folder / "checks.json")


def noise_ceiling(settings: RunSettings, truth: Outcomes, report: Report, store: Store) -> Ceiling:
    """Retrain the subsets of `settings` another time, and compare with a truth that begins with them.

    Another time is from another base model; language models are fine-tuned from the same one, on batches in another
    order.
    """
    recipe = find_recipe(settings.source)
    text = recipe.objective == NEXT_TOKENS
    model = compute.base_model(settings.source, store, seed=0 if text else 1)
    trainer = compute.retraining(settings, recipe, model, seed=1 if text else 0)
    repeated = trainer.outcomes(settings.masks(), store=store, report=report)
    first = truth.take(range(min(repeated.m, truth.m)))
    if not np.array_equal(first.masks, repeated.masks):
        raise InputError("truth", "other subsets", "those of the settings, first", "Use the truth of these settings.")
    overall = spearman_per_target(first.mean_target().values, repeated.mean_target().values)
    return Ceiling(repeated.m, lds(first.values, repeated.values), float(overall[0]))


def rebuild_prompts(name: str, report: Report, store: Store, folder: Path | None = None) -> list[Path]:
    """Compute the finished results of a built-in prompt task anew and write them; returns the files written.

    Takes hours on two cores where nothing is in the store.
    """
    from kernelsm.pipelines.askers import source_model
    from kernelsm.prompts.prompting import Prompting

    outcomes, ordered = ask_model.compute(ask_model.PromptSettings(name), report, store)
    source = find_prompts(name)
    task, model = source.task, source_model(source)

    def losses(prompt: tuple[int, ...], orders: int | None) -> NDArray[np.float64]:
        if orders is None:
            return np.asarray(ask_model.ordered_measures(Prompting(task, model, fresh=True), [prompt], store)[0][0])
        mask = np.zeros((1, task.K), dtype=np.bool_)
        mask[0, list(prompt)] = True
        found = Prompting(task, model, orders=orders, fresh=True).outcomes(mask, store=store, report=report)
        return np.asarray(found.values[0])

    labels = np.array([task.labels.index(candidate.label) for candidate in task.candidates])
    record = selection_record(
        outcomes, ordered, labels, outcomes.meta["likeness"], losses, orders=4, random_orders=2, random_count=30,
        random_seed=101,
    )  # fmt: skip
    folder = folder or PROMPT_EXAMPLES[name].folder
    paths = [folder / kind for kind in ("outcomes.parquet", "orders.npz", "selection.json", "zero_shot.json")]
    # single precision, as of the single orders: half the bytes, and far below what the model's own noise is
    replace(outcomes, values=outcomes.values.astype(np.float32)).save(paths[0])
    save_orders(ordered, paths[1])
    with write_whole(paths[2]) as part:
        part.write_text(record.to_json() + "\n")
    with write_whole(paths[3]) as part:
        part.write_text(json.dumps(zero_shot.run(report, store, source=name)) + "\n")
    return paths
