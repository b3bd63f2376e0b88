"""Samplers of subsets."""

from math import comb

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from kernelsm import InputError, bernoulli_masks, fixed_size_masks, load_example
from kernelsm.examples.catalog import PROMPT_EXAMPLES


def test_fixed_size_subsets_have_exactly_that_size():
    for size in (1, 4, 10):
        masks = fixed_size_masks(10, 200, size=size)
        assert masks.dtype == np.bool_
        assert set(masks.sum(axis=1)) == {size}


def test_every_subset_of_a_size_is_equally_likely():
    masks = fixed_size_masks(5, 20_000, size=2, seed=1)
    counts = np.bincount(masks @ (1 << np.arange(5)))
    counts = counts[counts > 0]
    assert len(counts) == 10
    assert chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_inclusion_rate_is_p(p):
    masks = bernoulli_masks(20, 5_000, p=p, seed=2)
    low, high = binom.interval(1 - 1e-6, 100_000, p)
    assert low < masks.sum() < high


def test_tasks_are_included_independently():
    masks = bernoulli_masks(6, 20_000, p=0.3, seed=3)
    correlation = np.corrcoef(masks.T.astype(float))
    # five standard errors of a correlation of independent columns
    assert np.abs(correlation - np.eye(6)).max() < 5 / np.sqrt(20_000)


@pytest.mark.parametrize("sample", [
    lambda m, seed: bernoulli_masks(13, m, seed=seed),
    lambda m, seed: fixed_size_masks(13, m, size=4, seed=seed),
])  # fmt: skip
def test_asking_for_more_keeps_the_first_subsets_and_seeds_differ(sample):
    assert np.array_equal(sample(500, 0)[:37], sample(37, 0))
    assert not np.array_equal(sample(37, 0), sample(37, 1))


@pytest.mark.parametrize(
    ("K", "size", "m"), [(6, 3, 200), (6, 3, 20), (6, 3, 19), (4, 4, 9), (9, 1, 9), (50, 4, 3000)]
)
def test_distinct_subsets_are_the_first_of_each_that_are_drawn(K, size, m):
    masks = fixed_size_masks(K, m, size=size, seed=5, distinct=True)
    assert len(masks) == min(m, comb(K, size))
    assert set(masks.sum(axis=1)) == {size}
    seen = {mask.tobytes(): None for mask in fixed_size_masks(K, 20_000, size=size, seed=5)}
    assert [mask.tobytes() for mask in masks] == list(seen)[: len(masks)]
    few = fixed_size_masks(K, 3, size=size, seed=5, distinct=True)
    assert np.array_equal(few, masks[:3])


@pytest.mark.parametrize("name", PROMPT_EXAMPLES)
def test_the_prompts_of_the_finished_examples_are_drawn_as_they_were(name):
    known = load_example(name).masks
    assert np.array_equal(fixed_size_masks(50, 200, size=4, seed=0, distinct=True), known)
    assert np.array_equal(fixed_size_masks(50, 200, size=4, seed=0), known)


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (lambda: bernoulli_masks(0, 5), "K"),
        (lambda: bernoulli_masks(5, 0), "m"),
        (lambda: bernoulli_masks(5, 5, p=0.0), "p"),
        (lambda: bernoulli_masks(5, 5, p=1.0), "p"),
        (lambda: bernoulli_masks(5, 5, p=float("nan")), "p"),
        (lambda: fixed_size_masks(5, 5, size=0), "size"),
        (lambda: fixed_size_masks(5, 5, size=6), "size"),
    ],
)
def test_impossible_requests_are_refused(call, place):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.place == place
