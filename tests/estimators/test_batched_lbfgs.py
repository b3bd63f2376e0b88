"""Minimising many functions at once."""

import numpy as np
import torch
from scipy.optimize import rosen, rosen_der

from kernelsm.estimators.batched_lbfgs import minimise


def test_each_problem_of_a_batch_reaches_its_own_minimum():
    scales = np.array([1.0, 50.0, 1e-2, 7.0])

    def objective(x, which):
        points = x.numpy()
        values = [scales[i] * rosen(p) for i, p in zip(which, points, strict=True)]
        gradients = [scales[i] * rosen_der(p) for i, p in zip(which, points, strict=True)]
        return torch.tensor(values), torch.tensor(np.array(gradients))

    start = torch.tensor([[-1.2, 1.0, 1.0], [1.0, 1.0, 1.0], [2.0, -1.0, 0.5], [0.0, 0.0, 0.0]])
    found = minimise(objective, start.double(), tolerance=1e-9, smallest_change=0.0)
    np.testing.assert_allclose(found, np.ones((4, 3)), atol=1e-5)


def test_a_kink_ends_the_search_near_the_minimum():
    def objective(x, which):
        moving = x.requires_grad_()
        value = moving.abs().sum(dim=1) + 0.1 * (moving - 1).square().sum(dim=1)
        (gradient,) = torch.autograd.grad(value.sum(), moving)
        return value.detach(), gradient

    found = minimise(objective, torch.full((2, 3), 2.0, dtype=torch.float64))
    assert float(found.abs().max()) < 1e-2
