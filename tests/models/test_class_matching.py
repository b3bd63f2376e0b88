"""Labels and the classes of a trained classifier: matched by name or number, never by chance."""

import pytest

from kernelsm import InputError
from kernelsm.models.class_matching import class_names, has_own_names, match_classes

MADE_UP = ["LABEL_0", "LABEL_1"]


@pytest.mark.parametrize(
    ("labels", "names", "of", "how"),
    [
        (["negative", "positive"], ["POSITIVE", "NEGATIVE"], (1, 0), "name"),
        (["Not Entailment", "entailment"], ["entailment", "not_entailment"], (1, 0), "name"),
        (["entailment", "neutral"], ["contradiction", "neutral", "entailment"], (2, 1), "name"),
        (["LABEL_1", "label_0"], MADE_UP, (1, 0), "name"),
        (["0", "1"], ["POSITIVE", "NEGATIVE"], (0, 1), "number"),
        (["0", "2"], ["a", "b", "c"], (0, 2), "number"),
        (["0", "1"], MADE_UP, (0, 1), "number"),
        (["1", "2", "3"], ["1 star", "2 stars", "3 stars"], (0, 1, 2), "number"),
        (["0", "1", "2"], ["1 star", "2 stars", "3 stars"], (0, 1, 2), "number"),
        # both the first and the second class could be meant by 1
        (["1", "2"], ["1 star", "2 stars", "3 stars"], (0, 1), "order"),
        (["bad", "good"], MADE_UP, (0, 1), "order"),
        (["bad", "good"], ["NEGATIVE", "POSITIVE"], (0, 1), "order"),
        (["-1", "1"], ["NEGATIVE", "POSITIVE"], (0, 1), "order"),
        (["1", "2"], MADE_UP, (0, 1), "order"),
        (["a", "A"], ["a", "b"], (0, 1), "order"),
        (["a", "b"], ["a", "A"], (0, 1), "order"),
        (["a", "b"], [], (0, 1), "order"),
    ],
)
def test_labels_are_matched_by_name_or_number(labels, names, of, how):
    match = match_classes(labels, names)
    assert (match.of, match.how) == (of, how)
    assert match.is_known is (how != "order")


def test_what_the_user_chose_holds():
    match = match_classes(["bad", "good"], MADE_UP, {"bad": 1, "good": 0})
    assert (match.of, match.how, match.is_known) == ((1, 0), "choice", True)


@pytest.mark.parametrize("chosen", [{"bad": 0}, {"bad": 0, "good": 0}, {"bad": 0, "good": 2}, {"bad": -1, "good": 0}])
def test_choices_that_cannot_be_are_refused(chosen):
    with pytest.raises(InputError, match="classes"):
        match_classes(["bad", "good"], MADE_UP, chosen)


def test_names_come_from_the_configuration():
    assert class_names({"id2label": {"10": "x", **{str(i): f"c{i}" for i in range(10)}}})[10] == "x"
    assert class_names({"model_type": "bert"}) == tuple(MADE_UP)
    assert class_names({"model_type": "bert", "num_labels": 3})[2] == "LABEL_2"
    for config in (
        {},
        {"num_labels": "x"},
        {"num_labels": True},
        {"num_labels": 0},
        {"num_labels": -3},
        {"num_labels": 10**10},
        {"id2label": None},
        {"id2label": ["a"]},
        {"id2label": {"1": "a"}},
        {"id2label": {"x": "a"}},
    ):
        assert class_names(config) == ()
    assert has_own_names(["no", "yes"])
    assert not has_own_names(MADE_UP)
    assert not has_own_names([])


def test_very_many_labels_and_classes_are_matched_without_comparing_each_with_each():
    names = class_names({"num_labels": 100_000})
    assert match_classes([name.lower() for name in names], names).of == tuple(range(100_000))
