"""Label words found among the most probable tokens of a reply, and in answers."""

import math

import numpy as np
import pytest

from kernelsm.prompts.label_tokens import Listed, label_in, label_masses


def place(taken, **likely):
    return Listed(taken, {token.replace("_", " "): math.log(value) for token, value in likely.items()})


def test_a_token_counts_for_the_label_that_it_begins_whatever_its_case_and_spaces():
    found = label_masses([place("pos", pos=0.5, _Positive=0.2, neg=0.2, maybe=0.1)], ["positive", "negative"])
    np.testing.assert_allclose(found, [0.7, 0.2])


def test_a_label_that_is_not_listed_is_as_probable_as_the_least_token():
    found = label_masses([place("yes", yes=0.9, no=0.06, other=0.04)], ["yes", "no", "perhaps"])
    np.testing.assert_allclose(found, [0.9, 0.06, 0.04])
    np.testing.assert_allclose(label_masses([place("I", I=0.9, We=0.1)], ["yes", "no"]), [0.1, 0.1])


def test_tokens_after_a_shared_beginning_tell():
    first, second = place("ne", ne=0.8, pos=0.2), place("utral", utral=0.75, gative=0.25)
    found = label_masses([first, second], ["negative", "neutral", "positive"])
    np.testing.assert_allclose(found, [0.2, 0.6, 0.2])


def test_a_beginning_that_was_not_gone_on_with_is_shared():
    found = label_masses([place("pos", pos=0.6, ne=0.4)], ["negative", "neutral", "positive"])
    np.testing.assert_allclose(found, [0.2, 0.2, 0.6])


def test_a_label_that_begins_another_is_told_by_its_end():
    after = Listed("<|end|>", {"<|end|>": math.log(0.7), "0": math.log(0.3)})
    digit = Listed("1", {"1": math.log(0.9), "2": math.log(0.1)})
    np.testing.assert_allclose(label_masses([digit, after], ["1", "10", "2"]), [0.63, 0.27, 0.1])


def test_a_reply_that_begins_with_a_space_is_read_on():
    space = Listed(" ", {" ": math.log(0.9), "no": math.log(0.1)})
    np.testing.assert_allclose(label_masses([space, place("yes", yes=0.8, no=0.2)], ["yes", "no"]), [0.72, 0.28])


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        ("positive", 1), (" Positive.\n", 1), ("**Negative**", 0), ("The sentiment is negative.", 0), ("", None),
        ("positive, not negative", 1), ("neither positive nor negative", None), ("positively", None),
        ("very  good indeed", 2), ("Very good", 2),
    ],
)  # fmt: skip
def test_the_label_word_in_an_answer(answer, want):
    assert label_in(answer, ["negative", "positive", "very good"]) == want


def test_the_longest_label_that_an_answer_begins_with():
    assert label_in("very good", ["very", "very good"]) == 1
