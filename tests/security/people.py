"""Two people at one server, and what the first of them has: data and a model, and the outcomes computed of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from person import Person

from kernelsm import Outcomes, TaskSuite
from kernelsm.estimators.recipe import Rates, Recipe
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.runtime.progress import Report, silent
from kernelsm.workspace.projects import PROJECTS, Project, save_project
from kernelsm.workspace.tables import TABLES, save_run

PAGES = (
    "start", "data", "gradients", "subsets", "fit", "explore", "decide", "demonstrations", "compare", "paper",
    "learn",
)  # fmt: skip
TASKS = ("north", "east", "south", "west")


ALICE, BOB = Person("alice"), Person("bob")


def suite(seed: int = 0) -> TaskSuite:
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 2
    inputs = (rng.normal(size=(40, 3)) + labels[:, None]).astype(np.float32)
    tasks, targets = np.arange(40) // 2 % 4, np.zeros(10, dtype=np.int64)
    return TaskSuite(
        inputs, labels.astype(np.int64), tasks.astype(np.int64), inputs[:10], labels[:10].astype(np.int64), targets,
        TASKS, ("all",), 2,
    )  # fmt: skip


def project_of(person: Person, title: str = "Alice's patients") -> str:
    """Data and a model that a person brought; returns the key."""
    samples = suite()

    def read(report: Report = silent) -> TaskSuite:
        return samples

    rates = Rates(1.0, dict.fromkeys(PROJECTIONS, 0.1), {"exact": 1.0, "projected": 1.0}, 0.1)
    recipe = Recipe(
        suite=read, architecture="mlp", config={"sizes": [3, 4, 2]}, parameters=26, ridge=0.1, rates=rates,
        training={"epochs": 2},
    )  # fmt: skip
    key = save_project(Project(title, recipe, {"contents": [samples.content_hash]}), samples)
    person.own(PROJECTS, key)
    return key


def table(source: str = "", seed: int = 0, **meta: Any) -> Outcomes:
    rng = np.random.default_rng(seed)
    masks = rng.random((24, 4)) < 0.5
    values = masks @ np.array([0.5, -0.4, 0.2, 0.1]) + rng.normal(0, 0.02, 24)
    known = {"computed_from": source, "estimator": "gradex", "projection": "exact basis"} if source else {}
    return Outcomes(masks, values, task_names=TASKS, target_names=("all",), meta={"unit": "nats", **known, **meta})


def table_of(person: Person, source: str) -> str:
    """Outcomes that a person computed of a project; returns the key."""
    key = save_run(table(source))
    person.own(TABLES, key)
    return key
