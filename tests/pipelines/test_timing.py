"""The short measurement of what a network costs: every rate that estimates look up, and nothing that takes long."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kernelsm import TaskSuite, gradient_features
from kernelsm.gradients.choices import EXACT_UP_TO, PROJECTIONS
from kernelsm.models.mlp import mlp
from kernelsm.pipelines import timing
from kernelsm.pipelines.timing import features_rate, measure_rates


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)


@pytest.fixture
def ticking(monkeypatch):
    """A clock by which every piece of work takes 10 ms; returns the list of what was timed."""
    timed = []

    def seconds(call):
        timed.append(call())
        return 0.01

    monkeypatch.setattr(timing, "_seconds", seconds)
    return timed


def repeated(suite, times):
    """The same suite with every sample several times."""

    def more(array):
        return np.concatenate([array] * times)

    return replace(
        suite, inputs=more(suite.inputs), labels=more(suite.labels), task_of=more(suite.task_of),
        test_inputs=more(suite.test_inputs), test_labels=more(suite.test_labels), target_of=more(suite.target_of),
    )  # fmt: skip


def rates_of(suite, model, **named):
    return measure_rates(suite, model, **{"base_seconds": 1.5, "ridge": 0.1, "quick": False, **named})


def test_every_rate_that_an_estimate_looks_up_is_measured(blobs, blobs_model):
    heard = []
    found = rates_of(blobs, blobs_model, report=lambda *told, reused=False: heard.append((*told[:2], reused)))
    assert set(found.gradients) == set(PROJECTIONS)
    assert set(found.gradex) == {"exact", "projected"}
    assert found.base == 1.5
    assert found.inputs == 0
    for rate in (*found.gradients.values(), *found.gradex.values(), found.retraining):
        assert 0 < rate < 1000
    steps = len(PROJECTIONS) + 2
    assert heard == [(done, steps, None) for done in range(1, steps + 1)]


def test_the_engine_of_gradients_is_told(blobs, blobs_model):
    seen = {}
    rates_of(blobs, blobs_model, seen=seen)
    assert seen == {"engine": "hooks"}


def test_the_network_is_left_as_it_was(blobs, blobs_model):
    blobs_model.zero_grad()
    before = {name: value.clone() for name, value in blobs_model.state_dict().items()}
    rates_of(blobs, blobs_model)
    assert all(torch.equal(value, before[name]) for name, value in blobs_model.state_dict().items())
    assert all(p.grad is None for p in blobs_model.parameters())
    assert not blobs_model.training


def test_a_network_of_many_parameters_is_not_timed_in_the_exact_basis(blobs, ticking):
    model = mlp((4, EXACT_UP_TO // 4, 3))
    found = rates_of(blobs, model, quick=True)
    assert set(found.gradients) == set(PROJECTIONS) - {"exact"}
    assert set(found.gradex) == {"projected"}


def test_dense_maps_of_a_large_network_are_timed_in_few_dimensions(blobs, monkeypatch, ticking):
    model = mlp((4, 2000, 3))
    d = sum(p.numel() for p in model.parameters())
    monkeypatch.setattr(timing, "_MOST_NUMBERS", 20 * d)
    taken = []

    def features(model, inputs, labels, name, dim, **named):
        taken.append((name, dim))
        return gradient_features(model, inputs, labels, name, dim, **named)

    monkeypatch.setattr(timing, "gradient_features", features)
    found = rates_of(blobs, model, quick=True)
    assert {dim for name, dim in taken if name in ("gaussian", "rademacher")} == {20}
    assert {dim for name, dim in taken if name in ("kronecker", "sparse")} == {512}
    assert found.gradients["gaussian"] >= found.gradients["kronecker"] * (1 - 1e-9)


def test_what_dense_maps_cost_grows_with_the_dimensions_that_were_left_out(blobs, monkeypatch):
    model = mlp((4, 2000, 3))
    d = sum(p.numel() for p in model.parameters())
    # by this clock a sample takes as long as its projection has dimensions, and 512 for its gradient
    cost = {"kronecker": 512, "gaussian": 512 + 16, "rademacher": 512 + 16, "sparse": 512}
    taken = []
    monkeypatch.setattr(
        timing, "gradient_features",
        lambda model, inputs, labels, name, dim, **named: taken.append((name, len(inputs)))
        or gradient_features(model, inputs, labels, "kronecker", 8, **named),
    )  # fmt: skip

    def seconds(call):
        call()
        name, count = taken[-1]
        return count * cost[name] / 1e6

    monkeypatch.setattr(timing, "_seconds", seconds)
    monkeypatch.setattr(timing, "_MOST_NUMBERS", 16 * d)
    found = rates_of(blobs, model, quick=True).gradients
    assert found["gaussian"] == found["rademacher"] == pytest.approx(2 * found["kronecker"])
    assert found["sparse"] == pytest.approx(found["kronecker"])


def test_more_samples_make_subsets_dearer_and_a_samples_gradient_not(blobs, blobs_model, ticking, monkeypatch):
    monkeypatch.setattr(timing, "_MOST_REPEATED", 1)  # as where samples are too many to be solved all
    small, large = repeated(blobs, 7), repeated(blobs, 14)  # both more than is timed
    one, two = rates_of(small, blobs_model), rates_of(large, blobs_model, quick=True)
    for name, rate in one.gradex.items():
        assert two.gradex[name] == pytest.approx(2 * rate, rel=0.1)
    assert two.gradients == one.gradients


def test_subsets_are_solved_with_as_many_samples_as_there_are(blobs, blobs_model, ticking, monkeypatch):
    solved = []

    class Watched(timing.GradEx):
        def outcomes(self, masks):
            solved.append(len(self.suite.inputs))
            return super().outcomes(masks)

    monkeypatch.setattr(timing, "GradEx", Watched)
    many = repeated(blobs, 14)
    rates_of(many, blobs_model)
    assert min(solved) > 0.8 * len(many.inputs)


def test_a_subset_is_really_retrained_where_that_takes_little_and_else_passes_are_counted(
    blobs, blobs_model, monkeypatch
):
    tried = []

    def rate(suite, model, ridge, settings):
        tried.append(settings)
        return 0.125

    monkeypatch.setattr(timing, "_retraining_rate", rate)
    assert rates_of(blobs, blobs_model).retraining == 0.125
    assert rates_of(blobs, blobs_model, quick=True).retraining == 0.125
    assert tried == [{}, timing.QUICK]
    monkeypatch.setattr(timing, "_WORTH_A_TRY", 0.0)
    assert 0 < rates_of(blobs, blobs_model).retraining != 0.125
    assert len(tried) == 2


@pytest.mark.parametrize("samples", [2, 5, 9])
def test_a_handful_of_samples_is_enough(samples):
    rng = np.random.default_rng(0)
    labels, half = np.arange(samples) % 2, (np.arange(samples) >= samples / 2).astype(np.int64)
    inputs = rng.normal(size=(samples, 3)).astype(np.float32)
    suite = TaskSuite(inputs, labels, half, inputs[:1], labels[:1], np.zeros(1, np.int64), ("a", "b"), ("t",), 2)
    found = rates_of(suite, nn.Linear(3, 2))
    assert all(rate > 0 for rate in (*found.gradients.values(), *found.gradex.values(), found.retraining))


def test_a_task_and_a_target_of_one_sample_among_many_are_timed_too(blobs, blobs_model):
    many = repeated(blobs, 10)
    task_of, target_of = many.task_of.copy(), many.target_of.copy()
    task_of[1], target_of[1] = 5, 3
    rare = replace(
        many, task_of=task_of, task_names=(*many.task_names, "rare"), target_of=target_of,
        target_names=(*many.target_names, "rare"),
    )  # fmt: skip
    assert rates_of(rare, blobs_model).gradex["projected"] > 0


@pytest.mark.parametrize(("outputs", "share"), [("logits", 1), ("margin", 3)])
def test_features_that_were_brought_have_a_rate_with_all_logits(blobs, blobs_model, ticking, outputs, share):
    train = gradient_features(blobs_model, blobs.inputs, blobs.labels, "kronecker", 16, outputs=outputs)
    test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, "kronecker", 16, outputs=outputs)
    found = features_rate(blobs, train, test, 0.1)
    assert set(found.gradex) == {"exact"}  # their coordinates are all there are
    assert found.gradex["exact"] == pytest.approx(1000 * 0.01 / ticking[0].m * share)
    assert found.gradients == {}


def test_a_measurement_that_hangs_is_given_up_and_the_others_are_made(blobs, blobs_model, monkeypatch):
    measured, hang = timing._gradient_rate, threading.Event()

    def sometimes(suite, model, name, dim):
        return hang.wait(60.0) or 1.0 if name == "sparse" else measured(suite, model, name, dim)

    monkeypatch.setattr(timing, "_gradient_rate", sometimes)
    monkeypatch.setattr(timing, "_LONGEST_SECONDS", 3.0)
    found = rates_of(blobs, blobs_model)
    hang.set()
    assert found.gradients["sparse"] == math.inf
    others = [rate for name, rate in found.gradients.items() if name != "sparse"]
    assert all(map(math.isfinite, [*others, *found.gradex.values(), found.retraining]))


def test_a_measurement_that_was_given_up_leaves_the_network_alone(blobs, blobs_model, monkeypatch):
    before = {name: value.clone() for name, value in blobs_model.state_dict().items()}
    started, hang = threading.Event(), threading.Event()

    def swaps(suite, model, name, dim):
        # as torch.func.functional_call does while it runs
        for part in (part for part in model.modules() if isinstance(part, nn.Linear)):
            part.weight = nn.Parameter(torch.zeros_like(part.weight))
        model.zero_grad = None
        started.set()
        hang.wait(60.0)
        return 1.0

    monkeypatch.setattr(timing, "_gradient_rate", swaps)
    monkeypatch.setattr(timing, "_LONGEST_SECONDS", 0.2)
    rates_of(blobs, blobs_model)
    assert started.is_set()
    assert all(torch.equal(value, before[name]) for name, value in blobs_model.state_dict().items())
    hang.set()


def test_what_goes_wrong_in_a_measurement_is_raised(blobs, blobs_model, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(timing, "_gradient_rate", broken)
    with pytest.raises(ZeroDivisionError):
        rates_of(blobs, blobs_model)
