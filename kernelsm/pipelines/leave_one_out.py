"""Leave-one-out by retraining (paper definition 2.1): K + 1 fine-tunings of each of a few networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from kernelsm.examples.catalog import get_example
from kernelsm.outcomes.designs import leave_out_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines import compute
from kernelsm.pipelines.run_settings import example_settings
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import find_recipe


def retrained_leave_one_out(
    name: str, network: int, report: Report, store: Store, *, retrain: bool = False
) -> Outcomes:
    """Fine-tune an example's network on all tasks and on all but each one; K + 1 rows in that order.

    Fine-tuning leaves nothing to chance (see `Retraining`), the training of W0 does: that is what `network` is for.

    Parameters
    ----------
    name : str
        Of an example with a model.
    network : int
        Seed by which W0 was trained; 0 is the shipped one.
    report, store
        Told of progress; keeps finished chunks, a subset each.
    retrain : bool
        Train the W0 of seed 0 anew as well.
    """
    recipe, settings = find_recipe(name), example_settings(name)
    model = compute.base_model(name, store, seed=network, retrain=retrain)
    trainer = compute.retraining(settings, recipe, model)
    return trainer.outcomes(leave_out_masks(recipe.size.tasks, 1), store=store, report=report)


def rebuild_leave_one_out(
    name: str, report: Report, store: Store, folder: Path | None = None, *, retrain: bool = False
) -> Path:
    """Retrain leave-one-out of all networks of an example and write it as one table, network by network.

    Parameters as of `rebuild_example`.

    Raises
    ------
    InputError
        An example without a model.
    """
    example = get_example(name)
    if not example.has_model:
        raise InputError("example", repr(name), "one with a model", "Of a game without one every effect is known.")
    tables = [
        retrained_leave_one_out(name, network, report, store, retrain=retrain)
        for network in range(max(example.networks, 1))
    ]
    meta = {**tables[0].meta, "weights": [table.meta["weights"] for table in tables], "computed_from": name}
    table = replace(
        tables[0],
        masks=np.vstack([one.masks for one in tables]),
        values=np.vstack([one.values for one in tables]),
        meta=meta,
    )
    return table.save((folder or example.folder) / "leave_one_out.parquet")
