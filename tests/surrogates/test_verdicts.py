"""The one rule of significance: clear, no effect, or not measured well enough yet; and what the words make of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm import Attribution, Interactions, LinearSurrogateCV
from kernelsm.surrogates.verdicts import told_from_zero, verdicts, what_matters
from kernelsm.surrogates.wording import (
    Verdict,
    amount,
    decimals_for,
    effect_verdict,
    interaction_verdict,
    is_unclear,
    number,
    percent,
)

CLEAR, NO_EFFECT, NOT_MEASURED, UNCLEAR = (
    Verdict.CLEAR, Verdict.NO_EFFECT, Verdict.NOT_MEASURED, Verdict.UNCLEAR
)  # fmt: skip


def effects(values, std, matters=0.1, **more):
    values, std = np.asarray(values, dtype=float)[:, None], np.asarray(std, dtype=float)[:, None]
    names = tuple(f"t{k}" for k in range(len(values)))
    return Attribution(
        values, names, ("test",), std=std, matters=None if matters is None else np.array([matters]), **more
    )


def pairs(value, std, matters=0.1, **more):
    values, deviations = np.zeros((2, 2, 1)), np.full((2, 2, 1), std)
    values[0, 1] = values[1, 0] = value
    return Interactions(
        values, ("a", "b"), ("test",), pair_std=lambda j, k: deviations[j, k], matters=np.array([matters]), **more
    )


# --- what would matter ----------------------------------------------------------------------------------------------


def test_what_matters_is_two_fifths_of_an_equal_share_of_the_spread():
    rng = np.random.default_rng(0)
    for K in (5, 20, 80):
        masks = rng.random((4000, K)) < 0.5
        share = 0.7  # of each of K equal tasks
        (matters,) = what_matters(masks @ np.full(K, share), K)
        assert matters == pytest.approx(0.4 * share, rel=0.1)


def test_one_outlier_hardly_changes_what_matters():
    values = np.random.default_rng(1).normal(1.0, 0.1, 200)
    with_one = np.concatenate([values, [20.0]])
    assert with_one.std() > 10 * values.std()
    assert what_matters(with_one, 8)[0] < 2.5 * what_matters(values, 8)[0]


def test_what_matters_is_of_each_target_and_follows_its_unit():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(50, 1)) * np.array([1.0, 1000.0]) + np.array([3.0, -5.0])
    one, thousand = what_matters(values, 9)
    assert thousand == pytest.approx(1000 * one)
    assert what_matters(np.full(7, 0.3), 9).tolist() == [0.0]


# --- which verdict --------------------------------------------------------------------------------------------------


def test_wide_intervals_are_not_measured_and_narrow_ones_around_zero_are_no_effect():
    found = effects([0.5, 0.01, 0.02, -0.05], [0.05, 0.01, 0.3, 0.001]).verdicts()
    assert found.tolist() == [CLEAR, NO_EFFECT, NOT_MEASURED, CLEAR]


def test_many_tests_are_held_against_an_effect():
    # two and a half standard deviations are clear alone, and not as the largest of forty
    assert effects([0.25], [0.1]).told_from_zero().all()
    among_many = effects([0.25, *[0.0] * 39], [0.1] * 40)
    assert not among_many.told_from_zero().any()
    assert among_many.verdicts()[0] == NOT_MEASURED


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 2)), min_size=1, max_size=30), st.floats(0, 1))
def test_what_is_clear_is_never_clear_against_its_own_interval(found, matters):
    values, std = np.array(found).T
    result = effects(values, std, matters)
    margin = result.margin()[:, 0]
    for value, half, verdict in zip(values, margin, result.verdicts(), strict=True):
        if verdict == CLEAR:  # with many in mind nothing becomes clear that is not so alone, up to rounding
            assert abs(value) > half * (1 - 1e-9)
        elif verdict == NO_EFFECT:
            assert abs(value) + half <= matters
        else:
            assert verdict == NOT_MEASURED
            assert abs(value) + half > matters


def test_where_nothing_is_known_of_what_matters_unclear_is_all_that_is_said():
    result = effects([0.5, 0.02], [0.05, 0.3], matters=None)
    assert result.verdicts().tolist() == [CLEAR, UNCLEAR]
    assert result.sentence(1).endswith("it cannot be told from no effect.")


def test_what_is_known_exactly_is_clear_or_nothing():
    found = effects([0.138, 0.0, -1e-6], [0.0, 0.0, 0.0])
    assert found.verdicts().tolist() == [CLEAR, NO_EFFECT, CLEAR]
    assert found.sentence(1) == "Including t1 leaves the loss as it is."


def test_unknown_intervals_are_not_measured():
    found = effects([0.5, 0.0], [np.nan, np.inf])
    assert found.verdicts().tolist() == [NOT_MEASURED, NOT_MEASURED]


def test_nothing_is_tested_of_no_effects():
    assert told_from_zero(np.zeros(0), np.zeros(0), 5).shape == (0,)


def test_a_pair_alone_is_told_as_a_number_alone():
    for value, std in ((0.5, 0.1), (0.1, 0.1), (-0.3, 0.19)):
        found = pairs(value, std)
        margin = float(found.quantile() * std)
        assert bool(found.told_from_zero()[0, 1]) != is_unclear(value, margin)


def test_verdicts_of_a_target_are_those_of_its_column():
    rng = np.random.default_rng(3)
    masks = rng.random((80, 5)) < 0.5
    values = np.column_stack([masks[:, 0] + rng.normal(0, 0.1, 80), rng.normal(0, 1, 80)])
    g = LinearSurrogateCV().fit(masks, values)
    both = replace(g.attribution(), matters=what_matters(values, 5))
    for j in (0, 1):
        alone = both.target(j)
        assert alone.verdicts().tolist() == both.verdicts(j).tolist()
        assert alone.sentence(0) == both.sentence(0, j)


# --- words ----------------------------------------------------------------------------------------------------------


def test_the_sentence_of_an_effect_says_its_verdict():
    result = effects([0.5, 0.01, -0.05], [0.05, 0.01, 0.3])
    assert [result.sentence(k) for k in range(3)] == [
        "Including t0 raises the loss by 0.500 ± 0.082: it hurts.",
        "Including t1 has no effect on the loss that would matter: +0.010 ± 0.016.",
        "What including t2 does to the loss is not measured well enough yet: -0.05 ± 0.49.",
    ]
    assert result.top(3)["words"].tolist() == [result.sentence(k) for k in (0, 2, 1)]


@pytest.mark.parametrize(
    ("value", "std", "said"),
    [
        (-0.5, 0.05, "With a and b together the loss is 0.500 ± 0.082 lower than the sum of their separate effects: "
         "synergy."),
        (0.01, 0.01, "a and b have no interaction that would matter: +0.010 ± 0.016."),
        (-0.05, 0.3, "What a and b do together beyond the sum of both is not measured well enough yet: "
         "-0.05 ± 0.49."),
        (0.0, 0.0, "a and b do together exactly the sum of what each does alone."),
    ],
)  # fmt: skip
def test_the_sentence_of_a_pair_says_its_verdict(value, std, said):
    result = pairs(value, std)
    assert result.sentence(0, 1) == said
    assert result.sentence(1, 0, names=("a", "b"), clear=result.told_from_zero()) == said
    assert result.top(1)["words"][0] == said


def test_measured_values_are_called_so_and_have_no_interval_where_they_are_exact():
    result = effects([0.13844, 0.2, 0.0], [0.0, 0.01, 0.0], measured=np.array([True, True, True]))
    assert [result.sentence(k) for k in range(3)] == [
        "Including t0 raises the loss by 0.138 (measured): it hurts.",
        "Including t1 raises the loss by 0.200 ± 0.016 (measured): it hurts.",
        "Including t2 leaves the loss as it is (measured).",
    ]
    measured = np.array([[False, True], [True, False]])
    assert pairs(0.5, 0.0, measured=measured).sentence(0, 1).startswith(
        "With a and b together the loss is 0.5 (measured) higher than"
    )  # fmt: skip
    assert amount(0.13844, 0.0, signed=True, measured=True) == "+0.138, measured"
    assert "measured" not in effects([0.5], [0.0], measured=np.array([False])).sentence(0)


def test_lists_say_what_sentences_say():
    assert [effect_verdict(verdict, -0.2) for verdict in (CLEAR, NO_EFFECT, NOT_MEASURED, UNCLEAR)] == [
        "helps", "no effect", "not measured well enough yet", "cannot be told from no effect"
    ]  # fmt: skip
    assert effect_verdict(CLEAR, -0.2, higher_is_better=True) == "hurts"
    assert [interaction_verdict(verdict, -0.2) for verdict in (CLEAR, NO_EFFECT, NOT_MEASURED, UNCLEAR)] == [
        "synergy", "no interaction", "not measured well enough yet", "cannot be told from zero"
    ]  # fmt: skip


def test_a_verdict_of_many_is_that_of_each():
    values, margin = np.array([[0.5, 0.01], [0.3, -0.2]]), np.array([[0.1, 0.02], [0.4, np.nan]])
    clear = np.array([[True, False], [False, False]])
    assert verdicts(values, margin, clear, 0.05).tolist() == [[CLEAR, NO_EFFECT], [NOT_MEASURED, NOT_MEASURED]]


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.000512, "0.000512"), (0.00005123, "0.0000512"), (0.5, "0.5"), (1234.5, "1234"), (999.6, "1000"),
        (99.96, "100"), (-0.02346, "-0.0235"), (0.0, "0"), (12.0, "12"), (100.0, "100"), (1e9, "1e+09"),
        (3e-12, "3e-12"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_a_number_keeps_its_digits_however_small(value, said):
    assert number(value) == said


@given(st.floats(1e-7, 1e6), st.sampled_from([-1, 1]))
def test_no_number_is_written_as_nothing(value, side):
    said = float(number(side * value, digits=2))
    assert said == pytest.approx(side * value, rel=0.051)
    assert float(percent(value / 1000).removesuffix("%")) == pytest.approx(value / 10, rel=0.051, abs=1e-7)


def test_a_sign_is_shown_where_it_is_asked_for():
    assert [number(value, signed=True) for value in (0.25, -0.25, 0.0, 0.00001)] == [
        "+0.25",
        "-0.25",
        "0",
        "+0.00001",
    ]
    assert percent(0.012, signed=True) == "+1.2%"


def test_decimals_show_two_digits_of_the_smallest():
    assert decimals_for(0.392, 0.033, least=2) == 3
    assert decimals_for(0.0, float("nan"), float("inf")) == 0
    assert decimals_for(0.00012) == 5
