"""How sure differences of readouts are: against their definition over all subsets, and against fitting anew."""

from itertools import combinations, product

import numpy as np
import pytest
from brute_force import all_subsets, readouts_of, weights

from kernelsm import AutoSurrogate, KernelSurrogate, LinearSurrogate, SharedSurrogate
from kernelsm.surrogates.contrasts import (
    contrast_variance,
    left_out_effects,
    left_out_pairs,
    pair_contrast_variance,
)
from kernelsm.surrogates.kernel_functions import IDENTITY, LINEAR, RBF, Polynomial
from kernelsm.surrogates.relevance_kernel import RelevanceKernel, RelevanceRBF
from kernelsm.surrogates.subset_distributions import distribution_of
from kernelsm.surrogates.subset_kernel import SumKernel
from kernelsm.surrogates.term_kernel import SizeKernel, TermKernel

K = 5
GRID = all_subsets(K)
ANCHORS = [np.ones(K), np.array([1.0, 0.0, 1.0, 1.0, 0.0])]
KERNELS = [
    RBF(0.3), LINEAR, Polynomial(gamma=0.4, coef0=1.0, degree=3), IDENTITY, SizeKernel(2.0),
    RelevanceRBF((0.1, 0.5, 0.0, 2.0, 0.3)),
    RelevanceKernel(relevance=(0.1, 0.5, 0.0, 2.0, 0.3), widths=(0.5, 2.0), amplitudes=(0.7, 0.2)),
    TermKernel(((0, 1), (2,), (1, 3, 4)), (0.5, 1.0, 2.0), (0.5, 0.4, 0.5, 0.6, 0.5)),
    SumKernel(((0.5, RBF(0.2)), (2.0, SizeKernel(1.0)))),
]  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)
@pytest.mark.parametrize("order", [1, 2])
def test_prior_covariances_of_readouts_are_those_over_all_subsets(kernel, order):
    gram = kernel.gram(GRID, GRID)
    chosen = list(combinations(range(K), order))
    tasks = tuple(np.array(column) for column in zip(*chosen, strict=True))
    readouts = list(readouts_of(K, ANCHORS, (0.5, 0.3), order))
    for (kind, arguments), (other, others) in product(readouts, readouts):
        first, second = (
            distribution_of(name, order, K, **given)[0] for name, given in ((kind, arguments), (other, others))
        )
        expected = [
            weights(GRID, kind, list(own), **arguments) @ gram @ weights(GRID, other, list(own), **others)
            for own in chosen
        ]
        found = kernel.prior_between(first, second, K, *tasks)
        assert found == pytest.approx(np.array(expected), abs=1e-9), (kind, arguments, other, others)


def planted(m, noise, seed):
    rng = np.random.default_rng(seed)
    masks = (rng.random((m, 6)) < 0.5).astype(float)
    values = masks @ [1.0, -0.5, 0.2, 0.0, 0.3, 0.0] + 0.8 * masks[:, 0] * masks[:, 1] + noise * rng.normal(size=m)
    return masks, values


SURROGATES = [
    KernelSurrogate(gamma=0.3, ridge=0.2),
    KernelSurrogate(kernel="poly", gamma=0.2, coef0=1.0, ridge=0.5, fit_intercept=False),
    LinearSurrogate(ridge=0.3),
    LinearSurrogate(ridge=0.0),
    LinearSurrogate(ridge=0.2, fit_intercept=False),
]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@pytest.mark.parametrize(("kind", "arguments"), [("leave_one_out", {}), ("shapley", {}), ("inclusion", {"size": 3})])
def test_readouts_without_a_row_are_those_of_a_fit_without_it(surrogate, kind, arguments):
    masks, values = planted(40, 0.3, seed=4)
    surrogate.fit(masks, values)
    effects = surrogate.attribution(kind, **arguments).values
    distribution = distribution_of(kind, 1, 6, **arguments)[0]
    changes = left_out_effects(surrogate, masks, distribution)
    pairs = "second_difference" if kind == "leave_one_out" else kind
    of_pairs = distribution_of(pairs, 2, 6, **arguments)[0]
    j, k = np.array([0, 2]), np.array([1, 5])
    interactions = surrogate.interactions(pairs, **arguments).values[j, k]
    pair_changes = left_out_pairs(surrogate, masks, of_pairs, j, k)
    for row in (0, 17, 39):
        kept = np.arange(40) != row
        again = type(surrogate)(**surrogate.get_params()).fit(masks[kept], values[kept])
        assert effects + changes[row] == pytest.approx(again.attribution(kind, **arguments).values, abs=1e-9)
        without = again.interactions(pairs, **arguments).values[j, k]
        assert interactions + pair_changes[row] == pytest.approx(without, abs=1e-9)


def test_without_noise_a_repeated_subset_is_known_without_one_of_its_rows():
    masks, values = planted(20, 0.0, seed=5)
    masks, values = np.vstack([masks, masks[:3]]), np.concatenate([values, values[:3]])
    surrogate = KernelSurrogate(gamma=0.3, ridge=0.01).fit(masks, values, noise=0)
    changes = left_out_effects(surrogate, masks, distribution_of("shapley", 1, 6)[0])
    counts = np.array([(masks == row).all(axis=1).sum() for row in masks])
    assert not changes[counts > 1].any()
    assert np.abs(changes[counts == 1]).max(axis=(1, 2)).min() > 0
    row = int(np.flatnonzero(counts == 1)[0])
    kept = np.arange(len(masks)) != row
    again = KernelSurrogate(gamma=0.3, ridge=0.01).fit(masks[kept], values[kept], noise=0)
    expected = again.attribution("shapley").values - surrogate.attribution("shapley").values
    assert changes[row] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "surrogate",
    [KernelSurrogate(gamma=0.3, ridge=0.2), LinearSurrogate(ridge=0.3), SharedSurrogate(), AutoSurrogate()],
    ids=lambda surrogate: type(surrogate).__name__,
)
def test_a_difference_of_readouts_is_no_surer_or_less_sure_than_both_allow(surrogate):
    masks, values = planted(60, 0.3, seed=6)
    surrogate.fit(masks, values)
    one, other = distribution_of("leave_one_out", 1, 6)[0], distribution_of("shapley", 1, 6)[0]
    std = np.sqrt(contrast_variance(surrogate, one, other))
    each = [surrogate.attribution(kind).std for kind in ("leave_one_out", "shapley")]
    assert (std <= each[0] + each[1] + 1e-9).all()
    assert (std >= np.abs(each[0] - each[1]) - 1e-9).all()
    nothing = np.sqrt(contrast_variance(surrogate, other, other))
    assert nothing.max() < 1e-5 * each[1].max()
    pairs = distribution_of("second_difference", 2, 6)[0], distribution_of("shapley", 2, 6)[0]
    j, k = np.triu_indices(6, 1)
    std = np.sqrt(pair_contrast_variance(surrogate, *pairs, j, k))
    each = [surrogate.interactions(kind).std_of(j, k) for kind in ("second_difference", "shapley")]
    assert (std <= each[0] + each[1] + 1e-9).all()
    assert (std >= np.abs(each[0] - each[1]) - 1e-9).all()


def test_the_variance_of_a_contrast_is_that_of_the_posterior_over_all_subsets():
    masks, values = planted(30, 0.3, seed=7)
    surrogate = KernelSurrogate(gamma=0.3, ridge=0.2).fit(masks, values)
    grid = all_subsets(6)
    kernel = RBF(0.3)
    solve = np.linalg.inv(kernel.gram(masks, masks) + 0.2 * np.eye(30))
    ones, cross = np.ones(30), kernel.gram(grid, masks)
    free = np.ones(len(grid)) - cross @ solve @ ones
    covariance = kernel.gram(grid, grid) - cross @ solve @ cross.T + np.outer(free, free) / (ones @ solve @ ones)
    first, second = distribution_of("leave_one_out", 1, 6)[0], distribution_of("inclusion", 1, 6, size=3)[0]
    found = contrast_variance(surrogate, first, second)[:, 0]
    for task in range(6):
        contrast = weights(grid, "leave_one_out", [task], at=np.ones(6)) - weights(grid, "inclusion", [task], size=3)
        assert found[task] == pytest.approx(surrogate.scale_[0] * (contrast @ covariance @ contrast), rel=1e-8)
