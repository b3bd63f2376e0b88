"""Projections of gradients: exact ones change nothing, Gaussian ones keep geometry on average."""

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.gradients.features import choose_projection
from kernelsm.gradients.projections import Exact, Gaussian


def vectors(count, d, seed=0):
    return torch.randn((count, d), generator=torch.Generator().manual_seed(seed))


def test_the_exact_projection_is_the_identity():
    x = vectors(3, 10)
    assert torch.equal(Exact().apply(x), x)


def test_inner_products_are_unbiased_with_the_variance_of_johnson_and_lindenstrauss():
    x, y = vectors(2, 300)
    dim, seeds = 64, 400
    products = [float(torch.dot(*Gaussian(dim, seed).apply(torch.stack([x, y])))) for seed in range(seeds)]
    # Var <Px, Py> = (|x|^2 |y|^2 + <x, y>^2) / dim for independent N(0, 1/dim) entries
    exact = float(torch.dot(x, y))
    deviation = float(((x @ x) * (y @ y) + torch.dot(x, y) ** 2) / dim) ** 0.5
    assert abs(np.mean(products) - exact) < 4 * deviation / seeds**0.5
    assert np.std(products) == pytest.approx(deviation, rel=0.15)


def test_norms_are_kept_to_the_johnson_lindenstrauss_error():
    x = vectors(200, 1000)
    ratio = (Gaussian(256).apply(x).norm(dim=1) / x.norm(dim=1)) ** 2
    # each ratio is chi-squared(256) / 256: standard deviation sqrt(2 / 256) = 0.088
    assert float((ratio - 1).abs().max()) < 5 * 0.0884
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.02)


def test_distances_between_many_vectors_are_kept():
    x = vectors(40, 5000)
    before, after = torch.pdist(x), torch.pdist(Gaussian(512).apply(x))
    assert float((after / before - 1).abs().max()) < 0.2


def test_equal_seeds_are_the_equal_map_whatever_the_batch():
    # more coordinates than one block of rows, and a shape with classes
    x = vectors(12, 9000).reshape(4, 3, 9000)
    whole = Gaussian(16, seed=5).apply(x)
    assert whole.shape == (4, 3, 16)
    parts = torch.cat([Gaussian(16, seed=5).apply(batch) for batch in x.split(1)])
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
    other = Gaussian(16, seed=6).apply(x)
    assert not torch.allclose(whole, other, atol=0.1)


def test_the_map_is_linear_and_leaves_the_global_generator_alone():
    x, y = vectors(2, 200).double()
    state = torch.get_rng_state()
    project = Gaussian(32).apply
    torch.testing.assert_close(project(2 * x - 3 * y), 2 * project(x) - 3 * project(y), rtol=1e-10, atol=1e-10)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("auto", 4096, Exact()),
        ("auto", 4097, Gaussian(64)),
        ("exact", 10**6, Exact()),
        ("gaussian", 10, Gaussian(64)),
        (Gaussian(3, seed=9), 10, Gaussian(3, seed=9)),
    ],
)
def test_a_name_chooses_the_projection(name, parameters, expected):
    assert choose_projection(name, parameters, dim=64) == expected


def test_an_unknown_projection_is_refused():
    with pytest.raises(InputError, match="'auto', 'exact' or 'gaussian'"):
        choose_projection("sparse", 10, 64)
