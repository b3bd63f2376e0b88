"""A second objective goes through everything that classification does: ridge regression, known in closed form.

Nothing of kernelsm knows it: what it is made of stands in `squared_error.py`.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from squared_error import SquaredError

from kernelsm import GradEx, InputError, Retraining, Store, TaskSuite, gradient_features
from kernelsm.gradients.distortion import distortion
from kernelsm.gradients.features_file import load_features, save_features
from kernelsm.gradients.projections import Gaussian
from kernelsm.models.mlp import mlp
from kernelsm.objectives.fit_check import check_model
from kernelsm.objectives.registry import find
from kernelsm.objectives.training import train_base
from kernelsm.pipelines.timing import measure_rates
from kernelsm.tasks.suite_files import load_suite, save_suite

RIDGE, K, Q = 0.05, 4, 2
MASKS = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 1]], dtype=bool)
WEIGHTS = (1.0, 3.0, 0.5, 1.0)


def made_suite(outputs, features=3, seed=0):
    """Tasks that disagree about a linear map; labels have one axis where there is one output."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(60, features)).astype(np.float32)
    maps = rng.normal(size=(K, features, outputs))
    task_of = np.arange(40) % K
    labels = np.einsum("nf,nfr->nr", inputs[:40], maps[task_of]) + 0.1 * rng.normal(size=(40, outputs))
    test_labels = inputs[40:] @ maps.mean(axis=0)
    shape = (-1,) if outputs == 1 else (-1, outputs)
    return TaskSuite(
        inputs[:40], labels.reshape(shape).astype(np.float32), task_of, inputs[40:],
        test_labels.reshape(shape).astype(np.float32), np.arange(20) % Q, tuple(f"task {k}" for k in range(K)),
        ("first", "second"), objective=SquaredError.name, objective_settings={"unit": "kg"},
    )  # fmt: skip


@pytest.fixture(scope="module", params=[1, 3], ids=["one output", "three outputs"])
def problem(request):
    """A suite, a linear model of it, and the model's features."""
    suite = made_suite(request.param)
    torch.manual_seed(0)
    model = torch.nn.Linear(3, request.param)
    objective = find(suite)
    return (
        suite,
        model,
        gradient_features(model, suite.inputs, suite.labels, objective=objective),
        gradient_features(model, suite.test_inputs, suite.test_labels, objective=objective),
    )


def closed_form(suite, train, mask):
    """Z of ridge regression: (Gᵀ D G + λI)⁻¹ Gᵀ D (y - f), in double precision."""
    w = np.repeat(suite.sample_weights(mask[None], WEIGHTS)[0].astype(float), train.features.shape[1])
    G = train.features.reshape(-1, train.features.shape[2]).astype(float)
    residual = suite.labels.reshape(-1) - train.model_outputs.reshape(-1).astype(float)
    return np.linalg.solve(G.T @ (w[:, None] * G) + RIDGE * np.eye(G.shape[1]), G.T @ (w * residual))


def expected_measures(suite, train, test, mask):
    """Half squares, R² and bias of each target, (measures, q)."""
    outputs = test.model_outputs + test.features.astype(float) @ closed_form(suite, train, mask)
    truth = suite.test_labels.reshape(len(suite.test_labels), -1)
    columns = []
    for j in range(Q):
        error, mine = (outputs - truth)[suite.target_of == j], truth[suite.target_of == j]
        variance = np.square(mine - mine.mean(axis=0)).sum(axis=1).mean()
        squares = np.square(error).sum(axis=1).mean()
        columns.append([squares / 2, 1 - squares / variance, error.mean()])
    return np.transpose(columns)


def test_gradex_is_ridge_regression_in_closed_form(problem):
    suite, _, train, test = problem
    gradex = GradEx(suite, train, test, ridge=RIDGE, task_weights=WEIGHTS, tolerance=1e-6)
    z = gradex.problem.solve(gradex.shares(MASKS), tolerance=1e-6).z
    for found, mask in zip(z.numpy(), MASKS, strict=True):
        np.testing.assert_allclose(found, closed_form(suite, train, mask), atol=1e-5)


def test_measures_have_the_objectives_values_units_and_signs_and_are_kept_together(problem):
    suite, _, train, test = problem
    store = Store()
    gradex = GradEx(suite, train, test, ridge=RIDGE, task_weights=WEIGHTS, tolerance=1e-6)
    expected = np.stack([expected_measures(suite, train, test, mask) for mask in MASKS])
    for position, about in enumerate(SquaredError.measures):
        found = gradex.outcomes(MASKS, measure=about.name, store=store)
        np.testing.assert_allclose(found.values, expected[:, position], atol=1e-4)
        assert (found.meta["unit"], found.meta["measure"]) == (about.unit, about.name)
        assert found.higher_is_better == about.higher_is_better
        assert found.meta["objective"] == SquaredError.name
    assert (store.computed, store.reused) == (1, 2)
    with pytest.raises(InputError, match="'loss' or 'R²' or 'bias'"):
        gradex.outcomes(MASKS, measure="accuracy")


def test_leading_directions_and_a_tail_find_the_same_minimum(problem, monkeypatch):
    from kernelsm.estimators import gradex_curvature

    for name, value in (("_ALL_LEADING_UP_TO", 3), ("LEADING", 2), ("_DENSE", 1)):
        monkeypatch.setattr(gradex_curvature, name, value)
    suite, _, train, test = problem
    gradex = GradEx(suite, train, test, ridge=3.0, task_weights=WEIGHTS)
    assert gradex.problem.has_tail
    split = gradex.problem.solve(gradex.shares(MASKS), tolerance=1e-6)
    assert split.passes > 1
    monkeypatch.undo()
    whole = GradEx(suite, train, test, ridge=3.0, task_weights=WEIGHTS).problem
    torch.testing.assert_close(split.z, whole.solve(gradex.shares(MASKS), tolerance=1e-6).z, rtol=0, atol=1e-5)


def test_a_quadratic_loss_has_no_longest_step():
    # each minimum is many times as far as the logits of a softmax may go at once
    suite = made_suite(1)
    suite = replace(suite, labels=100 * suite.labels, test_labels=100 * suite.test_labels)
    objective, model = find(suite), torch.nn.Linear(3, 1).double()
    train, test = (
        gradient_features(model, inputs, labels, objective=objective)
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    gradex = GradEx(suite, train, test, ridge=RIDGE, task_weights=WEIGHTS, tolerance=1e-2)
    z = gradex.problem.solve(gradex.shares(MASKS), tolerance=1e-2).z
    for found, mask in zip(z.numpy(), MASKS, strict=True):
        np.testing.assert_allclose(found, closed_form(suite, train, mask), rtol=1e-3, atol=0.2)


@pytest.mark.parametrize("method", ["batched", "sequential"])
def test_retraining_a_linear_model_is_the_same_ridge_regression(problem, method):
    suite, model, train, test = problem
    retraining = Retraining(suite, model, ridge=RIDGE, task_weights=WEIGHTS, method=method)
    store = Store()
    expected = np.stack([expected_measures(suite, train, test, mask) for mask in MASKS])
    for position, about in enumerate(SquaredError.measures):
        found = retraining.outcomes(MASKS, measure=about.name, store=store)
        np.testing.assert_allclose(found.values, expected[:, position], atol=1e-4)
        assert (found.meta["unit"], found.higher_is_better) == (about.unit, about.higher_is_better)
    assert store.computed == (1 if method == "batched" else len(MASKS))


def test_w0_is_trained_to_least_squares_and_watched_by_the_headline_measure(problem):
    suite, _, _, _ = problem
    outputs = find(suite).outputs
    curve = []
    model = train_base(mlp((3, outputs)), suite, epochs=400, learning_rate=0.05, curve=curve)
    inputs = np.concatenate([suite.inputs, np.ones((40, 1))], axis=1)
    labels = suite.labels.reshape(40, -1)
    best, *_ = np.linalg.lstsq(inputs, labels, rcond=None)  # tasks are of one size, so all samples weigh the same
    least = np.square(inputs @ best - labels).sum(axis=1).mean() / 2
    assert curve[0].train_loss > 1.2 * least
    assert curve[-1].train_loss == pytest.approx(least, rel=1e-3)
    np.testing.assert_allclose(model[0].weight.detach().T, best[:3], atol=0.02)
    np.testing.assert_allclose(model[0].bias.detach(), best[3], atol=0.02)


def test_early_stopping_looks_at_the_objectives_own_measure(problem):
    suite, _, _, _ = problem
    curve = []
    model = train_base(
        mlp((3, find(suite).outputs)), suite, epochs=30, learning_rate=0.05, validation=0.3, patience=30, curve=curve
    )
    best = min(curve, key=lambda row: row.validation_loss)
    assert best.validation_headline > curve[0].validation_headline
    assert best.validation_headline <= 1
    again = train_base(mlp((3, find(suite).outputs)), suite, epochs=best.epoch, learning_rate=0.05, validation=0.3)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_network_with_other_outputs_is_told_what_the_objective_asks_for(problem):
    suite, model, _, _ = problem
    outputs = find(suite).outputs
    assert check_model(model, suite).outputs == outputs
    for refuse in (
        lambda wrong: check_model(wrong, suite),
        lambda wrong: gradient_features(wrong, suite.inputs, suite.labels, objective=find(suite)),
    ):
        with pytest.raises(InputError) as caught:
            refuse(mlp((3, outputs + 1)))
        assert caught.value.expected == f"{outputs} quantities"


def test_costs_are_measured_and_projections_compared():
    suite, model = made_suite(1), torch.nn.Linear(3, 1)
    train = gradient_features(model, suite.inputs, suite.labels, objective=find(suite))
    rates = measure_rates(suite, model, base_seconds=1.0, ridge=RIDGE, quick=False)
    assert min(rates.gradients["kronecker"], rates.gradex["exact"], rates.retraining) > 0
    (found,) = distortion(model, suite.inputs, suite.labels, [Gaussian(64)], objective=find(suite), samples=5)
    rows = np.linspace(0, 39, 5).astype(int)
    first = train.features[rows, 0].astype(float)
    norms = np.linalg.norm(first, axis=1)
    cosines = (first @ first.T / np.outer(norms, norms))[np.triu_indices(5, k=1)]
    np.testing.assert_allclose(found.exact, cosines, atol=1e-6)


def test_files_of_suites_and_features_hold_the_objective(problem, tmp_path):
    suite, _, train, test = problem
    save_suite(suite, tmp_path / "suite.npz")
    loaded = load_suite(tmp_path / "suite.npz")
    assert loaded.content_hash == suite.content_hash
    assert (loaded.objective, loaded.objective_settings) == (SquaredError.name, {"unit": "kg"})
    assert find(loaded).unit == "kg"
    others = [replace(suite, objective_settings={}), replace(suite, labels=suite.labels + 1)]
    assert len({suite.content_hash, *(other.content_hash for other in others)}) == 3
    brought, *sides = load_features(save_features(tmp_path / "features.npz", suite, train, test))
    assert (brought.objective, brought.objective_settings) == (SquaredError.name, {"unit": "kg"})
    assert np.array_equal(brought.labels, suite.labels)
    found = GradEx(brought, *sides, ridge=RIDGE).outcomes(MASKS)
    expected = GradEx(suite, train, test, ridge=RIDGE).outcomes(MASKS)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-5)


def test_labels_that_do_not_fit_are_refused_with_their_row(problem):
    suite, model, _, _ = problem
    for value, place in ((np.nan, "labels, row 7"), (5e3, "labels, row 7")):
        labels = suite.labels.copy()
        labels[7] = value
        with pytest.raises(InputError) as caught:
            Retraining(replace(suite, labels=labels), model)
        assert caught.value.place == place
    with pytest.raises(InputError, match="Give one label"):
        replace(suite, labels=suite.labels[:-1])


def test_features_of_another_objective_are_refused(problem):
    suite, model, train, test = problem
    if find(suite).outputs > 1:
        classes = np.arange(40) % 3
        other = gradient_features(model, suite.inputs, classes)
        with pytest.raises(InputError, match="train, objective: found 'classification'"):
            GradEx(suite, other, test)
    unnamed = replace(train, meta={})
    with pytest.raises(InputError, match="train, objective"):
        GradEx(suite, unnamed, test)
