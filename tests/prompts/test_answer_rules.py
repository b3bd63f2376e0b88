"""When a free answer is right."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm import InputError
from kernelsm.prompts.answer_rules import (
    RULES,
    AnswerRule,
    contains,
    exact_match,
    last_number,
    matches,
    same_number,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.0", "1234"), ("1234567", "1234567"), ("$1,000,000.50 in all.", "1000000.50"), ("is -3", "-3"),
        ("\u22123", "-3"), ("5-3", "3"), ("5 - -3", "-3"), ("x = 1e3", "1000"), ("7kg", "7"), ("50%", "50"),
        ("(12)", "12"), ("answers: 3,4", "4"), ("#### 72", "72"), (".5", "0.5"), ("it costs 3.", "3"), ("-$5", "-5"),
        ("seven", None), ("v1.2.3", None), ("", None), ("A1", None),
    ],
)  # fmt: skip
def test_the_last_number_of_a_text_is_found(text, number):
    assert last_number(text) == (None if number is None else Decimal(number))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_numbers_are_found_however_they_are_written(number):
    for written in (f"{number}", f"{number:,}", f"so it is {number:,}.", f"= {number} kg"):
        assert last_number(written) == number
        assert same_number(written, f"{number}")


@pytest.mark.parametrize(
    ("answer", "reference", "exact", "within"),
    [
        ("Paris", "paris", True, True), (" Paris. ", "Paris", True, True), ("It is Paris, yes", "Paris", False, True),
        ("Parisian", "Paris", False, False), ("new\nYork", "New  York", True, True), ("10", "1", False, False),
        ("C++ it is", "c++", False, True), ("a.b", "axb", False, False), ("", "x", False, False),
        ("STRASSE", "straße", True, True),
    ],
)  # fmt: skip
def test_exact_and_contained_answers(answer, reference, exact, within):
    assert exact_match(answer, reference) == exact
    assert contains(answer, reference) == within


@pytest.mark.parametrize(
    ("answer", "reference", "pattern", "right"),
    [
        ("The answer is (B).", "B", r"\(([A-D])\)", True), ("(A) no, (B)", "b", r"\(([A-D])\)", True),
        ("(A) no, (B)", "a", r"\(([A-D])\)", False), ("none", "B", r"\(([A-D])\)", False),
        ("id 42!", "42", r"\d+", True), ("yes or y", r"^y(es)?\b", "", True), ("no", r"^y", "", False),
        ("x", "", "(y)?x", True),
    ],
)  # fmt: skip
def test_regular_expressions_find_the_reference(answer, reference, pattern, right):
    assert matches(answer, reference, pattern) == right
    assert AnswerRule("regex", pattern).right(answer, reference) == right


def test_an_expression_that_does_not_end_is_stopped():
    with pytest.raises(InputError, match="takes longer than 1 s"):
        matches("a" * 60 + "b", "x", r"(a|aa)+$")


@pytest.mark.parametrize(
    ("kind", "pattern"), [("regex", "("), ("exact", "x"), ("other", ""), ("regex", "a" * 1001), ("regex", "(?<x")]
)
def test_rules_that_cannot_be_are_refused(kind, pattern):
    with pytest.raises(InputError) as caught:
        AnswerRule(kind, pattern)
    assert caught.value.fix


def test_references_that_no_answer_can_meet_are_refused():
    with pytest.raises(InputError, match="row 3"):
        AnswerRule("number").check_reference("none", "row 3")
    with pytest.raises(InputError, match="row 3"):
        AnswerRule("regex").check_reference("(", "row 3")
    AnswerRule("regex", "(a)").check_reference("(", "row 3")
    with pytest.raises(InputError, match="'loss'"):
        AnswerRule("loss").right("a", "a")


def test_rules_travel_as_json():
    for kind in RULES:
        rule = AnswerRule(kind)
        assert AnswerRule.from_dict(rule.to_dict()) == rule
    assert [kind for kind in RULES if not AnswerRule(kind).needs_answers] == ["loss"]
