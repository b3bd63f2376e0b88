"""Files that an earlier version made: a cache folder and a session file of it are read as they were then.

`made_before/` holds what that version wrote. `facts.json` says what it knew of these files: the names of tables, the
titles of projects and prompts, and (for the tests of the app) links with the views that they stood for.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kernelsm.pipelines.compute import base_model, compute
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import PROJECTS, project_key
from kernelsm.workspace.prompt_projects import PROMPTS, find_prompts
from kernelsm.workspace.session_file import read_session
from kernelsm.workspace.tables import TABLES, load_run_orders

MADE_BEFORE = Path(__file__).with_name("made_before")
FACTS = json.loads((MADE_BEFORE / "facts.json").read_text())
PROMPTS_TABLE = FACTS["prompt_run"]
UPLOADED_TABLE = "e4114350ac45a834e5e1d3fda303891bc4213ccc"
COMPUTED_TABLES = sorted({*FACTS["runs"]} - {PROMPTS_TABLE, UPLOADED_TABLE})


@pytest.fixture
def cache(cache_folder: Path) -> Path:
    """The cache folder of the earlier version, in which everything is looked for."""
    with zipfile.ZipFile(MADE_BEFORE / "cache.zip") as archive:
        archive.extractall(cache_folder)
    return cache_folder


def test_every_table_is_read_and_has_the_content_that_its_name_says(cache: Path) -> None:
    assert sorted(path.stem for path in (cache / "runs").glob("*.parquet")) == sorted(FACTS["runs"])
    for run in FACTS["runs"]:
        assert TABLES.load(run).content_hash == run


def test_every_project_is_read_and_gives_its_samples_and_network(cache: Path) -> None:
    assert sorted(path.name for path in (cache / "projects").iterdir()) == sorted(FACTS["projects"])
    for key, title in FACTS["projects"].items():
        project = PROJECTS.load(key)
        assert project.title == title
        assert project_key(cache / "projects" / key) == key
        suite = project.recipe.suite()
        assert (suite.K, len(suite.labels)) == (project.recipe.size.tasks, project.recipe.size.samples)
        if not project.recipe.features:
            assert suite.content_hash in project.about["contents"]
            model = base_model(key, Store())
            assert sum(parameter.numel() for parameter in model.parameters()) == project.recipe.parameters


@pytest.mark.parametrize("run", COMPUTED_TABLES)
def test_outcomes_computed_anew_agree_with_those_of_before(cache: Path, run: str) -> None:
    before = TABLES.load(run)
    settings = RunSettings.like(before.meta, subsets=before.m, p=before.meta["p"], seed=before.meta["seed"])
    assert settings is not None
    store = Store()
    found = compute(settings, silent, store)
    assert store.computed > 0  # chunks of before are not found again
    assert (found.masks == before.masks).all()
    # this W0 is trained anew, and a network fine-tuned from it may end at another kink on another processor
    tolerance = 0.05 if settings.estimator == "retraining" else 1e-3
    np.testing.assert_allclose(found.values, before.values, rtol=tolerance, atol=1e-4)
    assert (found.task_names, found.target_names) == (before.task_names, before.target_names)
    weighed = {"task_weighting", "task_sizes", "target_weighting", "target_sizes"}
    assert set(found.meta) - weighed == set(before.meta)
    # files of before do not say how tasks are weighed: they mean equally
    assert (found.meta["task_weighting"], found.meta["target_weighting"]) == ("equally", "equally")
    assert (before.target_weights, found.target_weights) == (None, None)
    again = Store()
    compute(settings, silent, again)
    assert again.computed == 0


def test_chunks_of_before_are_counted_and_make_room(cache: Path) -> None:
    store = Store()
    kinds = {entry.kind for entry in store.entries()}
    assert {"earlier_version", "gradient_features"} <= kinds
    (key,) = (key for key, title in FACTS["projects"].items() if title == "Four places")
    before = len(store.entries())
    assert store.forget(*PROJECTS.load(key).about["contents"]) > 0
    assert 0 < len(store.entries()) < before
    store.clear()
    assert store.entries() == []


def test_prompts_and_their_single_orders_are_read(cache: Path) -> None:
    ((key, title),) = FACTS["prompts"].items()
    source = find_prompts(key)
    assert (source.title, source.pace) == (title, 0.25)
    table, ordered = TABLES.load(PROMPTS_TABLE), load_run_orders(PROMPTS_TABLE)
    assert table.meta["task"] == source.task.content_hash
    assert ordered is not None
    assert ordered.orders.shape == (len(ordered.values), source.task.k)
    for mask, outcome in zip(table.masks, table.values, strict=True):
        own = [{*order} == {*np.flatnonzero(mask)} for order in ordered.orders.tolist()]
        np.testing.assert_allclose(ordered.values[own].mean(axis=0), outcome, atol=1e-6)


def test_a_session_file_brings_its_tables_projects_and_prompts(cache_folder: Path) -> None:
    found = read_session(MADE_BEFORE / "session.zip", "session.zip", cache_folder)
    assert found.view == FACTS["links"][0]
    assert found.pinned == ("digits", UPLOADED_TABLE)
    assert found.kept["tables"] == FACTS["titles"]
    assert all(TABLES.load(key).content_hash == key for key in found.kept["tables"])
    for kind in (PROJECTS, PROMPTS):
        assert {key: kind.title(key) for key in found.kept[kind.name]} == FACTS[kind.name]
