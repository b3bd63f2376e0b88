"""Ridge regression of all subsets in closed form, against one full solve for each."""

import numpy as np
import pytest
import torch

from kernelsm.estimators import gradex_ridge
from kernelsm.estimators.gradex_ridge import RidgeProblem, fits
from kernelsm.estimators.gradex_solver import LinearisedProblem
from kernelsm.objectives.regression import SquaredLoss

SHARES = torch.tensor([[0.25, 0.25, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.9, 0.1]])


def made(n, width, k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, width, generator=generator), torch.randn(n, width, k, generator=generator),
        torch.randn(n, width, generator=generator), torch.arange(n) % 3,
    )  # fmt: skip


def one_by_one(offsets, features, targets, task_of, ridge):
    sizes = np.bincount(task_of)
    n, width, k = features.shape
    G = features.double().numpy().reshape(n * width, k)
    r = (targets - offsets).double().numpy().reshape(-1)
    found = []
    for shares in SHARES.double().numpy():
        w = np.repeat((shares / sizes)[task_of], width)
        found.append(np.linalg.solve(2 * G.T @ (w[:, None] * G) + ridge * np.eye(k), 2 * G.T @ (w * r)))
    return np.array(found)


@pytest.mark.parametrize("ridge", [1e-4, 0.03, 10.0])
@pytest.mark.parametrize("shape", [(60, 1, 8), (21, 2, 200), (30, 3, 90)], ids=["tall", "wide", "square"])
def test_every_subset_equals_a_full_precision_solve(shape, ridge):
    offsets, features, targets, task_of = made(*shape)
    problem = RidgeProblem(2.0, offsets, features, targets, task_of, ridge)
    solution = problem.solve(SHARES)
    expected = one_by_one(offsets, features, targets, task_of.numpy(), ridge)
    np.testing.assert_allclose(solution.z.numpy(), expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert not solution.z[2].any()
    assert float(solution.gradient_norm.max()) < 1e-8
    assert (problem.basis is None) == (shape[0] * shape[1] >= shape[2])


def test_repeated_rows_and_features_of_zero_leave_a_smaller_space():
    offsets, features, targets, task_of = made(12, 1, 40)
    features[6:] = features[:6]
    problem = RidgeProblem(2.0, offsets, features, targets, task_of, 0.03)
    assert problem.basis.shape == (40, 6)
    np.testing.assert_allclose(
        problem.solve(SHARES).z.numpy(), one_by_one(offsets, features, targets, task_of.numpy(), 0.03), atol=1e-5
    )
    nothing = RidgeProblem(2.0, offsets, torch.zeros(12, 1, 40), targets, task_of, 0.03).solve(SHARES)
    assert not nothing.z.any()


def test_it_is_what_the_solver_of_any_loss_finds():
    offsets, features, targets, task_of = made(60, 1, 8)
    general = LinearisedProblem(SquaredLoss(), offsets, features, targets, task_of, 0.03)
    closed = RidgeProblem(2.0, offsets, features, targets, task_of, 0.03)
    torch.testing.assert_close(closed.solve(SHARES).z, general.solve(SHARES, tolerance=1e-6).z, rtol=0, atol=3e-5)


def test_masks_in_several_parts_are_those_of_one(monkeypatch):
    offsets, features, targets, task_of = made(60, 1, 8)
    problem = RidgeProblem(2.0, offsets, features, targets, task_of, 0.03)
    whole = problem.solve(SHARES).z
    monkeypatch.setattr(gradex_ridge, "_TOGETHER", 8 * 64)
    torch.testing.assert_close(problem.solve(SHARES).z, whole, rtol=0, atol=1e-7)


def test_large_problems_are_left_to_the_solver_that_factorises_nothing():
    assert fits((500, 1, 4096), tasks=20)
    assert not fits((5000, 1, 4096), tasks=20)
    assert not fits((5000, 1, 1500), tasks=200)
