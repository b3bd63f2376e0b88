"""Policies that learn from their own actions: gradients, GradEx and measures, each computed another way."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from kernelsm import GradEx, InputError, Retraining, TaskSuite, gradient_features
from kernelsm.models.mlp import mlp
from kernelsm.objectives.policy import LogRatio, WeightedLogistic
from kernelsm.objectives.registry import find

DEVIATION, RIDGE = 0.4, 0.1
MASKS = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]], dtype=bool)


@pytest.fixture(scope="module")
def problem():
    """A small policy, and a suite of actions that it took."""
    rng = np.random.default_rng(0)
    model = mlp((3, 6, 2), seed=1)
    inputs = rng.normal(size=(60, 3)).astype(np.float32)
    with torch.no_grad():
        means = model(torch.from_numpy(inputs)).numpy()
    actions = means + DEVIATION * rng.normal(size=means.shape)
    density = -np.square(actions - means).sum(axis=1) / (2 * DEVIATION**2)
    labels = np.column_stack([actions, np.full(60, DEVIATION), density, rng.normal(size=60)]).astype(np.float32)
    group = np.arange(60) % 3
    names = ("a", "b", "c")
    suite = TaskSuite(
        inputs[:45], labels[:45], group[:45], inputs[45:], labels[45:], group[45:], names, names,
        objective="policy gradient",
    )  # fmt: skip
    return suite, model


def test_slope_and_curvature_are_the_derivatives_of_the_loss():
    ratios = torch.randn(1, 7, 2, dtype=torch.double, requires_grad=True)
    targets = torch.randn(1, 7, 1, dtype=torch.double)
    loss = targets.abs() * torch.nn.functional.softplus(-targets.sign() * ratios)
    (slope,) = torch.autograd.grad(loss.sum(), ratios, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), ratios)
    found = WeightedLogistic().expand(ratios.detach(), targets)
    torch.testing.assert_close(found.slope, slope.detach())
    torch.testing.assert_close(found.diagonal, curvature)
    assert (found.diagonal >= 0).all()


def test_at_w0_the_log_ratio_is_0_and_the_loss_half_of_what_is_at_stake(problem):
    suite, model = problem
    objective = find(suite)
    with torch.no_grad():
        outputs = model(torch.from_numpy(suite.inputs))
    labels = torch.from_numpy(suite.labels)
    assert LogRatio().offsets(outputs, labels).abs().max() < 1e-5
    expected = np.abs(suite.labels[:, -1]) * np.log(2)
    np.testing.assert_allclose(objective.loss(outputs, labels), expected, atol=1e-5)
    assert objective.outputs == 2


def test_features_are_the_gradients_of_the_log_density(problem):
    suite, model = problem
    found = gradient_features(model, suite.inputs[:4], suite.labels[:4], objective=find(suite))
    for row in range(4):
        model.zero_grad()
        mean = model(torch.from_numpy(suite.inputs[row : row + 1]))[0]
        action = torch.from_numpy(suite.labels[row, :2])
        (-(action - mean).square().sum() / (2 * DEVIATION**2)).backward()
        expected = torch.cat([p.grad.flatten() for p in model.parameters()])
        np.testing.assert_allclose(found.features[row, 0], expected, atol=1e-4)


def test_gradex_is_the_minimum_of_the_linearised_loss(problem):
    suite, model = problem
    train, test = (
        gradient_features(model, inputs, labels, objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    gradex = GradEx(suite, train, test, ridge=RIDGE, tolerance=1e-6)
    found = gradex.problem.solve(gradex.shares(MASKS), tolerance=1e-6).z.double().numpy()
    G, advantages = train.features[:, 0].astype(float), suite.labels[:, -1].astype(float)
    for z, mask in zip(found, MASKS, strict=True):
        weights = suite.sample_weights(mask[None])[0].astype(float)

        def value(z, weights=weights):
            u = np.sign(advantages) * (G @ z)
            loss = weights @ (np.abs(advantages) * np.logaddexp(0, -u)) + RIDGE / 2 * z @ z
            slope = -weights * advantages / (1 + np.exp(u))
            return loss, G.T @ slope + RIDGE * z

        best = minimize(value, np.zeros(len(z)), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9})
        np.testing.assert_allclose(z, best.x, atol=1e-4)


def test_retraining_goes_the_same_way_and_makes_good_actions_likelier(problem):
    suite, model = problem
    train, test = (
        gradient_features(model, inputs, labels, objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    strong = 100.0  # so near to W0 the first order is nearly all
    estimated = GradEx(suite, train, test, ridge=strong).outcomes(MASKS, measure="gain").values
    found = Retraining(suite, model, ridge=strong).outcomes(MASKS, measure="gain").values
    np.testing.assert_allclose(estimated, found, atol=0.05 * np.abs(found).max())
    on_itself = TaskSuite(
        suite.inputs, suite.labels, suite.task_of, suite.inputs, suite.labels, suite.task_of, suite.task_names,
        suite.task_names, objective="policy gradient",
    )  # fmt: skip
    assert (Retraining(on_itself, model, ridge=1.0).outcomes(MASKS[:1], measure="gain").values > 0).all()


def test_labels_that_do_not_fit_are_refused(problem):
    suite, model = problem
    labels = suite.labels.copy()
    labels[4, -3] = 0
    from dataclasses import replace

    with pytest.raises(InputError, match="row 4"):
        Retraining(replace(suite, labels=labels), model)
