"""Projections of plain vectors: exact ones change nothing, random ones keep geometry on average."""

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.gradients.projections import (
    Exact,
    Gaussian,
    Kronecker,
    Rademacher,
    Sparse,
    choose_projection,
)

RANDOM = [Gaussian, Rademacher, Sparse, lambda dim, seed=0: Sparse(dim, seed, nonzeros=min(4, dim)), Kronecker]
NAMES = ["gaussian", "rademacher", "sparse", "sparse 4", "kronecker"]
every_random_map = pytest.mark.parametrize("kind", RANDOM, ids=NAMES)


def vectors(count, d, seed=0):
    return torch.randn((count, d), generator=torch.Generator().manual_seed(seed))


def test_the_exact_projection_is_the_identity():
    x = vectors(3, 10)
    assert torch.equal(Exact().apply(x), x)


def pairwise_overlap(x, y):
    return float((x**2 * y**2).sum())


@pytest.mark.parametrize(
    ("kind", "same_coordinates"),
    [(Gaussian, 0), (Rademacher, 2), (Sparse, 2)],
    ids=["gaussian", "rademacher", "sparse"],
)
def test_inner_products_are_unbiased_with_the_variance_of_johnson_and_lindenstrauss(kind, same_coordinates):
    # few and uneven coordinates, so that signs and Gaussian entries differ
    x, y = vectors(2, 12) * torch.linspace(0.1, 2.0, 12) ** 3
    dim, seeds = 16, 1500
    products = [float(torch.dot(*kind(dim, seed).apply(torch.stack([x, y])))) for seed in range(seeds)]
    exact = float(torch.dot(x, y))
    # signs leave each coordinate's product with itself as it is: x_i^2 y_i^2 does not vary
    wide = float((x @ x) * (y @ y) + torch.dot(x, y) ** 2)
    deviation = ((wide - same_coordinates * pairwise_overlap(x, y)) / dim) ** 0.5
    assert abs(np.mean(products) - exact) < 4 * deviation / seeds**0.5
    assert np.std(products) == pytest.approx(deviation, rel=0.12)


@every_random_map
def test_norms_are_kept_to_the_johnson_lindenstrauss_error(kind):
    x = vectors(200, 1000)
    ratio = (kind(256).apply(x).norm(dim=1) / x.norm(dim=1)) ** 2
    # each ratio is about chi-squared(256) / 256: standard deviation sqrt(2 / 256) = 0.088
    assert float((ratio - 1).abs().max()) < 5 * 0.0884
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.02)


@every_random_map
def test_orthogonal_vectors_stay_nearly_orthogonal(kind):
    x = torch.linalg.qr(vectors(600, 20))[0].T
    found = kind(512).apply(x) @ kind(512).apply(x).T
    assert float((found - torch.eye(20)).abs().max()) < 5.5 * (2 / 512) ** 0.5


@every_random_map
def test_distances_between_many_vectors_are_kept(kind):
    x = vectors(40, 5000)
    before, after = torch.pdist(x), torch.pdist(kind(512).apply(x))
    assert float((after / before - 1).abs().max()) < 0.2


@every_random_map
def test_equal_seeds_are_the_equal_map_whatever_the_batch(kind):
    # more coordinates than one block of rows, and a shape with classes
    x = vectors(12, 9000).reshape(4, 3, 9000)
    whole = kind(16, seed=5).apply(x)
    assert whole.shape == (4, 3, 16)
    parts = torch.cat([kind(16, seed=5).apply(batch) for batch in x.split(1)])
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
    turned = kind(16, seed=5).apply(x.flip(0)).flip(0)
    torch.testing.assert_close(whole, turned, rtol=1e-4, atol=1e-4)
    other = kind(16, seed=6).apply(x)
    assert not torch.allclose(whole, other, atol=0.1)


@every_random_map
@pytest.mark.parametrize("dim", [1, 7, 32])
def test_the_map_is_linear_and_leaves_the_global_generators_alone(kind, dim):
    x, y = vectors(2, 200).double()
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global one
    project = kind(dim).apply
    torch.testing.assert_close(project(2 * x - 3 * y), 2 * project(x) - 3 * project(y), rtol=1e-9, atol=1e-9)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


@pytest.mark.parametrize("nonzeros", [1, 4, 7])
def test_each_coordinate_goes_to_as_many_places_as_said(nonzeros):
    matrix = Sparse(30, seed=2, nonzeros=nonzeros).apply(torch.eye(100))
    assert ((matrix != 0).sum(dim=1) == nonzeros).all()
    torch.testing.assert_close(matrix.norm(dim=1), torch.ones(100))
    assert len(matrix[matrix != 0].abs().unique()) == 1


def test_rademacher_entries_are_signs():
    matrix = Rademacher(25, seed=2).apply(torch.eye(101))
    torch.testing.assert_close(matrix.abs(), torch.full((101, 25), 0.2))
    assert abs(float((matrix > 0).float().mean()) - 0.5) < 4 * 0.5 / (101 * 25) ** 0.5


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("auto", 4096, Exact()),
        ("auto", 4097, Kronecker(64)),
        ("exact", 10**6, Exact()),
        ("gaussian", 10, Gaussian(64)),
        ("rademacher", 10, Rademacher(64)),
        ("sparse", 10, Sparse(64)),
        ("kronecker", 10, Kronecker(64)),
        (Gaussian(3, seed=9), 10, Gaussian(3, seed=9)),
    ],
)
def test_a_name_chooses_the_projection(name, parameters, expected):
    assert choose_projection(name, parameters, dim=64) == expected


def test_an_unknown_projection_is_refused():
    with pytest.raises(InputError, match=r"projection: found 'fourier'; expected 'auto', 'exact', 'kronecker'"):
        choose_projection("fourier", 10, 64)


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: Gaussian(0), "dim"),
        (lambda: Rademacher(-3), "dim"),
        (lambda: Sparse(0), "dim"),
        (lambda: Kronecker(0), "dim"),
        (lambda: Sparse(8, nonzeros=0), "nonzeros"),
        (lambda: Sparse(8, nonzeros=9), "nonzeros"),
        (lambda: Kronecker(8, block=4), "block"),
        (lambda: Kronecker(8, block=-1), "block"),
        (lambda: choose_projection("sparse", 10, 0), "dim"),
    ],
)
def test_arguments_that_make_no_map_are_refused(make, place):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.place == place


@pytest.mark.parametrize(("dim", "block"), [(512, 2), (16, 2), (8, 2), (36, 2), (6, 1), (7, 1), (1, 1)])
def test_a_block_of_two_is_chosen_where_it_fits(dim, block):
    assert Kronecker(dim).block == block
    assert Kronecker(dim) == Kronecker(dim, block=block)


def test_equal_maps_have_equal_names_and_other_maps_say_so():
    assert Gaussian(8).name == "Gaussian, 8 dimensions"
    assert len({repr(p) for p in (Gaussian(8), Gaussian(8, 1), Rademacher(8), Sparse(8), Sparse(8, 0, 2))}) == 5


@every_random_map
def test_equal_fields_are_the_equal_map_whatever_kind_of_whole_number_they_are(kind):
    assert kind(8, seed=np.int64(3)) == kind(8, seed=3)
    x = vectors(1, 50)
    assert torch.equal(kind(8, seed=np.int64(3)).apply(x), kind(8, seed=3).apply(x))
