"""Spearman's rank correlation: as SciPy has it, column by column, and undefined for what is constant."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from kernelsm.outcomes.rank_correlation import centred_ranks, rank_correlation


@pytest.mark.parametrize("ties", [False, True])
def test_each_column_is_what_scipy_says(ties):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 40, 5))
    if ties:
        first, second = first.round(), second.round()
    expected = [spearmanr(first[:, j], second[:, j]).statistic for j in range(5)]
    np.testing.assert_allclose(rank_correlation(first, second), expected, atol=1e-12)


def test_a_rising_curve_changes_nothing_and_a_falling_one_the_sign():
    table = np.random.default_rng(1).normal(size=(20, 1))
    np.testing.assert_allclose(rank_correlation(table, np.exp(table)), 1)
    np.testing.assert_allclose(rank_correlation(table, -(table**3)), -1)


@pytest.mark.filterwarnings("error")
def test_what_is_constant_has_no_ranks_to_compare():
    table = np.column_stack([np.arange(4.0), np.ones(4)])
    found = rank_correlation(table, np.arange(8.0).reshape(4, 2))
    np.testing.assert_array_equal(found, [1, np.nan])


def test_equal_values_share_the_mean_of_their_ranks():
    np.testing.assert_array_equal(centred_ranks(np.array([[5.0], [1.0], [5.0]])), [[0.5], [-1], [0.5]])
