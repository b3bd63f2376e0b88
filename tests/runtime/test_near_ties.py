"""Choices, orders and ranks that rounding does not change, and real differences that it does not hide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from kernelsm.runtime.near_ties import first_greatest, first_least, mean_ranks, rising, tolerance_of, varies

distinct = st.lists(st.integers(-1000, 1000), min_size=1, max_size=30, unique=True).map(np.array)
with_ties = st.lists(st.integers(-5, 5), min_size=1, max_size=30).map(lambda found: np.array(found) / 7)
seeds = st.integers(0, 2**32 - 1)


def shaken(values, seed, by=1e-14):
    """The same numbers as another processor may find them."""
    return values + by * np.abs(values).max() * np.random.default_rng(seed).uniform(-1, 1, np.shape(values))


@given(distinct)
def test_different_numbers_are_chosen_and_sorted_as_by_numpy(values):
    assert first_least(values) == values.argmin()
    assert first_greatest(values) == values.argmax()
    assert rising(values).tolist() == values.argsort().tolist()
    assert mean_ranks(values).tolist() == rankdata(values).tolist()


@given(with_ties, seeds)
def test_rounding_changes_no_choice_no_order_and_no_rank(values, seed):
    found = shaken(values, seed)
    assert first_least(found) == values.argmin()
    assert first_greatest(found) == values.argmax()
    assert rising(found).tolist() == values.argsort(kind="stable").tolist()
    few_bits = values * (1 + 1e-15 * np.random.default_rng(seed).uniform(-1, 1, len(values)))
    assert mean_ranks(few_bits).tolist() == rankdata(values).tolist()


def test_differences_beyond_rounding_count():
    assert first_least([1.0, 1.0 - 1e-8]) == 1
    assert first_least([1.0, 1.0 - 1e-10]) == 0
    assert rising([1.0, 1.0 - 1e-8]).tolist() == [1, 0]
    assert mean_ranks([1.0, 1.0 + 1e-8, 2.0]).tolist() == [1.0, 2.0, 3.0]


def test_the_tolerance_may_be_given():
    values = [0.3, 0.2, 0.1]
    assert first_least(values, tolerance=0.15) == 1
    assert first_greatest(values, tolerance=0.15) == 0
    assert rising(values, tolerance=0.05).tolist() == [2, 1, 0]
    assert rising(values, tolerance=0.15).tolist() == [0, 1, 2]
    assert first_least([[0.3, 0.2, 0.1]] * 2, tolerance=np.array([[0.15], [0.05]]), axis=1).tolist() == [1, 2]


def test_of_a_matrix_the_first_of_each_column_is_found_or_that_of_all():
    values = np.array([[1.0, 5.0], [1.0 - 1e-15, 4.0], [2.0, 4.0 + 1e-15]])
    assert first_least(values, axis=0).tolist() == [0, 1]
    assert first_greatest(values, axis=0).tolist() == [2, 0]
    assert first_greatest(values) == 1


def test_what_is_no_number_is_never_chosen_and_comes_last():
    assert first_least([np.nan, 2.0, 1.0]) == 2
    assert first_greatest([np.nan, 2.0, 1.0]) == 1
    assert first_least([np.nan, np.nan]) == 0
    assert rising([np.nan, 2.0, np.inf, 1.0, -np.inf]).tolist() == [4, 3, 1, 2, 0]


def test_the_tolerance_follows_the_largest_finite_magnitude():
    assert tolerance_of([-3.0, np.inf, np.nan, 2.0]) == pytest.approx(3e-9)
    assert tolerance_of([]) == 0.0


def test_nothing_to_sort_is_no_error():
    assert rising([]).tolist() == []
    assert mean_ranks(np.zeros((0, 3))).shape == (0, 3)


def test_an_outlier_does_not_make_the_others_equal():
    values = np.array([0.1, 0.2, 0.3, 0.4, 1e15])
    assert mean_ranks(values).tolist() == [1, 2, 3, 4, 5]
    assert mean_ranks(values[:, None] * [1.0, -1.0]).tolist() == [[1, 5], [2, 4], [3, 3], [4, 2], [5, 1]]


def test_columns_are_ranked_each_by_itself():
    table = np.random.default_rng(0).integers(0, 4, (20, 6)) / 3
    assert mean_ranks(table).tolist() == rankdata(table, axis=0).tolist()
    assert mean_ranks(shaken(table, 1, 1e-15)).tolist() == rankdata(table, axis=0).tolist()


@pytest.mark.parametrize("size", [1e-100, 1.0, 1e100])
def test_what_differs_by_rounding_does_not_vary(size):
    table = size * np.array([[0.1, 0.1, 1e9], [0.1, 0.2, 1e9], [0.1, 0.3, 1e9 + 1]])
    assert varies(table).tolist() == [False, True, True]
    table[:, 0] *= [1.0, 1.0 + 2e-16, 1.0 - 1e-16]
    assert varies(table).tolist() == [False, True, True]
    assert not varies(table[:, 0])
    assert not varies(np.zeros(3))
