"""Every kernel's readouts against sums over all 2^K subsets of its own matrix."""

from itertools import combinations

import numpy as np
import pytest
from brute_force import all_subsets, corners, readouts_of, weights

from kernelsm import AutoSurrogate
from kernelsm.surrogates.composite import CompositeSearch
from kernelsm.surrogates.kernel_functions import IDENTITY, LINEAR, RBF, Polynomial
from kernelsm.surrogates.relevance_kernel import RelevanceRBF
from kernelsm.surrogates.subset_distributions import CORNERS, distribution_of
from kernelsm.surrogates.subset_kernel import SumKernel
from kernelsm.surrogates.term_kernel import SizeKernel, TermKernel

K = 6
TERMS = TermKernel(
    ((0,), (3,), (1, 2), (3, 5), (0, 2, 4), (1, 2, 3, 5)),
    (1.0, 0.2, 0.7, 2.0, 0.5, 3.0),
    (0.5, 0.4, 0.6, 0.5, 0.0, 1.0),
)
RELEVANCE = RelevanceRBF((0.3, 0.0, 2.0, 0.01, 0.7, 150.0))
KERNELS = {
    "rbf": RBF(0.4),
    "polynomial": Polynomial(0.7, 1.0, 2),
    "one subset": IDENTITY,
    "relevance": RELEVANCE,
    "relevance of equal tasks": RelevanceRBF((0.4,) * K),
    "terms": TERMS,
    "size": SizeKernel(2.7),
    "sum": SumKernel(((0.5, RELEVANCE), (2.0, TERMS), (0.1, SizeKernel(3.0)), (0.3, LINEAR), (0.2, IDENTITY))),
}
every = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS.keys())
ANCHORS = (np.ones(K), np.zeros(K), np.array([1.0, 0, 1, 1, 0, 0]))
GRID = all_subsets(K)
MASKS = np.random.default_rng(0).integers(0, 2, size=(13, K)).astype(float)
PAIRS = np.array(list(combinations(range(K), 2)))


@every
def test_the_matrix_is_symmetric_and_positive(kernel):
    gram = kernel.gram(GRID, GRID)
    np.testing.assert_allclose(gram, gram.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(gram), kernel.diagonal(GRID), atol=1e-12)
    assert np.linalg.eigvalsh(gram).min() > -1e-10


@every
@pytest.mark.parametrize("order", [1, 2])
def test_readouts_are_their_definition(kernel, order):
    which = [(k,) for k in range(K)] if order == 1 else [tuple(pair) for pair in PAIRS]
    tasks = np.array(which).T
    theta = np.random.default_rng(1).normal(size=(len(MASKS), 3))
    for kind, arguments in readouts_of(K, ANCHORS, (0.1, 0.3, 0.5), order):
        distribution, _ = distribution_of(kind, order, K, **arguments)
        W = np.array([weights(GRID, kind, own, **arguments) for own in which])
        wanted = kernel.gram(MASKS, GRID) @ W.T
        prior = np.einsum("rs,st,rt->r", W, kernel.gram(GRID, GRID), W)
        np.testing.assert_allclose(kernel.prior(distribution, K, *tasks), prior, atol=1e-11, err_msg=str(arguments))
        if order == 1:
            np.testing.assert_allclose(kernel.effects(distribution, MASKS), wanted, atol=1e-11, err_msg=kind)
            continue
        found = kernel.pair_effects(distribution, MASKS, *tasks)
        np.testing.assert_allclose(found, wanted, atol=1e-11, err_msg=f"{kind} {arguments}")
        sums = kernel.pair_sums(distribution, MASKS, theta)[tuple(tasks)]
        np.testing.assert_allclose(sums, wanted.T @ theta, atol=1e-10, err_msg=f"{kind} {arguments}")
        of_corner = corners(GRID, kind, [1, 4], **arguments)
        means = kernel.gram(MASKS, GRID) @ np.array([of_corner[corner] for corner in CORNERS]).T
        np.testing.assert_allclose(kernel.pair_means(distribution, MASKS, 1, 4), means, atol=1e-11)


@every
def test_exchanges_are_predictions_of_the_exchanged_subset(kernel):
    theta = np.random.default_rng(1).normal(size=(len(MASKS), 2))
    at = np.array([1.0, 0, 1, 1, 0, 0])
    out, into = np.flatnonzero(at), np.flatnonzero(at == 0)
    sums = kernel.exchange_sums(MASKS, theta, at, out, into)
    for a, task in enumerate(out):
        for b, other in enumerate(into):
            step = at.copy()
            step[task], step[other] = 0.0, 1.0
            np.testing.assert_allclose(sums[a, b], kernel.gram(step[None], MASKS)[0] @ theta, atol=1e-11)


def test_readouts_of_many_tasks_and_a_fixed_size_keep_their_digits():
    """With equal widths the kernel is the isotropic one, whose fixed sizes are counted by hypergeometric overlaps."""
    tasks = 60
    masks = np.random.default_rng(2).integers(0, 2, size=(5, tasks)).astype(float)
    for gamma in (1e-3, 0.1, 3.0):
        for arguments in ({"size": 4}, {"size": 30}):
            distribution, _ = distribution_of("inclusion", 1, tasks, **arguments)
            found = RelevanceRBF((gamma,) * tasks).effects(distribution, masks)
            np.testing.assert_allclose(found, RBF(gamma).effects(distribution, masks), atol=1e-12)


def test_a_sum_of_kernels_found_on_some_rows_is_the_one_that_is_read():
    """The matrix that the search has, of whichever rows, is that of the kernel from which readouts come."""
    rng = np.random.default_rng(4)
    masks = (rng.random((90, 8)) < 0.7).astype(float)
    column = masks @ rng.normal(size=8) + 2 * masks[:, 0] * masks[:, 1] + 0.1 * rng.normal(size=90)
    column -= column.mean()
    for few_rows in (40, 300):
        search = CompositeSearch(masks, few_rows)
        for found in (search.find(column), search.refit(2 * column, search.find(column))):
            wanted = found.components.covariance() / found.components.noise
            np.testing.assert_allclose(found.kernel().gram(masks, masks), wanted, atol=1e-7 * np.abs(wanted).max())


def test_rows_that_none_expected_are_named_and_set_aside():
    rng = np.random.default_rng(5)
    masks = (rng.random((100, 10)) < 0.5).astype(float)
    effects = rng.normal(size=10)
    clean = masks @ effects + 0.2 * rng.normal(size=100)
    wrong = clean.copy()
    wrong[[7, 60]] += [15.0, -12.0]
    g = AutoSurrogate().fit(masks, wrong)
    assert g.outlier_rows_.tolist() == [7, 60]
    assert not len(AutoSurrogate().fit(masks, clean).outlier_rows_)
    reference = AutoSurrogate().fit(np.delete(masks, [7, 60], axis=0), np.delete(clean, [7, 60])).attribution()
    np.testing.assert_allclose(g.attribution().values, reference.values, atol=0.03)
    np.testing.assert_allclose(g.attribution().std, reference.std, rtol=0.2)
    # the long tail of a product of effects is no outlier: on the logarithm's scale it is as expected
    products = AutoSurrogate().fit(masks, np.exp(masks @ effects + 0.1 * rng.normal(size=100)))
    assert not len(products.outlier_rows_)


def test_relevance_finds_the_tasks_that_matter_and_products_those_that_act_together():
    rng = np.random.default_rng(6)
    masks = (rng.random((200, 12)) < 0.5).astype(float)
    column = np.maximum(masks[:, 2], masks[:, 5]) * (1 + masks[:, 7]) + 0.02 * rng.normal(size=200)
    found = CompositeSearch(masks).find(column - column.mean())
    others = np.delete(found.relevance, [2, 5, 7])
    assert found.relevance[[2, 5, 7]].min() > 5 * others.max()
    signs = 2 * masks - 1
    fourth = signs[:, [1, 3, 4, 8]].prod(axis=1) + masks[:, 0] + 0.1 * rng.normal(size=200)
    assert (1, 3, 4, 8) in CompositeSearch(masks).find(fourth - fourth.mean()).terms
