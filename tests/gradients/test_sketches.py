"""Maps of a model's gradients: the same from factors, rows and whole matrices, unbiased, with the stated variance."""

import numpy as np
import pytest
import torch

from kernelsm import gradient_features
from kernelsm.gradients.contributions import Full, Outer, Rows
from kernelsm.gradients.projections import Exact, Gaussian, Kronecker, Rademacher, Sparse

MAPS = {
    "exact": lambda dim, seed=0: Exact(),
    "gaussian": Gaussian,
    "rademacher": Rademacher,
    "sparse": Sparse,
    "sparse 4": lambda dim, seed=0: Sparse(dim, seed, nonzeros=min(4, dim)),
    "kronecker": Kronecker,
    "kronecker, blocks of 1": lambda dim, seed=0: Kronecker(dim, seed, block=1),
    "kronecker, blocks of 2": lambda dim, seed=0: Kronecker(dim, seed, block=2 if dim % 4 == 0 else 1),
    "kronecker, blocks of 4": lambda dim, seed=0: Kronecker(dim, seed, block=4 if dim % 16 == 0 else 1),
}
every_map = pytest.mark.parametrize("kind", MAPS.values(), ids=MAPS.keys())
every_random_map = pytest.mark.parametrize("kind", list(MAPS.values())[1:], ids=list(MAPS)[1:])


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mapped(projection, shape, contribution, Q, n, name="w", others=()):
    sketch = projection.bind({name: torch.Size(shape), **dict(others)})
    into = torch.zeros((Q, n, sketch.dim), dtype=torch.float64)
    sketch.add(into, name, contribution)
    return into


@every_map
@pytest.mark.parametrize(
    ("shape", "T", "dim"),
    [
        ((5, 7), 1, 16),  # summed elementwise
        ((5, 7), 11, 48),  # summed as matrix products
        ((3, 2), 60, 16),  # cheaper written down
        ((2, 3), 60, 16),  # and the other side shorter
        ((1, 1), 1, 7),
        ((4, 6), 3, 1),
        ((6, 4), 9, 30),
        ((3, 4500), 2, 8),  # a row wider than a block
        ((4500, 3), 2, 12),  # several blocks of rows
    ],
)
def test_factors_and_rows_give_what_the_whole_matrix_gives(kind, shape, T, dim):
    a, b = shape
    Q, n = 2, 3
    projection = kind(dim, seed=4)
    index = torch.randint(0, a, (n, T), generator=torch.Generator().manual_seed(1))
    for contribution in (
        Outer(drawn(Q, n, T, a), drawn(1, n, T, b, seed=1)),
        Outer(drawn(1, n, T, a), drawn(Q, n, T, b, seed=1)),
        Rows(index, drawn(Q, n, T, b), a),
        Rows(index[:1], drawn(Q, n, T, b), a),  # one index for all samples, as positions are
    ):
        found = mapped(projection, shape, contribution, Q, n)
        expected = mapped(projection, shape, Full(contribution.gradient().expand(Q, n, a, b)), Q, n)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * float(1 + expected.abs().max()))


def test_a_contribution_written_down_is_the_sum_of_its_products():
    left, right = drawn(2, 3, 4, 5), drawn(1, 3, 4, 6, seed=1)
    expected = torch.einsum("qnta,ntb->qnab", left, right[0])
    torch.testing.assert_close(Outer(left, right).gradient(), expected)
    index = torch.tensor([[0, 2, 2, 1], [4, 4, 4, 4], [3, 0, 3, 0]])
    rows = Rows(index, drawn(2, 3, 4, 6), 5)
    expected = torch.einsum("nta,qntb->qnab", torch.nn.functional.one_hot(index, 5).double(), rows.right)
    torch.testing.assert_close(rows.gradient(), expected)
    torch.testing.assert_close(rows.of_rows(2, 4), expected[:, :, 2:4])


@every_random_map
def test_inner_products_of_matrices_are_unbiased(kind):
    dim, seeds = 16, 800
    left, right = drawn(1, 2, 3, 5), drawn(1, 2, 3, 4, seed=1)
    contribution = Outer(left, right)
    x, y = contribution.gradient()[0].flatten(1)
    both = [mapped(kind(dim, seed), (5, 4), contribution, 1, 2)[0] for seed in range(seeds)]
    products = np.array([float(one @ two) for one, two in both])
    norms = np.array([float(one @ one) for one, _ in both])
    assert abs(products.mean() - float(x @ y)) < 4 * products.std() / seeds**0.5
    assert abs(norms.mean() - float(x @ x)) < 4 * norms.std() / seeds**0.5
    assert products.std() < 3 * float(x.norm() * y.norm()) / dim**0.5


@pytest.mark.parametrize("block", [1, 2, 4])
def test_kronecker_varies_as_stated_for_a_gradient_of_rank_one(block):
    dim, seeds = 64, 3000
    outer = Outer(drawn(1, 1, 1, 6), drawn(1, 1, 1, 5, seed=1))
    size = float(outer.gradient().norm()) ** 2
    squares = [float(mapped(Kronecker(dim, s, block), (6, 5), outer, 1, 1).norm()) ** 2 for s in range(seeds)]
    assert np.mean(squares) == pytest.approx(size, rel=0.05)
    stated = ((1 + 2 / block) ** 2 - 1) * block**2 / dim
    assert np.var(squares) / size**2 == pytest.approx(stated, rel=0.25)


def test_kroneckers_coordinates_are_two_sided_products():
    """Each coordinate is u' G v: linear in either factor, and zero for what is orthogonal to u or v."""
    dim, block = 32, 4
    sketch = Kronecker(dim, 3, block).bind({"w": torch.Size((6, 5))})
    left, right = (side.unflatten(1, (block, dim // block**2)).double() for side in sketch.sides["w"])
    gradient = drawn(1, 1, 6, 5)
    expected = torch.einsum("aig,ab,bjg->ijg", left, gradient[0, 0], right).flatten()
    torch.testing.assert_close(
        mapped(Kronecker(dim, 3, block), (6, 5), Full(gradient), 1, 1)[0, 0], expected, rtol=1e-6, atol=1e-6
    )


@every_random_map
@pytest.mark.parametrize("shape", [(6,), (5, 4), (4, 3, 2, 2)])
def test_a_parameters_map_does_not_depend_on_where_it_stands(kind, shape):
    value = Full(drawn(2, 3, *shape))
    alone = mapped(kind(16), shape, value, 2, 3)
    others = {"before": torch.Size((3, 3)), "after": torch.Size((9,))}
    torch.testing.assert_close(alone, mapped(kind(16), shape, value, 2, 3, others=others), rtol=1e-6, atol=1e-6)
    # another name or another seed is another map: equal layers must not add up
    assert not torch.allclose(alone, mapped(kind(16), shape, value, 2, 3, name="v"))
    assert not torch.allclose(alone, mapped(kind(16, seed=1), shape, value, 2, 3))


@every_random_map
def test_different_parameters_of_equal_shape_are_uncorrelated(kind):
    dim, seeds = 16, 600
    value = Full(drawn(1, 1, 4, 3))
    size = float(value.value.norm()) ** 2
    products = [
        float((mapped(kind(dim, s), (4, 3), value, 1, 1, "a") * mapped(kind(dim, s), (4, 3), value, 1, 1, "b")).sum())
        for s in range(seeds)
    ]
    assert abs(np.mean(products)) < 4 * np.std(products) / seeds**0.5
    assert np.std(products) < 3 * size / dim**0.5


@every_map
def test_contributions_add_up_and_chunks_change_nothing(kind):
    one, two = Outer(drawn(2, 4, 3, 5), drawn(1, 4, 3, 6, seed=1)), Full(drawn(2, 4, 5, 6, seed=2))
    sketch = kind(16).bind({"w": torch.Size((5, 6))})
    into = torch.zeros((2, 4, sketch.dim), dtype=torch.float64)
    sketch.add(into, "w", one)
    sketch.add(into, "w", two)
    together = mapped(kind(16), (5, 6), Full(one.gradient() + two.value), 2, 4)
    torch.testing.assert_close(into, together, rtol=1e-6, atol=1e-6)
    for i in range(4):
        part = Outer(one.left[:, i : i + 1], one.right[:, i : i + 1])
        alone = mapped(kind(16), (5, 6), part, 2, 1)
        expected = mapped(kind(16), (5, 6), one, 2, 4)[:, i : i + 1]
        torch.testing.assert_close(alone, expected, rtol=1e-6, atol=1e-6)


def test_exact_slots_lie_one_after_the_other():
    shapes = {"a": torch.Size((2, 3)), "b": torch.Size((4,)), "c": torch.Size((1, 2, 2))}
    sketch = Exact().bind(shapes)
    into = torch.zeros((1, 1, sketch.dim), dtype=torch.float64)
    values = {name: drawn(1, 1, *shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    for name in ("c", "a", "b"):
        sketch.add(into, name, Full(values[name]))
    assert torch.equal(into[0, 0], torch.cat([value.flatten() for value in values.values()]))


@every_map
def test_a_single_number_has_a_map_too(kind):
    value = drawn(2, 3)
    found = mapped(kind(16), (), Full(value), 2, 3)
    assert float(found.norm()) > 0.0


@every_random_map
def test_a_models_features_are_the_sum_over_its_parameters(kind):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    inputs, labels = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32), np.arange(6) % 3
    projection = kind(16)
    found = gradient_features(model, inputs, labels, projection, batch_size=4).features
    exact = torch.from_numpy(gradient_features(model, inputs, labels, "exact").features).transpose(0, 1)
    expected, start = torch.zeros((3, 6, 16), dtype=torch.float64), 0
    for name, p in model.named_parameters():
        gradient = exact[..., start : start + p.numel()].unflatten(-1, p.shape).double()
        expected += mapped(projection, p.shape, Full(gradient), 3, 6, name)
        start += p.numel()
    np.testing.assert_allclose(found, expected.transpose(0, 1), rtol=1e-4, atol=1e-4)
