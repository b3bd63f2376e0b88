"""Tasks weighed equally or by size, from a user's file through W0, GradEx and retraining to the table of outcomes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from bringing import prepared
from scipy.optimize import minimize
from uneven_sources import INPUTS, SIZES, TESTED, uneven_csv, uneven_sources

from kernelsm import InputError, Outcomes, Retraining
from kernelsm.pipelines.compute import appended, base_model, compute
from kernelsm.pipelines.prepare import prepare
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import PROJECTS, find_recipe, project_groups
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.tables import TABLES, save_run
from kernelsm.workspace.uploads import keep_upload

LOGISTIC = NetworkRequest("train", architecture="logistic", training={"epochs": 150}, ridge=0.03)
TASKS = sorted(SIZES)
FLIPPED = TASKS.index("flipped")
CHOSEN = ("1111", "0111", "1000", "0100", "1010", "0000")
EQUALLY = {"task_weighting": "equally", "target_weighting": "equally"}


@pytest.fixture(scope="module", autouse=True)
def one_cache(tmp_path_factory):
    """Both projects are prepared once."""
    patch = pytest.MonkeyPatch()
    patch.setenv("KERNELSM_CACHE", str(tmp_path_factory.mktemp("home") / "cache"))
    patch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def cache_folder():
    """In place of an empty cache for each test."""


@cache
def project(weighting):
    return prepared("sources.csv", uneven_csv(), None if weighting == "by_size" else EQUALLY, LOGISTIC)


@cache
def outcomes(weighting, estimator):
    settings = RunSettings(project(weighting), estimator, chosen=CHOSEN)
    return compute(settings, silent, Store())


def truth(weighting):
    """Losses by target after minimising the loss as it is written down, from the rows of the file."""
    rows = uneven_sources()
    train, test = rows[rows.split == "train"], rows[rows.split == "test"]
    centre, scale = train[list(INPUTS)].mean(), train[list(INPUTS)].std(ddof=0)
    x, x_test = (((part[list(INPUTS)] - centre) / scale).to_numpy() for part in (train, test))
    y, y_test = train.label.to_numpy(), test.label.to_numpy()
    model = base_model(project(weighting), Store())
    start = np.concatenate([p.detach().double().numpy().ravel() for p in model.parameters()])

    def loss(parameters, inputs, labels):
        logits = inputs @ parameters[:12].reshape(2, 6).T + parameters[12:]
        sign = 2 * labels - 1
        return np.logaddexp(0, -sign * (logits[:, 1] - logits[:, 0]))

    found = []
    for subset in CHOSEN:
        named = [task for task, inside in zip(TASKS, subset, strict=True) if inside == "1"]
        inside = [train.source.to_numpy() == task for task in named]

        def objective(parameters, inside=inside):
            losses = loss(parameters, x, y)
            pull = 0.03 / 2 * np.square(parameters - start).sum()
            if not inside:
                return pull
            if weighting == "by_size":  # all samples together
                return losses[np.logical_or.reduce(inside)].mean() + pull
            return np.mean([losses[rows].mean() for rows in inside]) + pull

        best = minimize(objective, start, method="BFGS", options={"gtol": 1e-7}).x
        losses = loss(best, x_test, y_test)
        found.append([losses[test.source.to_numpy() == target].mean() for target in sorted(TESTED)])
    return np.array(found)


@pytest.mark.parametrize("estimator", ["gradex", "retraining"])
@pytest.mark.parametrize("weighting", ["equally", "by_size"])
def test_outcomes_are_those_of_the_loss_as_it_is_weighed(weighting, estimator):
    np.testing.assert_allclose(outcomes(weighting, estimator).values, truth(weighting), atol=2e-3)


@pytest.mark.parametrize("estimator", ["gradex", "retraining"])
def test_five_flipped_rows_do_next_to_nothing_by_size_and_spoil_the_network_equally(estimator):
    effects = {}
    for weighting in ("equally", "by_size"):
        loss = outcomes(weighting, estimator).mean_target().values[:, 0]
        effects[weighting] = loss[0] - loss[1]
    assert effects["equally"] > 0.05
    assert 0 < effects["by_size"] < 0.005


def test_trained_anew_the_five_rows_do_next_to_nothing_too():
    suite, model = find_recipe(project("by_size")).suite(), base_model(project("by_size"), Store())
    masks = np.array([[True] * 4, [task != "flipped" for task in TASKS]])
    loss = Retraining(suite, model, ridge=0.001, start="scratch").outcomes(masks).mean_target().values[:, 0]
    assert 0 < loss[0] - loss[1] < 0.01


def test_w0_is_right_by_size():
    right = {w: PROJECTS.load(project(w)).about["accuracy"]["test"] for w in ("equally", "by_size")}
    assert right["by_size"] == 1.0
    assert right["equally"] < 0.95


@pytest.mark.parametrize("weighting", ["equally", "by_size"])
def test_the_empty_subset_is_w0_and_one_task_is_the_same_however_tasks_are_weighed(weighting):
    table = outcomes(weighting, "retraining")
    recipe = find_recipe(project(weighting))
    suite, model = recipe.suite(), base_model(project(weighting), Store())
    other = replace(suite, task_weighting="by_size" if weighting == "equally" else "equally")
    again = Retraining(other, model, ridge=0.03).outcomes(np.array([[0, 0, 0, 0], [1, 0, 0, 0]], dtype=bool))
    np.testing.assert_allclose(again.values, table.values[[5, 2]], atol=1e-6)


def test_the_choice_and_the_sizes_stay_with_suite_features_and_outcomes():
    for weighting in ("equally", "by_size"):
        tasks, targets = project_groups(project(weighting))
        assert (tasks.weighting, targets.weighting) == (weighting, weighting)
        assert dict(zip(tasks.names, tasks.sizes, strict=True)) == SIZES
        assert dict(zip(targets.names, targets.sizes, strict=True)) == TESTED
        suite = find_recipe(project(weighting)).suite()
        assert (suite.tasks, suite.targets) == (tasks, targets)
        meta = TABLES.load(save_run(outcomes(weighting, "gradex"))).meta
        assert (meta["task_weighting"], meta["target_weighting"]) == (weighting, weighting)
        assert (meta["task_sizes"], meta["target_sizes"]) == (list(tasks.sizes), list(targets.sizes))
    assert project("equally") != project("by_size")


def test_the_mean_over_targets_is_over_test_samples_or_over_targets():
    for weighting, weights in (("equally", [0.5, 0.5]), ("by_size", [250 / 300, 50 / 300])):
        table = TABLES.load(save_run(outcomes(weighting, "gradex")))
        np.testing.assert_allclose(table.mean_target().values[:, 0], table.values @ weights, rtol=1e-12)


def features_file(tmp_path):
    from kernelsm import gradient_features, save_features

    suite = find_recipe(project("by_size")).suite()
    model = base_model(project("by_size"), Store())
    train, test = (
        gradient_features(model, inputs, labels)
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    return save_features(tmp_path / "features.npz", suite, train, test).read_bytes()


@pytest.mark.parametrize("chosen", [{}, {"task_weighting": "equally"}, {"target_weighting": "equally"}])
def test_gradient_features_are_weighed_as_their_file_says_or_as_chosen(tmp_path, chosen):
    ref = FileRef(keep_upload(features_file(tmp_path), "features.npz"), "features.npz")
    key = prepare(ProjectRequest("Mine", ref, chosen, NetworkRequest("features", ridge=0.03)), silent, Store())
    table = compute(RunSettings(key, "gradex", chosen=CHOSEN), silent, Store())
    assert table.meta["task_weighting"] == chosen.get("task_weighting", "by_size")
    assert table.meta["target_weighting"] == chosen.get("target_weighting", "by_size")
    same = chosen.get("task_weighting") is None
    assert np.allclose(table.values, outcomes("by_size", "gradex").values, atol=1e-4) == same


def test_rows_weighed_in_another_way_are_not_appended():
    one, other = outcomes("by_size", "gradex"), outcomes("equally", "gradex")
    with pytest.raises(InputError, match="task_weighting"):
        appended(one, other, "1" * 40)
    with pytest.raises(InputError, match="task_weighting"):
        appended(replace(other, meta={key: other.meta[key] for key in ("estimator", "ridge")}), one, "1" * 40)
    longer = appended(one, one, "1" * 40)
    assert longer.target_weights is not None
    np.testing.assert_array_equal(longer.target_weights, one.target_weights)
    uploaded = Outcomes(one.masks, one.values, task_names=one.task_names, target_names=one.target_names)
    assert appended(uploaded, one, "1" * 40).m == 2 * one.m
