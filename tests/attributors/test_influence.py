"""Influence functions against a full solve, and all ways of solving against each other."""

import numpy as np
import pytest
import torch

from kernelsm import ConvergenceError, InputError
from kernelsm.attributors.attributor import effects_of
from kernelsm.attributors.influence import ConjugateGradientInfluence, ExactInfluence, NeumannInfluence
from kernelsm.attributors.solves import conjugate_gradients, largest_eigenvalue, neumann_series, solve_dense

MATRIX = torch.diag(torch.tensor([5.0, 2.0, 0.5], dtype=torch.double)) + 0.1
RIGHT = torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]], dtype=torch.double)


def by_numpy(losses, damping):
    w = losses.at
    G, Q = losses.task_gradients(w).numpy(), losses.target_gradients(w).numpy()
    H = losses.dense_curvature(w).numpy() + damping * np.eye(losses.d)
    return effects_of(-G @ np.linalg.solve(H, Q.T), losses.shares.numpy(), centred=True)


@pytest.mark.parametrize("which", ["network", "linear"])
@pytest.mark.parametrize("kind", [ExactInfluence, ConjugateGradientInfluence])
@pytest.mark.parametrize("damping", [None, 0.5])
def test_influence_is_the_full_solve(which, kind, damping, request):
    losses = request.getfixturevalue(which)
    settings = {} if kind is ExactInfluence else {"tolerance": 1e-8}
    found = kind(losses, damping=damping, **settings).attribute()
    expected = by_numpy(losses, losses.ridge if damping is None else damping)
    np.testing.assert_allclose(found.values, expected, atol=1e-6 * np.abs(expected).max())
    assert found.meta["damping"] == (damping or losses.ridge)


def test_many_terms_of_the_neumann_series_are_the_inverse(linear):
    expected = ExactInfluence(linear, damping=1.0).attribute().values
    found = NeumannInfluence(linear, damping=1.0, terms=400).attribute().values
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_series_that_grows_is_refused(linear):
    with pytest.raises(ConvergenceError, match="scale"):
        NeumannInfluence(linear, terms=200, scale=0.01).attribute()


def test_conjugate_gradients_that_do_not_end_are_refused(network):
    with pytest.raises(ConvergenceError, match="residual"):
        ConjugateGradientInfluence(network, damping=1e-3, tolerance=1e-10, most=2).attribute()


def test_solves_are_those_of_the_matrix():
    expected = torch.linalg.solve(MATRIX, RIGHT.T).T

    def product(rows):
        return rows @ MATRIX

    found = conjugate_gradients(product, RIGHT, tolerance=1e-12)
    torch.testing.assert_close(found.x, expected)
    assert found.products <= 5
    assert found.residual < 1e-10
    torch.testing.assert_close(solve_dense(MATRIX, RIGHT), expected)
    largest = float(torch.linalg.eigvalsh(MATRIX).max())
    assert largest_eigenvalue(product, RIGHT[0], steps=200) == pytest.approx(largest)
    series = neumann_series(product, RIGHT, scale=1.1 * largest, terms=600)
    torch.testing.assert_close(series.x, expected)


def test_a_singular_matrix_still_has_a_solution():
    singular = torch.zeros(2, 2, dtype=torch.double)
    singular[0, 0] = 2.0
    found = solve_dense(singular, torch.tensor([[4.0, 0.0]], dtype=torch.double))
    torch.testing.assert_close(found, torch.tensor([[2.0, 0.0]], dtype=torch.double))


def test_more_coordinates_than_fit_are_refused_with_the_way_on(network, monkeypatch):
    monkeypatch.setattr("kernelsm.attributors.influence.DENSE_UP_TO", 10)
    with pytest.raises(InputError, match="influence_cg"):
        ExactInfluence(network).attribute()


def test_costs_grow_with_what_is_asked(network):
    few, many = (ConjugateGradientInfluence(network, damping=damping).cost() for damping in (10.0, 1e-3))
    assert 0 < few.passes < many.passes
    assert few.memory > 0
