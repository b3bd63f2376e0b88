"""A handful of pulls: outcomes as each pull alone gives them, checked by retraining with the same pull."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from kernelsm import ConvergenceError, GradEx, InputError
from kernelsm.estimators.recipe import Rates, Recipe, Size
from kernelsm.pipelines import pull_sweep as module
from kernelsm.pipelines.compute import base_model, compute, retraining
from kernelsm.pipelines.gradex_check import NETWORKS
from kernelsm.pipelines.pull_sweep import CHECK_SEED, PullSweep, TriedPull, try_pulls
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.job_process import resolve
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.workspace.projects import Project, find_recipe, save_project
from kernelsm.workspace.tables import TABLES

PULLS = (0.05, 0.5, 5.0)


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    """The problems here are small: threads on shared cores make them ten times slower."""
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)
    use_torch_threads(1)


@pytest.fixture
def settings(blobs):
    """Outcomes of a small project."""
    rates = Rates(
        1.0, dict.fromkeys(("exact", "kronecker", "gaussian", "rademacher", "sparse"), 0.1),
        {"exact": 1.0, "projected": 1.0}, 0.2,
    )  # fmt: skip
    recipe = Recipe(
        suite=lambda report=silent: blobs, architecture="mlp", config={"sizes": [4, 6, 3]}, parameters=51, ridge=0.5,
        rates=rates, training={"epochs": 20, "learning_rate": 0.05}, counted=Size.of(blobs),
    )  # fmt: skip
    return RunSettings(save_project(Project("mine", recipe, {"contents": [blobs.content_hash]}), blobs), subsets=12)


def test_each_pull_has_the_outcomes_that_it_has_alone_and_a_table_of_its_own(settings):
    tried = try_pulls(PullSweep(settings, PULLS, checked=4), silent, Store())
    assert [one.ridge for one in tried] == list(PULLS)
    for one in tried:
        table = TABLES.load(one.run)
        alone = compute(replace(settings, ridge=one.ridge), silent, Store())
        assert np.array_equal(table.masks, alone.masks)
        assert table.values == pytest.approx(alone.values, abs=1e-6)
        assert table.meta["ridge"] == one.ridge
        assert table.meta["computed_from"] == settings.source
    # a stronger pull lets outcomes differ less
    spreads = [TABLES.load(one.run).values.std() for one in tried]
    assert spreads[-1] < 0.9 * max(spreads[:-1])


def test_the_check_of_a_pull_is_against_retraining_with_that_pull(settings):
    sweep = PullSweep(settings, (0.05, 5.0), checked=4)
    weak, strong = (one.first_order for one in try_pulls(sweep, silent, Store()))
    assert weak.subsets == strong.subsets == 4
    assert len(weak.logits) == NETWORKS
    assert strong.of_change < weak.of_change  # nearer to W0, nearer to the first order
    masks = replace(settings, subsets=4, seed=CHECK_SEED).masks()
    recipe = find_recipe(settings.source)
    with_pull = retraining(replace(settings, ridge=5.0), recipe, base_model(settings.source, Store()))
    truth = with_pull.outcomes(masks).mean_target().values
    estimates = compute(
        replace(settings, ridge=5.0, chosen=["".join("01"[int(k)] for k in mask) for mask in masks]), silent, Store()
    )
    error = np.abs(estimates.mean_target().values - truth).mean() / np.abs(truth).mean()
    assert strong.relative_error == pytest.approx(error, rel=1e-3, abs=1e-6)


def test_the_job_resumes_and_its_bar_never_runs_backwards(settings):
    sweep = PullSweep(settings, PULLS, checked=4)
    work, arguments = resolve("kernelsm.pipelines.pull_sweep:run"), json.loads(json.dumps(sweep.job().arguments))
    heard = []

    def report(done, total, message="", *, reused=False):
        heard.append((done, total))

    first, second = Store(), Store()
    result = json.loads(json.dumps(work(report, first, **arguments)))
    done = [step for step, _ in heard]
    assert done == sorted(done)
    assert {total for _, total in heard} == {done[-1]}
    assert json.loads(json.dumps(work(silent, second, **arguments))) == result
    assert second.computed == 0
    assert first.computed > 0
    found = [TriedPull.from_json(one) for one in result["pulls"]]
    assert [one.ridge for one in found] == list(PULLS)
    assert all(one.first_order.relative_error >= 0 for one in found)


def test_a_pull_too_weak_to_converge_does_not_take_the_others_along(settings, monkeypatch):
    solve = GradEx.outcomes

    def failing(estimator, *given, **named):
        if estimator.ridge == 0.05:
            raise ConvergenceError("GradEx", "a gradient norm of 2e-03", "9e-05", "Raise the ridge.")
        return solve(estimator, *given, **named)

    monkeypatch.setattr(GradEx, "outcomes", failing)
    weak, *others = try_pulls(PullSweep(settings, PULLS, checked=0), silent, Store())
    assert (weak.run, weak.first_order) == ("", None)
    assert "Raise the ridge" in weak.error
    assert all(TABLES.is_here(one.run) for one in others)


def test_the_stages_are_those_that_the_cost_names(settings, monkeypatch):
    begun = []

    class Noted(module.Stages):
        def stage(self, name):
            begun.append(name)
            return super().stage(name)

    monkeypatch.setattr(module, "Stages", Noted)
    for checked in (0, 3):
        begun.clear()
        sweep = PullSweep(settings, (0.1, 1.0), checked)
        try_pulls(sweep, silent, Store())
        assert begun == list(sweep.cost())
        assert sweep.seconds() > sum(sweep.cost().values())


def test_equal_work_is_one_job(settings):
    one = PullSweep(settings, (1.0, 0.1))
    assert one.job().key == PullSweep(replace(settings, ridge=7.0), [0.1, 1.0, 1.0]).job().key
    assert one.job().key != PullSweep(replace(settings, seed=5), (0.1, 1.0)).job().key


@pytest.mark.parametrize(
    ("pulls", "checked"),
    [((1.0,), 8), ((1.0, 1.0), 8), ((1.0, 0.0), 8), ((1.0, "2"), 8), ("12", 8), (tuple(range(1, 11)), 8),
     ((1.0, 2.0), -1), ((1.0, 2.0), 101)],
)  # fmt: skip
def test_pulls_that_mean_nothing_are_refused(settings, pulls, checked):
    with pytest.raises(InputError):
        PullSweep(settings, pulls, checked)


def test_settings_survive_json(settings):
    sweep = PullSweep(settings, PULLS)
    arguments = json.loads(json.dumps(sweep.job().arguments))
    assert PullSweep(RunSettings(**arguments["settings"]), arguments["pulls"], arguments["checked"]) == sweep
    assert asdict(sweep.settings)["estimator"] == "gradex"
