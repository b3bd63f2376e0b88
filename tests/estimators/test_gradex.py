"""GradEx outcomes: the linearised model's losses, its agreement with retraining, and resuming."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from kernelsm import ConvergenceError, GradEx, GradientFeatures, InputError, bernoulli_masks, gradient_features, lds
from kernelsm.estimators import gradex_solver
from kernelsm.gradients.projections import Gaussian
from kernelsm.objectives.classification import margin
from kernelsm.runtime.store import Store

RIDGE = 0.05


@pytest.fixture(scope="module")
def features(blobs, blobs_model):
    return (
        gradient_features(blobs_model, blobs.inputs, blobs.labels),
        gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels),
    )


def cross_entropy(logits, labels):
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def by_scipy(suite, train, test, mask):
    """The target losses of one mask from the paper's Algorithm 2, in double precision."""
    inside = mask[suite.task_of]
    sizes = np.bincount(suite.task_of)
    w = inside / (max(mask.sum(), 1) * sizes[suite.task_of])
    G, f = train.features.astype(float), train.model_outputs.astype(float)

    def objective(z):
        logits = f + G @ z
        residual = softmax(logits, axis=1) - np.eye(suite.classes)[suite.labels]
        value = w @ cross_entropy(logits, suite.labels) + RIDGE / 2 * z @ z
        return value, np.einsum("n,nc,nck->k", w, residual, G) + RIDGE * z

    options = {"maxiter": 10_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-10}
    z = minimize(objective, np.zeros(G.shape[-1]), method="L-BFGS-B", jac=True, options=options).x
    losses = cross_entropy(test.model_outputs + test.features.astype(float) @ z, suite.test_labels)
    return [losses[suite.target_of == j].mean() for j in range(len(suite.target_names))]


MASKS = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 1, 1], [0, 1, 1, 0, 1]], dtype=bool)


def test_outcomes_are_those_of_algorithm_two(blobs, features):
    found = GradEx(blobs, *features, ridge=RIDGE, tolerance=1e-6).outcomes(MASKS)
    expected = [by_scipy(blobs, *features, mask) for mask in MASKS]
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert found.task_names == blobs.task_names
    assert found.target_names == blobs.target_names
    assert found.meta["estimator"] == "gradex"
    assert found.meta["ridge"] == RIDGE


def test_the_empty_subset_has_the_losses_of_w0(blobs, features):
    at_w0 = cross_entropy(features[1].model_outputs.astype(float), blobs.test_labels)
    found = GradEx(blobs, *features).outcomes(np.zeros((1, 5), dtype=bool))
    np.testing.assert_allclose(found.values[0], [at_w0[blobs.target_of == j].mean() for j in range(3)], rtol=1e-5)


def test_a_mislabelled_task_hurts(blobs, features):
    masks = bernoulli_masks(5, 32, seed=0)
    loss = GradEx(blobs, *features, ridge=0.01).outcomes(masks).mean_target().values[:, 0]
    assert loss[masks[:, 4]].mean() > loss[~masks[:, 4]].mean()


def test_gradex_predicts_retraining(blobs, blobs_model, features):
    from kernelsm import Retraining

    # so small a network is far from linear: it must be held close to W0
    masks = np.unique(bernoulli_masks(5, 24, seed=3), axis=0)
    estimates = GradEx(blobs, *features, ridge=0.5).outcomes(masks)
    truth = Retraining(blobs, blobs_model, ridge=0.5).outcomes(masks)
    assert lds(truth.values, estimates.values) > 0.93
    assert np.abs(estimates.values - truth.values).mean() < 0.1 * truth.values.mean()


@pytest.fixture(scope="module")
def margin_features(blobs, blobs_model, features):
    """The margin's gradient: the chain rule on those of the logits, d m / d f = e_y - softmax over the others."""

    def of(full):
        others = full.model_outputs.astype(float).copy()
        rows = np.arange(len(full.labels))
        others[rows, full.labels] = -np.inf
        slope = -softmax(others, axis=1)
        slope[rows, full.labels] = 1.0
        gradient = np.einsum("nc,nck->nk", slope, full.features)[:, None].astype(np.float32)
        return replace(full, features=gradient, meta={**full.meta, "outputs": "margin"})

    return tuple(of(full) for full in features)


def margins_of(features):
    """Log-odds of the true class at W0."""
    outputs, labels = torch.tensor(features.model_outputs), torch.tensor(features.labels)
    return margin(outputs, labels).numpy().astype(float)


def test_margin_features_are_a_logistic_regression(blobs, margin_features):
    train, test = margin_features
    mask = np.array([1, 0, 1, 1, 0], dtype=bool)
    weights = [2.0, 1.0, 1.0, 4.0, 1.0]
    w = blobs.sample_weights(mask[None], weights)[0].astype(float)
    G, m0 = train.features[:, 0].astype(float), margins_of(train)

    def objective(z):
        margin = m0 + G @ z
        value = w @ np.logaddexp(0, -margin) + RIDGE / 2 * z @ z
        return value, -(w / (1 + np.exp(margin))) @ G + RIDGE * z

    z = minimize(
        objective, np.zeros(G.shape[1]), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10}
    ).x
    margins = margins_of(test) + test.features[:, 0].astype(float) @ z
    gradex = GradEx(blobs, train, test, ridge=RIDGE, tolerance=1e-6, task_weights=weights)
    for measure, values in (("loss", np.logaddexp(0, -margins)), ("accuracy", margins > 0), ("margin", margins)):
        expected = [values[blobs.target_of == j].mean() for j in range(3)]
        np.testing.assert_allclose(gradex.outcomes(mask[None], measure=measure).values[0], expected, atol=2e-5)


def test_one_solve_gives_all_measures(blobs, features):
    store = Store()
    gradex = GradEx(blobs, *features, ridge=RIDGE, block=3)
    tables = {name: gradex.outcomes(MASKS, measure=name, store=store) for name in ("loss", "accuracy", "margin")}
    assert (store.computed, store.reused) == (2, 4)
    assert [table.higher_is_better for table in tables.values()] == [False, True, True]
    assert tables["accuracy"].values.min() >= 0
    assert tables["accuracy"].values.max() <= 1
    assert tables["margin"].meta["measure"] == "margin"
    with pytest.raises(InputError, match="measure"):
        gradex.outcomes(MASKS, measure="f1")


def test_a_heavy_task_pulls_the_outcome_to_that_of_itself_alone(blobs, features):
    pair = np.array([[1, 0, 0, 0, 1]], dtype=bool)
    alone = GradEx(blobs, *features, ridge=RIDGE).outcomes(np.array([[1, 0, 0, 0, 0]], dtype=bool)).values
    distances = [
        np.abs(
            GradEx(blobs, *features, ridge=RIDGE, task_weights=[w, 1, 1, 1, 1]).outcomes(pair).values - alone
        ).max()
        for w in (1, 10, 1e4)
    ]
    assert distances[0] > 2 * distances[1] > 4 * distances[2]
    assert distances[2] < 1e-2


def test_equal_weights_can_be_asked_of_a_suite_that_weighs_by_size(blobs, features):
    pooled, store = replace(blobs, task_weighting="by_size"), Store()
    by_size, asked = (
        GradEx(pooled, *features, ridge=RIDGE, task_weights=weights).outcomes(MASKS, store=store)
        for weights in (None, [2.0] * 5)
    )
    equal = GradEx(blobs, *features, ridge=RIDGE).outcomes(MASKS)
    np.testing.assert_allclose(asked.values, equal.values, atol=1e-4)
    assert np.abs(by_size.values - equal.values).max() > 1e-2
    assert (by_size.meta["task_weighting"], equal.meta["task_weighting"]) == ("by_size", "equally")
    assert (asked.meta["task_weights"], asked.meta.get("task_weighting")) == ([2.0] * 5, None)
    sizes = GradEx(blobs, *features, ridge=RIDGE, task_weights=blobs.tasks.sizes).outcomes(MASKS)
    np.testing.assert_allclose(sizes.values, by_size.values, atol=1e-4)


@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 0], [1, 1, -1, 1, 1], [1, 1], [1, 1, 1, 1, np.nan]])
def test_task_weights_that_are_not_positive_are_refused(blobs, features, weights):
    with pytest.raises(InputError, match="task_weights"):
        GradEx(blobs, *features, task_weights=weights)


def test_the_block_follows_shape_and_budget_alone(blobs, features):
    assert GradEx(blobs, *features).block == 256
    small = GradEx(blobs, *features, budget=4 * 2**20).block
    assert 1 <= small < 256
    assert GradEx(blobs, *features, budget=1).block == 1
    assert GradEx(blobs, *features, budget=1, block=7).block == 7


@pytest.mark.parametrize("name", ["model_outputs", "features"])
def test_features_that_are_not_finite_are_refused(blobs, features, name):
    values = getattr(features[0], name).copy()
    values[3] = np.nan
    with pytest.raises(InputError, match=f"train, {name}"):
        GradEx(blobs, replace(features[0], **{name: values}), features[1])


def test_blocks_change_nothing_and_each_is_reported(blobs, features):
    masks = bernoulli_masks(5, 11, seed=1)
    reports = []

    def report(done, total, message="", *, reused=False):
        reports.append((done, total, message, reused))

    small = GradEx(blobs, *features, block=3, tolerance=1e-6).outcomes(masks, report=report)
    large = GradEx(blobs, *features, block=64, tolerance=1e-6).outcomes(masks)
    np.testing.assert_allclose(small.values, large.values, atol=2e-4)
    assert reports == [(i, 4, "GradEx", False) for i in (1, 2, 3, 4)]


def test_a_second_run_computes_nothing_and_a_longer_one_only_the_rest(blobs, features):
    masks = bernoulli_masks(5, 20, seed=2)
    gradex = GradEx(blobs, *features, block=5)
    counts, tables = [], []
    for rows in (10, 10, 20):
        store = Store()
        tables.append(gradex.outcomes(masks[:rows], store=store))
        counts.append((store.computed, store.reused))
    assert counts == [(2, 0), (0, 2), (2, 2)]
    assert tables[0].content_hash == tables[1].content_hash
    assert np.array_equal(tables[2].values[:10], tables[0].values)


@pytest.mark.parametrize("change", ["ridge", "tolerance", "suite", "projection", "features"])
def test_whatever_changes_the_outcome_changes_the_key(blobs, blobs_model, features, change):
    def projected(seed):
        return [
            gradient_features(blobs_model, x, y, Gaussian(12, seed))
            for x, y in ((blobs.inputs, blobs.labels), (blobs.test_inputs, blobs.test_labels))
        ]

    plain = GradEx(blobs, *features)
    pairs = {
        "ridge": lambda: (plain, GradEx(blobs, *features, ridge=0.5)),
        "tolerance": lambda: (plain, GradEx(blobs, *features, tolerance=1e-3)),
        "suite": lambda: (plain, GradEx(replace(blobs, target_of=blobs.target_of[::-1].copy()), *features)),
        "projection": lambda: (GradEx(blobs, *projected(0)), GradEx(blobs, *projected(1))),
        "features": lambda: (
            plain,
            GradEx(blobs, replace(features[0], features=2 * features[0].features), features[1]),
        ),
    }
    masks = bernoulli_masks(5, 6, seed=0)
    first, second = pairs[change]()
    store = Store()
    first.outcomes(masks, store=store)
    found = second.outcomes(masks, store=store)
    assert (store.computed, store.reused) == (2, 0)
    assert np.array_equal(found.values, second.outcomes(masks).values)


def test_a_solve_that_does_not_converge_says_how_far_it_came_and_what_to_do(blobs, features, monkeypatch):
    monkeypatch.setattr(gradex_solver, "_NEWTON_STEPS", 1)
    # single precision cannot reach such a gradient
    with pytest.raises(ConvergenceError, match=r"gradient norm of .* after 50 passes; wanted at most 1e-20\. Raise"):
        GradEx(blobs, *features, tolerance=1e-20).outcomes(MASKS[:1])


@pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan")])
def test_a_ridge_that_is_not_positive_is_refused(blobs, features, ridge):
    with pytest.raises(InputError, match="ridge"):
        GradEx(blobs, *features, ridge=ridge)


def test_features_of_another_suite_are_refused(blobs, features):
    train, test = features
    fewer = GradientFeatures(train.model_outputs[1:], train.features[1:], train.labels[1:], train.meta)
    with pytest.raises(InputError, match="train"):
        GradEx(blobs, fewer, test)


def test_features_through_two_projections_are_refused(blobs, blobs_model, features):
    other = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, "gaussian", dim=51)
    assert other.features.shape == features[1].features.shape
    with pytest.raises(InputError, match="one projection"):
        GradEx(blobs, features[0], other)
    train, test = (
        gradient_features(blobs_model, x, y, Gaussian(12, seed))
        for x, y, seed in ((blobs.inputs, blobs.labels, 0), (blobs.test_inputs, blobs.test_labels, 1))
    )
    with pytest.raises(InputError, match="one projection"):
        GradEx(blobs, train, test)


def test_masks_of_another_number_of_tasks_are_refused(blobs, features):
    with pytest.raises(InputError, match="masks"):
        GradEx(blobs, *features).outcomes(np.ones((3, 4), dtype=bool))
