"""The batched solver against scipy's L-BFGS-B, one mask at a time, in double precision."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from kernelsm.estimators import gradex_curvature
from kernelsm.estimators.gradex_solver import LinearisedProblem
from kernelsm.objectives.classification import EveryLogit, SoftmaxLoss
from kernelsm.objectives.objective import Expansion, OutputLoss

N, C, DIM, TASKS = 40, 3, 9, 5


class Reference:
    """sum_i w_i CE(f_i + G_i z, y_i) + ridge/2 |z|^2 in numpy, written from the definition."""

    def __init__(self, ridge, seed=0, scale=1.0):
        rng = np.random.default_rng(seed)
        self.ridge = ridge
        self.offsets = rng.normal(size=(N, C))
        self.features = rng.normal(size=(N, C, DIM)) * scale + rng.normal(size=(N, 1, DIM))
        self.labels = rng.integers(0, C, N)
        self.task_of = np.arange(N) % TASKS

    def weights(self, masks):
        per_task = masks / np.maximum(masks.sum(axis=1, keepdims=True), 1) / (N / TASKS)
        return per_task[:, self.task_of]

    def objective(self, z, w):
        logits = self.offsets + self.features @ z
        loss = -log_softmax(logits, axis=1)[np.arange(N), self.labels]
        return w @ loss + self.ridge / 2 * z @ z

    def gradient(self, z, w):
        residual = softmax(self.offsets + self.features @ z, axis=1) - np.eye(C)[self.labels]
        return np.einsum("n,nc,nck->k", w, residual, self.features) + self.ridge * z

    def minimise(self, w):
        options = {"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-11}
        return minimize(self.objective, np.zeros(DIM), (w,), "L-BFGS-B", self.gradient, options=options).x

    def problem(self, dtype=torch.float64, loss=None):
        every, labels = EveryLogit(), torch.tensor(self.labels)
        return LinearisedProblem(
            loss or every.loss, every.offsets(torch.tensor(self.offsets, dtype=dtype), labels),
            every.features(torch.tensor(self.features, dtype=dtype)), every.targets(labels, C - 1),
            torch.tensor(self.task_of), self.ridge,
        )  # fmt: skip


def shares(masks):
    return torch.tensor(masks / np.maximum(masks.sum(axis=1, keepdims=True), 1))


MASKS = np.array(
    [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1, 0, 1], [0, 1, 1, 1, 0]], dtype=bool
)
EMPTY = 1


@pytest.mark.parametrize(("ridge", "scale"), [(1.0, 1.0), (0.03, 1.0), (1e-3, 1.0), (0.03, 10.0)])
def test_it_finds_what_scipy_finds(ridge, scale):
    reference = Reference(ridge, scale=scale)
    weights = reference.weights(MASKS)
    solution = reference.problem().solve(shares(MASKS), tolerance=1e-9)
    for z, w in zip(solution.z.numpy(), weights, strict=True):
        best = reference.minimise(w)
        assert reference.objective(z, w) == pytest.approx(reference.objective(best, w), abs=1e-6)
        np.testing.assert_allclose(z, best, atol=1e-5 * max(1.0, np.abs(best).max()))


def test_the_empty_subset_stays_at_w0():
    reference = Reference(0.03)
    solution = reference.problem().solve(shares(MASKS))
    assert not solution.z[EMPTY].any()
    assert solution.z.abs().sum(dim=1).count_nonzero() == len(MASKS) - 1


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_every_gradient_is_as_small_as_it_is_said_to_be(tolerance):
    reference = Reference(0.01)
    weights = reference.weights(MASKS)
    solution = reference.problem().solve(shares(MASKS), tolerance=tolerance)
    for z, w, told in zip(solution.z.numpy(), weights, solution.gradient_norm.numpy(), strict=True):
        real = np.linalg.norm(reference.gradient(z, w))
        assert real <= tolerance * (1 + 1e-6) + 1e-12  # rounded otherwise here
        assert real == pytest.approx(told, abs=1e-6 * tolerance + 1e-12)


def test_single_precision_reaches_the_default_tolerance():
    reference = Reference(0.03)
    weights = reference.weights(MASKS)
    solution = reference.problem(torch.float32).solve(shares(MASKS), tolerance=1e-5)
    gradients = [
        np.linalg.norm(reference.gradient(z, w)) for z, w in zip(solution.z.double().numpy(), weights, strict=True)
    ]
    # the norm in single precision and the real one differ by its rounding
    assert max(gradients) < 2e-5


def test_masks_are_solved_independently_of_their_company():
    problem = Reference(0.03).problem()
    given = shares(MASKS)
    together = problem.solve(given, tolerance=1e-10).z
    alone = torch.cat([problem.solve(row[None], tolerance=1e-10).z for row in given])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-7)
    backwards = problem.solve(given.flip(0), tolerance=1e-10).z.flip(0)
    torch.testing.assert_close(together, backwards, rtol=0, atol=1e-7)


def test_parts_on_several_threads_change_nothing():
    problem = Reference(0.03).problem()
    given = shares(np.random.default_rng(0).random((40, TASKS)) < 0.5)
    alone = problem.solve(given, tolerance=1e-10).z
    torch.set_num_threads(2)
    together = problem.solve(given, tolerance=1e-10).z
    assert torch.get_num_threads() == 2
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-7)


@pytest.fixture
def few_leading(monkeypatch):
    """Split even the small problem: 4 leading directions, 2 of them dense, and a tail."""
    monkeypatch.setattr(gradex_curvature, "_ALL_LEADING_UP_TO", 5)
    monkeypatch.setattr(gradex_curvature, "LEADING", 4)
    monkeypatch.setattr(gradex_curvature, "_DENSE", 2)


@pytest.mark.usefixtures("few_leading")
@pytest.mark.parametrize("ridge", [10.0, 3.0])
def test_leading_directions_and_tail_together_find_the_minimum_of_all(ridge):
    reference = Reference(ridge)
    problem = reference.problem()
    assert problem.has_tail
    solution = problem.solve(shares(MASKS), tolerance=1e-9)
    assert solution.passes > 1
    for z, w in zip(solution.z.numpy(), reference.weights(MASKS), strict=True):
        np.testing.assert_allclose(z, reference.minimise(w), atol=1e-7)


@pytest.mark.usefixtures("few_leading")
@pytest.mark.parametrize(("ridge", "wrong"), [(0.1, 0.0), (0.03, 6.0), (0.01, 12.0)])
def test_a_tail_that_curves_more_than_the_ridge_is_solved_too(ridge, wrong):
    reference = Reference(ridge)
    # one task is confidently wrong: it hardly curves the loss before it is corrected
    reference.offsets[reference.task_of == 4, (reference.labels[reference.task_of == 4] + 1) % C] += wrong
    problem = reference.problem()
    assert problem.has_tail
    weights = reference.weights(MASKS)
    solution = problem.solve(shares(MASKS), tolerance=1e-8)
    assert float(solution.gradient_norm.max()) <= 1e-8
    assert solution.passes < 50
    for z, w in zip(solution.z.numpy(), weights, strict=True):
        np.testing.assert_allclose(z, reference.minimise(w), atol=1e-4)


@pytest.mark.usefixtures("few_leading")
def test_too_few_passes_are_told_by_the_gradient_norm():
    reference = Reference(3.0)
    weights = reference.weights(MASKS)
    solution = reference.problem().solve(shares(MASKS), tolerance=1e-12, max_passes=1)
    assert solution.passes == 1
    real = [np.linalg.norm(reference.gradient(z, w)) for z, w in zip(solution.z.numpy(), weights, strict=True)]
    np.testing.assert_allclose(solution.gradient_norm.numpy(), real, atol=1e-9)
    assert max(real) > 1e-6


def test_one_row_per_sample_is_logistic_regression():
    reference = Reference(0.05)
    rows = torch.tensor(reference.features[:, :1])
    margins = torch.tensor(reference.offsets[:, 0])
    problem = LinearisedProblem(
        SoftmaxLoss(), margins[:, None], rows, torch.ones((N, 1)), torch.tensor(reference.task_of), 0.05
    )
    found = problem.solve(shares(MASKS), tolerance=1e-9).z.numpy()
    for z, w in zip(found, reference.weights(MASKS), strict=True):

        def objective(z, w=w):
            return w @ np.logaddexp(0, -(margins.numpy() + rows[:, 0].numpy() @ z)) + 0.025 * z @ z

        best = minimize(objective, np.zeros(DIM), method="BFGS", options={"gtol": 1e-9})
        assert objective(z) <= best.fun + 1e-10


def test_a_number_added_to_all_logits_of_a_sample_changes_nothing():
    reference = Reference(0.03)
    before = reference.problem().solve(shares(MASKS), tolerance=1e-10).z
    reference.offsets += np.arange(N)[:, None]
    reference.features += np.random.default_rng(1).normal(size=(N, 1, DIM))
    after = reference.problem().solve(shares(MASKS), tolerance=1e-10).z
    torch.testing.assert_close(before, after, rtol=0, atol=1e-6)


@dataclass(frozen=True)
class AnyCross(SoftmaxLoss):
    """The same loss; the solver is not told that the curvature's two parts are one tensor of probabilities."""

    restricted: object = None

    def expand(self, outputs, *targets):
        found = self.restricted.expand(outputs) if self.restricted else super().expand(outputs, *targets)
        return Expansion(found.slope, found.diagonal, found.cross.clone())

    def restrict(self, outputs, targets, rows):
        return AnyCross(super().restrict(outputs, targets, rows))

    def of_models(self, models):
        return AnyCross(self.restricted.of_models(models))


@pytest.mark.parametrize("split", [False, True])
def test_curvature_of_any_diagonal_and_cross_is_as_good(split, request):
    if split:
        request.getfixturevalue("few_leading")
    problems = [Reference(3.0).problem(loss=loss) for loss in (SoftmaxLoss(), AnyCross())]
    softmax_loss, any_cross = (problem.solve(shares(MASKS), tolerance=1e-10).z for problem in problems)
    torch.testing.assert_close(any_cross, softmax_loss, rtol=0, atol=1e-9)


def test_a_loss_of_coupled_outputs_must_say_what_some_of_them_lose():
    class Forgetful(SoftmaxLoss):
        restrict = OutputLoss.restrict

    with pytest.raises(TypeError, match=r"Forgetful: override its restrict\(\)"):
        Reference(1.0).problem(loss=Forgetful())
