"""Checks of settings: what passes, and how what does not is told."""

import math

import numpy as np
import pytest

from kernelsm.runtime.checks import check_choice, check_counts, check_number, check_probability, check_whole, shown
from kernelsm.runtime.errors import InputError


def refused(check, *arguments, **bounds):
    with pytest.raises(InputError) as caught:
        check("setting", *arguments, **bounds)
    assert caught.value.place == "setting"
    return caught.value


@pytest.mark.parametrize("value", [3, 20, np.int64(7), np.uint8(7)])
def test_whole_numbers_within_their_bounds_come_back_as_int(value):
    found = check_whole("setting", value, 3, 20)
    assert found == value
    assert type(found) is int


@pytest.mark.parametrize(
    "value",
    [2, 21, 3.0, 3.5, "3", None, True, np.bool_(True), math.nan, math.inf, [3], np.arange(3), 10**400, 10**5000],
    ids=range(14),
)
def test_other_values_are_no_whole_numbers_within_bounds(value):
    error = refused(check_whole, value, 3, 20)
    assert error.expected == "a whole number, 3 to 20"
    assert len(error.found) <= 80


def test_the_bounds_are_told_as_they_are():
    assert refused(check_whole, 0).expected == "a whole number of 1 or more"
    assert refused(check_whole, 0, 3, 20_000).expected == "a whole number, 3 to 20,000"
    assert refused(check_whole, 0.5, None).expected == "a whole number"
    assert refused(check_whole, 0, fix="Raise it.").fix == "Raise it."
    assert check_whole("setting", -5, None) == -5


@pytest.mark.parametrize("value", [2.0, np.float32(2), 2])
def test_a_whole_float_is_taken_where_that_is_asked(value):
    found = check_whole("setting", value, floats=True)
    assert (found, type(found)) == (2, int)


@pytest.mark.parametrize("value", [2.5, math.nan, math.inf, "2.0"])
def test_other_floats_are_not(value):
    refused(check_whole, value, floats=True)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "expected"),
    [
        ({}, [0, -1e300, np.float32(2)], [], "a finite number"),
        ({"above": 0}, [1e-9, 5], [0, -1], "a finite number above 0"),
        ({"least": 0}, [0, 5], [-1e-9], "a finite number from 0"),
        ({"above": 0, "below": 1}, [0.5], [0, 1], "a finite number above 0 and below 1"),
        ({"least": 0, "most": 0.5}, [0, 0.5], [-0.1, 0.51], "a finite number from 0 and up to 0.5"),
    ],
)
def test_numbers_lie_within_their_bounds(bounds, inside, outside, expected):
    for value in inside:
        check_number("setting", value, **bounds)
    for value in [*outside, math.nan, math.inf, -math.inf, "1", None, True, [1]]:
        assert refused(check_number, value, **bounds).expected == expected


@pytest.mark.parametrize("value", [0, 1, -0.5, math.nan, "0.5", True])
def test_a_probability_lies_between_0_and_1(value):
    check_probability("setting", np.float64(0.5))
    assert refused(check_probability, value).expected == "a probability between 0 and 1"


@pytest.mark.parametrize("value", ["c", "", None, 1, ["a"]])
def test_only_what_may_be_chosen_is(value):
    check_choice("setting", "a", ("a", "b"))
    assert refused(check_choice, value, {"a": 1, "b": 2}).expected == "'a' or 'b'"


def test_counts_are_named():
    check_counts(rows=1, columns=np.int32(2))
    with pytest.raises(InputError, match="columns: found 0; expected a whole number of 1 or more"):
        check_counts(rows=1, columns=0)


def test_values_are_shown_short_and_as_python_writes_them():
    assert shown(np.float64(0.5)) == "0.5"
    assert shown(np.int64(3)) == "3"
    assert shown("x" * 200) == "'" + "x" * 76 + "..."
    assert len(shown(list(range(1000)))) == 80
