"""What is read off the default surrogate: effects, pairs, changes and their spread, on the outcomes' own scale."""

import pickle
import warnings
from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
from related_targets import draw, mixed_targets

from kernelsm import AutoSurrogate, KernelSurrogate, LinearSurrogate, SharedSurrogate, default_surrogate
from kernelsm.surrogates.subset_distributions import Bernoulli, Shapley


@pytest.fixture(scope="module", params=[("components", False), ("targets", False), ("targets", True)], ids=str)
def shared(request):
    sharing, composite = request.param
    masks, F = mixed_targets()
    return SharedSurrogate(sharing=sharing, composite=composite).fit(masks, F)


@pytest.fixture(scope="module", params=["components", "targets"])
def simple(request):
    """Parts that are kernels of the bank, whose posterior is written out below."""
    masks, F = mixed_targets()
    return SharedSurrogate(sharing=request.param, composite=False).fit(masks, F)


def test_the_parts_are_of_both_kinds(simple):
    # without this the tests below would say nothing about sums over unlike parts
    assert {type(part.surrogate) for part in simple.parts_} == {LinearSurrogate, KernelSurrogate}
    assert simple.components_ == sum(len(part.loadings) for part in simple.parts_)
    assert len(simple.parts_) > 1


def test_the_spread_of_a_sum_of_kernels_is_that_of_its_dense_posterior():
    masks, F = mixed_targets()
    g = SharedSurrogate(sharing="targets").fit(masks, F)
    X, at = masks.astype(float), draw(7, 6, seed=5).astype(float)
    expected = np.zeros((7, 4))
    for part, column in zip(g.parts_, range(4), strict=True):
        kernel = part.surrogate._function.gram
        unit = part.loadings[0, column]
        values = (F[:, column] - F[:, column].mean()) / unit
        inverse = np.linalg.inv(kernel(X, X) + np.eye(len(X)))
        ones = inverse.sum(axis=1)
        scale = values @ (inverse - np.outer(ones, ones) / ones.sum()) @ values / (len(X) - 1)
        cross = kernel(at, X)
        variance = np.diag(kernel(at, at) - cross @ inverse @ cross.T) + (1 - cross @ ones) ** 2 / ones.sum()
        expected[:, column] = variance * scale * unit**2
    np.testing.assert_allclose(g.predict(at, return_std=True)[1], np.sqrt(expected), rtol=1e-4)


@pytest.mark.parametrize("anchor", [(1, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 0), (1, 0, 1, 1, 0, 0)])
def test_readouts_are_finite_differences_of_the_predictions(shared, anchor):
    def at(**changed):
        mask = np.array(anchor, dtype=float)
        for k, value in changed.items():
            mask[int(k[1:])] = value
        return shared.predict(mask[None])[0]

    effects = shared.attribution(at=anchor).values
    pairs = shared.interactions(at=anchor).values
    for k in range(6):
        np.testing.assert_allclose(effects[k], at(**{f"s{k}": 1}) - at(**{f"s{k}": 0}), atol=1e-7)
    for j, k in combinations(range(6), 2):
        corners = {(a, b): at(**{f"s{j}": a, f"s{k}": b}) for a in (0, 1) for b in (0, 1)}
        expected = corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0]
        np.testing.assert_allclose(pairs[j, k], expected, atol=1e-7)
        np.testing.assert_allclose(pairs[j, k], pairs[k, j], rtol=1e-7, atol=1e-7)


def test_shapley_values_are_means_over_orders_and_add_up(shared):
    values = shared.attribution("shapley").values
    ends = shared.predict(np.array([[1.0] * 6, [0.0] * 6]))
    np.testing.assert_allclose(values.sum(axis=0), ends[0] - ends[1], atol=1e-7)
    every = (np.arange(64)[:, None] >> np.arange(6) & 1).astype(float)
    g = shared.predict(every)
    mean = np.zeros_like(values)
    for order in permutations(range(6)):
        place = 0
        for k in order:
            mean[k] += g[place | 1 << k] - g[place]
            place |= 1 << k
    np.testing.assert_allclose(values, mean / 720, atol=1e-7)


def test_means_of_a_pair_and_changes_are_those_of_the_predictions(shared):
    grid = np.array(list(product((0.0, 1.0), repeat=6)))
    g = shared.predict(grid)
    means = shared.pair_means(1, 4, "inclusion", size=3)
    for a, b in product((0, 1), repeat=2):
        rows = (grid[:, 1] == a) & (grid[:, 4] == b) & (grid.sum(axis=1) == 3)
        np.testing.assert_allclose(means[a, b], g[rows].mean(axis=0), rtol=1e-7)
    difference = means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0]
    np.testing.assert_allclose(difference, shared.interactions("inclusion", size=3).values[1, 4], atol=1e-7)
    change, std = shared.predict_change(grid, grid[5])
    np.testing.assert_allclose(change, g - g[5], atol=1e-7)
    np.testing.assert_allclose(std[5], 0, atol=1e-7)
    # one task added: the change is its effect there, and as sure
    effects = shared.attribution(at=grid[5])
    (row,) = np.flatnonzero((grid == grid[5] + np.eye(6)[0]).all(axis=1))
    np.testing.assert_allclose(change[row], effects.values[0], atol=1e-7)
    np.testing.assert_allclose(std[row], effects.std[0], rtol=1e-6)


def test_what_the_default_says_of_pairs_and_changes_is_of_the_outcomes_own_scale():
    masks, F = mixed_targets()
    g = AutoSurrogate().fit(masks, F)
    own = g.on_own_scale()
    assert np.array_equal(g.pair_means(0, 1), own.pair_means(0, 1))
    for found, expected in zip(g.predict_change(masks, masks[0]), own.predict_change(masks, masks[0]), strict=True):
        assert np.array_equal(found, expected)


def test_variances_are_sums_over_the_parts(simple):
    masks = draw(9, 6, seed=3).astype(float)
    first, second = np.triu_indices(6, 1)
    variance = {"predict": 0.0, "shapley": 0.0, "pairs": 0.0}
    for part in simple.parts_:
        own, share = part.surrogate, part.loadings**2
        variance["predict"] += own._predict_variance(masks) @ share
        variance["shapley"] += own._attribution(Shapley())[1] @ share
        variance["pairs"] += own._pair_variance(Bernoulli(0.5), first, second) @ share
    np.testing.assert_allclose(simple.predict(masks, return_std=True)[1] ** 2, variance["predict"], rtol=1e-7)
    np.testing.assert_allclose(simple.attribution("shapley").std ** 2, variance["shapley"], rtol=1e-7)
    found = simple.interactions("banzhaf").std[first, second]
    np.testing.assert_allclose(found**2, variance["pairs"], rtol=1e-7)


def training(shared, part):
    """Masks and what a part was fitted to, from the definition: targets over the root of their spread, turned."""
    masks, F = mixed_targets()
    root = np.sqrt(F.std(axis=0))
    scaled = (F - F.mean(axis=0)) / root
    axes = np.linalg.svd(scaled, full_matrices=False)[2] if shared.sharing_ == "components" else np.eye(4)
    every = axes * root
    # the sign of an axis is free
    chosen = [int(np.abs(np.abs(every) - np.abs(row)).sum(axis=1).argmin()) for row in part.loadings]
    signs = [1.0 if np.allclose(every[c], row) else -1.0 for c, row in zip(chosen, part.loadings, strict=True)]
    np.testing.assert_allclose(every[chosen] * np.array(signs)[:, None], part.loadings, atol=1e-9)
    return masks, (scaled @ axes.T)[:, chosen] * signs


def test_the_surrogate_of_one_target_is_that_column_of_all(shared):
    masks = draw(9, 6, seed=4)
    name = shared.target_names_[2]
    one = shared.of_target(name)
    assert one.target_names_ == (name,)
    mean, std = one.predict(masks, return_std=True)
    every = shared.predict(masks, return_std=True)
    np.testing.assert_allclose(mean[:, 0], every[0][:, 2], atol=1e-7)
    np.testing.assert_allclose(std[:, 0], every[1][:, 2], rtol=1e-7)
    for kind in ("leave_one_out", "shapley", "inclusion"):
        both = one.attribution(kind), shared.attribution(kind).target(name)
        np.testing.assert_allclose(both[0].values, both[1].values, atol=1e-7)
        np.testing.assert_allclose(both[0].std, both[1].std, rtol=1e-7)
    np.testing.assert_allclose(one.interactions().values[..., 0], shared.interactions().values[..., 2], atol=1e-7)
    np.testing.assert_allclose(one.noise_variance_, shared.noise_variance_[[2]], rtol=1e-7)
    np.testing.assert_allclose(one.left_out_[:, 0], shared.left_out_[:, 2])
    # the original is untouched
    assert shared.predict(masks).shape == (9, 4)
    with pytest.raises(KeyError, match="the targets are"):
        shared.of_target("nothing")


def dense_posterior(part, masks, at):
    """Posterior variance of each component of a part at new masks, by inverting the full covariance."""
    g, (X, columns) = part.surrogate, masks
    X, at = X.astype(float), at.astype(float)

    def kernel(a, b):
        return a @ b.T if isinstance(g, LinearSurrogate) else g._function.gram(a, b)

    inverse = np.linalg.inv(kernel(X, X) + g.ridge_ * np.eye(len(X)))
    ones = np.ones(len(X))
    off = inverse - np.outer(inverse @ ones, ones @ inverse) / (ones @ inverse @ ones)
    scale = np.einsum("iq,ij,jq->q", columns, off, columns) / (len(X) - 1)
    cross = kernel(at, X)
    left = 1 - cross @ inverse @ ones
    shape = np.einsum("ij->i", kernel(at, at) * np.eye(len(at))) - np.einsum("ai,ij,aj->a", cross, inverse, cross)
    return np.outer(shape + left**2 / (ones @ inverse @ ones), scale)


def test_the_spread_is_that_of_a_dense_posterior_over_the_parts(simple):
    masks = draw(7, 6, seed=5)
    expected = np.zeros((7, 4))
    for part in simple.parts_:
        expected += dense_posterior(part, training(simple, part), masks) @ part.loadings**2
    std = simple.predict(masks, return_std=True)[1]
    np.testing.assert_allclose(std, np.sqrt(expected), rtol=1e-4)  # an explicit inverse is less exact


def test_readouts_are_on_the_outcomes_own_scale():
    masks, F = mixed_targets()
    g = default_surrogate().fit(masks, F, target_names=list("abcd"), higher_is_better=True)
    own = g.on_own_scale()
    alone = SharedSurrogate().fit(masks, F)
    for kind in ("leave_one_out", "shapley", "inclusion"):
        results = [surrogate.attribution(kind) for surrogate in (g, own, alone)]
        for other in results[1:]:
            np.testing.assert_allclose(results[0].values, other.values, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(results[0].std, other.std, rtol=1e-7, atol=1e-9)
            assert results[0].degrees_of_freedom == other.degrees_of_freedom == 59
    pairs = [surrogate.interactions("shapley") for surrogate in (g, own, alone)]
    for other in pairs[1:]:
        np.testing.assert_allclose(pairs[0].values, other.values, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(pairs[0].std, other.std, rtol=1e-7, atol=1e-9)
    assert own.attribution().target_names == tuple("abcd")
    assert own.attribution().higher_is_better
    np.testing.assert_allclose(own.predict(masks), alone.predict(masks), rtol=1e-7, atol=1e-9)


def test_the_own_scale_stands_alone_after_a_fit_on_a_data_frame():
    masks, F = mixed_targets()
    table = pd.DataFrame(masks.astype(float), columns=list("abcdef"))
    own = default_surrogate().fit(table, F).on_own_scale()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # a data frame keeps its columns together, and is added up in another order
        np.testing.assert_allclose(own.predict(table), SharedSurrogate().fit(masks, F).predict(masks), rtol=1e-9)


def test_the_default_is_untuned_by_hand_and_survives_a_pickle():
    masks, F = mixed_targets()
    assert default_surrogate().get_params() == AutoSurrogate().get_params()
    g = default_surrogate().fit(masks, F)
    again = pickle.loads(pickle.dumps(g))
    for first, second in zip(again.predict(masks, return_std=True), g.predict(masks, return_std=True), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(again.attribution().std, g.attribution().std, rtol=1e-7, atol=1e-9)
