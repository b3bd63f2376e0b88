"""Regression: gradients, measures in the user's units, and GradEx and retraining against the closed form."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from kernelsm import GradEx, InputError, Retraining, TaskSuite, gradient_features
from kernelsm.models.mlp import mlp
from kernelsm.models.standard_units import StandardUnits, in_standard_units
from kernelsm.objectives.objective import find_measure
from kernelsm.objectives.registry import find
from kernelsm.objectives.regression import Regression, SquaredLoss
from kernelsm.tasks.label_values import standardised

RIDGE, K, Q = 0.05, 4, 2
MASKS = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 1]], dtype=bool)


def made_suite(outputs=1, features=3, seed=0, weighting="equally"):
    """Tasks that disagree about a linear map to quantities of very different units, and the labels as given."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(60, features)).astype(np.float32)
    maps, task_of = rng.normal(size=(K, features, outputs)), np.arange(40) % K
    given = np.einsum("nf,nfr->nr", inputs[:40], maps[task_of]) + 0.1 * rng.normal(size=(40, outputs))
    test = inputs[40:] @ maps.mean(axis=0)
    units = np.array([1000.0, 0.01, 3.0])[:outputs]
    given, test = 50 * units + given * units, 50 * units + test * units
    if outputs == 1:
        given, test = given[:, 0], test[:, 0]
    labels, test_labels, settings = standardised(given, test, [f"label {r}" for r in range(outputs)])
    suite = TaskSuite(
        inputs[:40], labels, task_of, inputs[40:], test_labels, np.arange(20) % Q,
        tuple(f"task {k}" for k in range(K)), ("first", "second"), objective="regression",
        objective_settings=settings, task_weighting=weighting,
    )  # fmt: skip
    return suite, test.reshape(20, -1)


@pytest.fixture(scope="module", params=[1, 3], ids=["one quantity", "three quantities"])
def problem(request):
    suite, test = made_suite(request.param)
    torch.manual_seed(0)
    model = torch.nn.Linear(3, request.param)
    train, held = (
        gradient_features(model, inputs, labels, objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    return suite, test, model, train, held


def closed_form(suite, train, mask):
    """Z of ridge regression with the loss Σ (f - y)², by a full solve in double precision."""
    w = np.repeat(suite.sample_weights(mask[None])[0].astype(float), train.features.shape[1])
    G = train.features.reshape(-1, train.features.shape[2]).astype(float)
    residual = suite.labels.reshape(-1).astype(float) - train.model_outputs.reshape(-1).astype(float)
    return np.linalg.solve(2 * G.T @ (w[:, None] * G) + RIDGE * np.eye(G.shape[1]), 2 * G.T @ (w * residual))


def expected_measures(suite, test, train, held, mask):
    """Loss, R², absolute and squared error of each target by scikit-learn, in the user's units, (measures, q)."""
    settings = suite.objective_settings
    outputs = held.model_outputs + held.features.astype(float) @ closed_form(suite, train, mask)
    predicted = outputs * settings["scale"] + settings["centre"]
    columns = []
    for j in range(Q):
        mine, said = test[suite.target_of == j], predicted[suite.target_of == j]
        loss = (((mine - said) / settings["scale"]) ** 2).mean(axis=0).sum()
        columns.append([loss, r2_score(mine, said), mean_absolute_error(mine, said), mean_squared_error(mine, said)])
    return np.transpose(columns)


def test_loss_slope_and_curvature_equal_autograd():
    torch.manual_seed(0)
    labels, outputs = torch.randn(7, 3).double(), torch.randn(7, 3).double().requires_grad_()
    loss = Regression(3).loss(outputs, labels)
    (slope,) = torch.autograd.grad(loss.sum(), outputs, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), outputs)
    found = SquaredLoss().expand(outputs.detach().T[..., None], labels.T[..., None])
    torch.testing.assert_close(found.slope[..., 0].T, slope.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.diagonal[..., 0].T, curvature, rtol=0, atol=1e-12)
    assert SquaredLoss.constant_curvature == pytest.approx(float(curvature[0, 0]))


def test_gradex_equals_a_full_precision_solve(problem):
    suite, _, _, train, held = problem
    gradex = GradEx(suite, train, held, ridge=RIDGE)
    z = gradex.problem.solve(gradex.shares(MASKS)).z
    for found, mask in zip(z.numpy(), MASKS, strict=True):
        np.testing.assert_allclose(found, closed_form(suite, train, mask), atol=1e-5)


@pytest.mark.parametrize("method", ["gradex", "batched", "sequential"])
def test_measures_are_those_of_scikit_learn_in_the_units_of_the_user(problem, method):
    suite, test, model, train, held = problem
    estimator = (
        GradEx(suite, train, held, ridge=RIDGE) if method == "gradex"
        else Retraining(suite, model, ridge=RIDGE, method=method)
    )  # fmt: skip
    expected = np.stack([expected_measures(suite, test, train, held, mask) for mask in MASKS])
    for position, about in enumerate(Regression.measures):
        found = estimator.outcomes(MASKS, measure=about.name)
        scale = np.abs(expected[:, position]).max()
        np.testing.assert_allclose(found.values, expected[:, position], atol=3e-4 * scale)
        assert (found.meta["unit"], found.higher_is_better) == (about.unit, about.name == "R²")


def test_nothing_depends_on_the_unit_of_the_label_but_the_errors_in_it():
    small, large = (made_suite(1)[0] for _ in range(2))
    kilo = standardised(1000 * np.arange(5.0), np.array([7000.0]))
    one = standardised(np.arange(5.0), np.array([7.0]))
    np.testing.assert_allclose(kilo[0], one[0], atol=1e-6)
    np.testing.assert_allclose(kilo[1], one[1], atol=1e-6)
    assert kilo[2]["scale"][0] == pytest.approx(1000 * one[2]["scale"][0])
    assert small.content_hash == large.content_hash


def test_labels_are_standardised_by_the_training_samples_alone():
    train, test, settings = standardised(np.array([1.0, 3.0]), np.array([1e6]))
    assert train.tolist() == [-1.0, 1.0]
    assert settings == {"centre": [2.0], "scale": [1.0]}
    assert test[0] == pytest.approx(1e6 - 2)


def test_r2_of_labels_that_are_all_the_same_is_zero_and_never_infinite():
    labels = torch.tensor([0.5, 0.5, -1.0, 1.0])
    outputs = torch.tensor([[[0.4], [0.5], [-1.0], [1.0]]])
    found = Regression(1).measure_model(outputs, labels, torch.tensor([0, 0, 1, 1]), 2)[0]
    r2 = found[find_measure(Regression.measures, "R²")]
    assert r2.tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        (np.zeros((4, 2), dtype=np.float32), "labels"),
        (np.array([0.0, 0.0, 2e4, 0.0], dtype=np.float32), "labels, row 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_their_row(labels, place):
    with pytest.raises(InputError) as caught:
        Regression(1).check_labels(labels, "labels")
    assert caught.value.place == place


@pytest.mark.parametrize(
    "settings", [{"scale": [0.0]}, {"scale": [1.0, 2.0]}, {"centre": ["x"]}, {"names": ["a", "b"]}, {"scale": 3}]
)
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(InputError):
        Regression(1, **settings)


def test_a_network_in_the_labels_own_units_is_brought_to_standardised_ones():
    settings = {"centre": [150.0, 2.0], "scale": [80.0, 0.1]}
    torch.manual_seed(0)
    model, inputs = mlp((3, 4, 2)), torch.randn(5, 3)
    expected = (model(inputs) - torch.tensor([150.0, 2.0])) / torch.tensor([80.0, 0.1])
    torch.testing.assert_close(in_standard_units(model, settings)(inputs), expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(StandardUnits(model, settings)(inputs), expected)
    with pytest.raises(InputError, match="a linear last layer of 2 outputs"):
        in_standard_units(mlp((3, 4, 1)), settings)


def test_gradients_of_a_network_in_own_units_are_those_of_its_standardised_outputs():
    suite, _ = made_suite(1)
    torch.manual_seed(0)
    model = StandardUnits(torch.nn.Linear(3, 1), suite.objective_settings)
    found = gradient_features(model, suite.inputs, suite.labels, objective=find(suite)).features
    scale = suite.objective_settings["scale"][0]
    expected = np.concatenate([suite.inputs, np.ones((40, 1))], axis=1) / scale
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
