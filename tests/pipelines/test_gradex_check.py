"""The checks of the first-order estimate, as a job on the digits and as shipped."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.evaluation.first_order import FirstOrderCheck, LogitError
from kernelsm.examples.catalog import RECIPES, TRUTH_SEED, load_truth
from kernelsm.gradients.projections import RANDOM
from kernelsm.pipelines import gradex_check as module
from kernelsm.pipelines.compute import base_model, retraining
from kernelsm.pipelines.gradex_check import Ceiling, Checks, check_cost, load_checks
from kernelsm.pipelines.rebuild import noise_ceiling
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.job_process import resolve
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads

SETTINGS = RunSettings("digits", "gradex", subsets=3, seed=7, projection="gaussian", dim=16)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One store for this file: W0 and retrained subsets are shared."""
    use_torch_threads(1)
    return Store(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def job(store):
    """The job that the page starts, really run: what it reported, and what it returned."""
    heard = []

    def report(done, total, message="", *, reused=False):
        heard.append((done, total, message))

    work = resolve("kernelsm.pipelines.gradex_check:run")
    return heard, work(report, store, **json.loads(json.dumps(asdict(SETTINGS))))


def test_the_jobs_bar_never_runs_backwards_and_ends_at_its_end(job):
    heard, _ = job
    done = [step for step, _, _ in heard]
    assert done == sorted(done)
    assert {total for _, total, _ in heard} == {done[-1]}
    expected = sum(round(1000 * seconds) for seconds in check_cost(SETTINGS).values())
    assert done[-1] == pytest.approx(expected, abs=len(check_cost(SETTINGS)))


def test_the_jobs_stages_are_those_that_its_cost_names(job, store, monkeypatch):
    begun = []

    class Noted(module.Stages):
        def stage(self, name):
            begun.append(name)
            return super().stage(name)

    monkeypatch.setattr(module, "Stages", Noted)
    module.check(SETTINGS, silent, store)
    assert begun == list(check_cost(SETTINGS))


def test_the_job_returns_json_that_reads_as_checks_of_three_networks_and_every_projection(job):
    _, result = job
    found = Checks.from_json(json.loads(json.dumps(result))["checks"])
    first_order = found.first_order
    assert first_order.subsets == 3
    assert len(first_order.logits) == 3
    assert all(0 < error.of_logits < error.of_change < 1 for error in first_order.logits)
    assert -1 <= first_order.lds <= 1
    assert 0 < first_order.relative_error < 1
    assert [one.kind for one in found.projections] == list(RANDOM)
    assert {one.dim for one in found.projections} == {16}
    for one in found.projections:
        # the pairs that are shown are of the size of all
        assert np.sqrt(np.mean(np.square(one.errors))) == pytest.approx(one.size, rel=0.25)
    assert found.ceiling is None


def test_the_exact_basis_is_nearer_to_retraining_than_sixteen_random_coordinates_and_retrains_nothing(job, store):
    retrained = list(store.root.glob("retraining.v*/*/value.pkl"))
    assert len(retrained) == 3
    rough = Checks.from_json(job[1]["checks"]).first_order
    exact = module.check(replace(SETTINGS, projection="exact"), silent, store).first_order
    assert exact.logits == rough.logits  # a matter of the network, not of the projection
    assert exact.relative_error < 0.1 < rough.relative_error
    assert list(store.root.glob("retraining.v*/*/value.pkl")) == retrained


def test_a_check_costs_its_retraining_and_the_stages_of_gradex():
    cost = check_cost(SETTINGS)
    assert min(cost.values()) > 0
    rate = RECIPES["digits"].rates.retraining
    assert cost["retraining"] == 3 * rate
    assert check_cost(replace(SETTINGS, subsets=6))["retraining"] == 6 * rate


@pytest.mark.parametrize("ceiling", [None, Ceiling(30, 0.7, 0.8)])
def test_checks_survive_their_file(tmp_path, ceiling):
    checks = Checks(
        FirstOrderCheck(8, [LogitError(0.01, 0.2)], 0.99, 0.02, 0.98),
        [module.ProjectionCheck("gaussian", 16, 0.25, [0.1, -0.2])],
        0.26,
        ceiling,
    )
    path = checks.save(tmp_path / "x.checks.json")
    assert Checks.from_json(json.loads(path.read_text())) == checks


def test_an_example_without_a_model_has_no_checks_and_an_unknown_one_is_refused():
    assert load_checks("planted") is None
    with pytest.raises(InputError):
        load_checks("letters")


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_checks_tell_of_this_examples_network(name):
    found = load_checks(name)
    assert found.first_order.subsets == load_truth(name).m
    if name == "instructions":  # a language model: all coordinates are kept, and one order of batches is not another
        assert found.projections == []
        assert found.ceiling.subsets <= load_truth(name).m
        return
    assert load_truth(name).m == 100
    assert 0 < found.first_order.of_logits < 0.2
    assert 0.5 < found.first_order.lds <= 1
    assert {one.dim for one in found.projections} == {RunSettings(name).dim}
    if name == "mt10":  # another W0 would need other demonstrations
        assert found.ceiling is None
    else:
        assert found.ceiling.subsets == module.CEILING_SUBSETS
        assert 0.5 < found.ceiling.lds < 1
    # theory and a dense Gaussian agree, as nearly as five maps of gradients that nearly point one way can tell
    gaussian = next(one for one in found.projections if one.kind == "gaussian")
    assert gaussian.size == pytest.approx(found.expected_distortion, rel=0.5)


def test_the_ceiling_is_the_agreement_of_two_seeds_and_one_for_equal_seeds(store):
    settings = RunSettings("digits", "retraining", subsets=3, seed=TRUTH_SEED)
    found = noise_ceiling(settings, load_truth("digits"), silent, store)
    assert found.subsets == 3
    assert -1 <= found.lds < 1
    assert -1 <= found.spearman <= 1
    network = base_model("digits", store, seed=1)
    itself = retraining(settings, RECIPES["digits"], network).outcomes(settings.masks(), store=store)
    assert noise_ceiling(settings, itself, silent, store) == Ceiling(3, pytest.approx(1), pytest.approx(1))
    assert not np.array_equal(itself.values, load_truth("digits").values[:3])
