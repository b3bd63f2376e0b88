"""Several labels at once: gradients, measures against scikit-learn, GradEx against a full solve, retraining."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from kernelsm import GradEx, InputError, Retraining, TaskSuite, gradient_features
from kernelsm.objectives.registry import find
from kernelsm.objectives.several_labels import SeveralLabels, SigmoidLoss

RIDGE, K, C = 0.05, 3, 2
MASKS = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 1]], dtype=bool)


def made_suite(seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(90, 4)).astype(np.float32)
    labels = (inputs @ rng.normal(size=(4, C)) + rng.normal(size=(90, C)) > 0).astype(np.float32)
    return TaskSuite(
        inputs[:60], labels[:60], np.arange(60) % K, inputs[60:], labels[60:], np.arange(30) % 2,
        tuple(f"task {k}" for k in range(K)), ("first", "second"), objective="several labels",
        objective_settings={"names": ["sport", "politics"]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def problem():
    suite = made_suite()
    torch.manual_seed(0)
    model = torch.nn.Linear(4, C)
    train, test = (
        gradient_features(model, inputs, labels, objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    return suite, model, train, test


def full_solve(suite, train, mask):
    """Z by a solver of its own in double precision."""
    w = suite.sample_weights(mask[None])[0].astype(float)
    G, f, y = train.features.astype(float), train.model_outputs.astype(float), suite.labels.astype(float)

    def value(z):
        u = f + G @ z
        losses = (np.logaddexp(0, u) - y * u).sum(axis=1)
        slope = 1 / (1 + np.exp(-u)) - y
        return w @ losses + RIDGE / 2 * z @ z, np.einsum("n,nr,nrk->k", w, slope, G) + RIDGE * z

    return minimize(value, np.zeros(G.shape[2]), jac=True, method="BFGS", options={"gtol": 1e-9}).x


def test_loss_slope_and_curvature_equal_autograd():
    torch.manual_seed(0)
    labels = (torch.randn(7, 3) > 0).double()
    outputs = (3 * torch.randn(7, 3)).double().requires_grad_()
    loss = SeveralLabels(3).loss(outputs, labels)
    (slope,) = torch.autograd.grad(loss.sum(), outputs, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), outputs)
    found = SigmoidLoss().expand(outputs.detach().T[..., None], labels.T[..., None])
    torch.testing.assert_close(found.slope[..., 0].T, slope.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.diagonal[..., 0].T, curvature, rtol=0, atol=1e-12)


def test_gradex_equals_a_full_precision_solve(problem):
    suite, _, train, test = problem
    gradex = GradEx(suite, train, test, ridge=RIDGE, tolerance=1e-6)
    z = gradex.problem.solve(gradex.shares(MASKS), tolerance=1e-6).z
    for found, mask in zip(z.numpy(), MASKS, strict=True):
        np.testing.assert_allclose(found, full_solve(suite, train, mask), atol=3e-5)


def test_measures_are_those_of_scikit_learn(problem):
    suite, _, train, test = problem
    gradex = GradEx(suite, train, test, ridge=RIDGE, tolerance=1e-6)
    for m, mask in enumerate(MASKS):
        u = test.model_outputs + test.features.astype(float) @ full_solve(suite, train, mask)
        for j in range(2):
            mine = suite.target_of == j
            y, score = suite.test_labels[mine], u[mine]
            p = 1 / (1 + np.exp(-score))
            expected = {
                "loss": sum(log_loss(y[:, c], p[:, c], labels=[0, 1]) for c in range(C)),
                "accuracy": ((score > 0) == y).mean(),
                "F1": f1_score(y, score > 0, average="macro"),
                "AUC": roc_auc_score(y, score, average="macro"),
            }
            for name, value in expected.items():
                found = gradex.outcomes(MASKS, measure=name).values[m, j]
                assert found == pytest.approx(value, abs=2e-4), (name, m, j)


def test_retraining_a_linear_model_is_what_gradex_says(problem):
    suite, model, train, test = problem
    estimated = GradEx(suite, train, test, ridge=RIDGE, tolerance=1e-6).outcomes(MASKS).values
    for method in ("batched", "sequential"):
        found = Retraining(suite, model, ridge=RIDGE, method=method).outcomes(MASKS)
        np.testing.assert_allclose(found.values, estimated, atol=1e-4)
        assert found.meta["unit"] == "nats over all labels"


def test_ties_count_half_in_the_auc_and_a_label_of_one_value_is_left_out():
    labels = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    outputs = torch.tensor([[[0.5, 1.0], [0.5, 1.0], [2.0, 1.0], [-1.0, 1.0]]])
    found = SeveralLabels(2).measure_model(outputs, labels, torch.zeros(4, dtype=torch.int64), 1)[0, 3, 0]
    assert found == pytest.approx(roc_auc_score(labels[:, 0], outputs[0, :, 0]))
    alike = SeveralLabels(2).measure_model(outputs, torch.ones(4, 2), torch.zeros(4, dtype=torch.int64), 1)
    assert alike[0, 3, 0] == pytest.approx(0.5)


def test_f1_of_a_label_that_is_nowhere_is_zero():
    outputs = -torch.ones(1, 3, 1)
    found = SeveralLabels(1).measure_model(outputs, torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64), 1)
    assert found[0, 2, 0] == 0


@pytest.mark.parametrize(
    ("labels", "place"), [(np.zeros(4), "labels"), (np.array([[0, 1], [1, 2], [0, 0]]), "labels, row 1")]
)
def test_labels_that_do_not_fit_are_refused_with_their_row(labels, place):
    with pytest.raises(InputError) as caught:
        SeveralLabels(2).check_labels(labels, "labels")
    assert caught.value.place == place
