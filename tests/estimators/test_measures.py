"""Loss, accuracy and margin of each target, and minimising many functions at once."""

import numpy as np
import pytest
import torch
from scipy.optimize import rosen, rosen_der
from scipy.special import softmax

from kernelsm import InputError
from kernelsm.estimators.batched_lbfgs import minimise
from kernelsm.estimators.measures import check_measure, measured


def test_measures_are_those_of_the_definitions(blobs):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(21, 3, 4))
    relative = torch.tensor((logits - logits[:, -1:])[:, :-1].transpose(1, 0, 2))
    found = measured(relative, torch.tensor(blobs.test_labels), blobs)
    assert found.shape == (4, 3, 3)
    p = softmax(logits, axis=1)
    true = p[np.arange(21), blobs.test_labels]
    right = p.argmax(axis=1) == blobs.test_labels[:, None]
    for place, values in enumerate((-np.log(true), right, np.log(true / (1 - true)))):
        expected = [values[blobs.target_of == j].mean(axis=0) for j in range(3)]
        np.testing.assert_allclose(found[:, place], np.transpose(expected), rtol=1e-9)


def test_with_the_margin_alone_right_means_more_likely_than_not(blobs):
    margins = np.random.default_rng(1).normal(size=(21, 4))
    found = measured(torch.tensor(margins)[None], torch.zeros(21, dtype=torch.int64), blobs)
    for j in range(3):
        mine = margins[blobs.target_of == j]
        np.testing.assert_allclose(found[:, 0, j], np.logaddexp(0, -mine).mean(axis=0))
        np.testing.assert_allclose(found[:, 1, j], (mine > 0).mean(axis=0))
        np.testing.assert_allclose(found[:, 2, j], mine.mean(axis=0))


def test_a_sure_model_has_finite_measures(blobs):
    logits = torch.full((2, 21, 1), 1e4)
    assert np.isfinite(measured(logits, torch.tensor(blobs.test_labels), blobs)).all()


def test_an_unknown_measure_is_refused():
    with pytest.raises(InputError, match="measure"):
        check_measure("f1")


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
