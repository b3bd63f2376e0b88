"""Intervals, words and marks of results: how sure one may be, and that it is said."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from kernelsm import (
    Attribution,
    InputError,
    Interactions,
    KernelSurrogate,
    KernelSurrogateCV,
    LinearSurrogate,
    Outcomes,
    load_example,
)
from kernelsm.surrogates.wording import amount


@pytest.fixture(scope="module")
def planted():
    return KernelSurrogateCV().fit_outcomes(load_example("planted"))


@pytest.fixture
def two_targets():
    rng = np.random.default_rng(0)
    masks = rng.random((30, 5)) < 0.5
    values = np.column_stack([masks[:, 0] - 2.0 * masks[:, 1] * masks[:, 2], rng.normal(size=30)])
    table = Outcomes(masks, values, task_names=tuple("abcde"), target_names=("signal", "noise"))
    return KernelSurrogate().fit_outcomes(table)


def made(values, std, free=np.inf, **named):
    """An attribution by hand."""
    values = np.array(values, dtype=float)[:, None]
    names = tuple(f"t{k}" for k in range(len(values)))
    return Attribution(values, names, ("loss",), degrees_of_freedom=free, std=np.array(std, float)[:, None], **named)


def made_pairs(values, std, free=np.inf):
    """Interactions by hand, from upper triangles of K = 4."""
    K, (first, second) = 4, np.triu_indices(4, 1)
    tables = []
    for given in (values, std):
        table = np.zeros((K, K, 1))
        table[first, second, 0] = table[second, first, 0] = given
        tables.append(table)
    return Interactions(
        tables[0], tuple("abcd"), ("loss",), degrees_of_freedom=free, pair_std=lambda j, k: tables[1][j, k]
    )


@pytest.mark.parametrize("free", [1, 2, 5, 40, np.inf])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_intervals_are_students_t(free, level):
    result = made([1.0, -2.0], [0.5, 3.0], free)
    reach = t.ppf((1 + level) / 2, free) if np.isfinite(free) else norm.ppf((1 + level) / 2)
    assert result.quantile(level) == pytest.approx(reach)
    low, high = result.interval(level)
    np.testing.assert_allclose(low[:, 0], [1 - 0.5 * reach, -2 - 3 * reach])
    np.testing.assert_allclose(high - low, 2 * result.margin(level))


def test_few_subsets_make_wide_intervals():
    # four subsets leave three degrees of freedom: 2.35 standard deviations instead of 1.64
    g = KernelSurrogate().fit(np.eye(4), [1.0, 2.0, 4.0, 3.0])
    assert g.attribution().quantile() == pytest.approx(2.3534, abs=1e-3)
    assert g.interactions("shapley").degrees_of_freedom == 3
    without = KernelSurrogate(fit_intercept=False).fit(np.eye(4), [1.0, 2.0, 4.0, 3.0])
    assert without.attribution().degrees_of_freedom == 4


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 90.0, float("nan")])
def test_an_impossible_level_is_refused(level):
    result = made([1.0], [0.5])
    for call in (result.quantile, result.interval, result.margin):
        with pytest.raises(InputError, match="level"):
            call(level)


def test_without_standard_deviations_intervals_are_unknown():
    result = Attribution(np.ones((2, 1)), ("a", "b"), ("loss",))
    assert np.isnan(result.interval()).all()
    assert np.isnan(result.to_frame()["std"]).all()
    assert result.sentence(0) == "Including a raises the loss by 1: it hurts."
    pairs = Interactions(np.zeros((2, 2, 1)), ("a", "b"), ("loss",))
    assert np.isnan(pairs.std_of(np.array([0]), np.array([1]))).all()
    assert not pairs.told_from_zero().any()


def test_sentences_carry_the_interval_and_say_where_zero_is_inside():
    result = made([0.5, -0.5, 0.5], [0.1, 0.1, 1.0])
    assert result.sentence(0) == "Including t0 raises the loss by 0.50 ± 0.16: it hurts."
    assert result.sentence(1) == "Including t1 lowers the loss by 0.50 ± 0.16: it helps."
    assert result.sentence(2) == "Including t2 raises the loss by 0.5 ± 1.6: it cannot be told from no effect."
    assert result.top(3)["words"].tolist() == [result.sentence(k) for k in (0, 1, 2)]
    assert (
        made([0.5], [0.1], higher_is_better=True).sentence(0).endswith("raises the score by 0.50 ± 0.16: it helps.")
    )
    assert result.sentence(0, name="**spam**").startswith("Including **spam** raises")


@pytest.mark.parametrize(
    ("value", "margin", "said"),
    [
        (0.882, 0.0047, "0.8820 ± 0.0047"), (0.7321, 0.174, "0.73 ± 0.17"), (0.0731, 0.00032, "0.07310 ± 0.00032"),
        (12.34, 3.21, "12.3 ± 3.2"), (1234.5, 99.6, "1234 ± 100"), (-0.51, 0.0996, "-0.51 ± 0.10"),
        (0.5, None, "0.5"), (0.5, np.nan, "0.5"), (0.5, np.inf, "0.5"), (0.5, 0.0, "0.5"),
        (2e-12, 1.5e-13, "2e-12 ± 1.5e-13"), (3e30, 2.2e28, "3e+30 ± 2.2e+28"),
    ],
)  # fmt: skip
def test_a_number_and_its_margin_have_the_same_decimals(value, margin, said):
    assert amount(value, margin) == said


def test_a_sign_that_is_asked_for_is_shown_with_a_margin_too():
    assert amount(0.0102, 0.0351, signed=True) == "+0.010 ± 0.035"
    assert amount(0.0102, None, signed=True) == "+0.0102"


def test_interaction_sentences_carry_the_interval_and_say_where_zero_is_inside():
    pairs = made_pairs([-0.5, 0.5, 0.5, 0, 0, 0], [0.1, 0.1, 1.0, 0.1, 0.1, 0.0])
    assert pairs.sentence(0, 1) == (
        "With a and b together the loss is 0.50 ± 0.16 lower than the sum of their separate effects: synergy."
    )
    assert pairs.sentence(0, 2).endswith("0.50 ± 0.16 higher than the sum of their separate effects: "
                                         "redundancy or conflict.")  # fmt: skip
    assert pairs.sentence(0, 3).endswith("0.5 ± 1.6 higher than the sum of their separate effects: "
                                         "it cannot be told from zero.")  # fmt: skip
    assert pairs.sentence(2, 3) == "c and d do together exactly the sum of what each does alone."
    assert pairs.sentence(1, 0, names=("x", "y")).startswith("With x and y together")
    assert pairs.top(2)["words"][0] == pairs.sentence(0, 1)


@pytest.mark.parametrize("std", [0.4, np.inf])
def test_a_zero_that_is_not_known_is_not_claimed(std):
    # the estimate may be 0.0 to the last digit where the data say nothing: a task that is in every subset
    assert "leaves the loss as it is" not in made([0.0], [std]).sentence(0)
    assert "exactly the sum" not in made_pairs([0.0] * 6, [std] * 6).sentence(0, 1)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_nothing_is_claimed_of_a_task_that_is_in_every_subset(ridge):
    rng = np.random.default_rng(1)
    masks = rng.random((30, 4)) < 0.5
    masks[:, 0] = True
    g = LinearSurrogate(ridge=ridge).fit(masks, rng.normal(size=30))
    effect = g.attribution()
    assert effect.std[0, 0] > 2 * effect.std[1, 0]
    assert "leaves the loss as it is" not in effect.sentence(0)


def test_a_single_subset_supports_no_claim():
    # one outcome and a free constant: every effect is rounding, and nothing says how far off it is
    for outcome in (-1.37, 0.1257, -0.1321):
        effect = KernelSurrogate().fit([[1, 0, 1]], [outcome]).attribution()
        assert np.isnan(effect.std).all()
        for k in range(3):
            assert not effect.sentence(k).endswith(("it helps.", "it hurts.", "as it is."))


def test_the_planted_pairs_and_no_others_are_told_from_zero(planted):
    names = planted.task_names_
    expected = {("lock (with key)", "key (with lock)"), ("copy one", "copy two"), ("XOR left", "XOR right")}
    for kind in ("second_difference", "banzhaf", "shapley", "inclusion"):
        marked = planted.interactions(kind).told_from_zero()
        assert np.array_equal(marked, marked.T)
        assert {(names[j], names[k]) for j, k in np.argwhere(np.triu(marked))} == expected


def test_planted_effects_lie_in_their_intervals(planted):
    from kernelsm.examples.planted.game import planted_game

    game = planted_game()
    low, high = planted.attribution().interval(0.99)
    assert ((low[:, 0] <= game.attribution()) & (game.attribution() <= high[:, 0])).all()
    pairs = planted.interactions()
    first, second = pairs.pairs
    inside = np.abs(pairs.values - game.interactions()[:, :, None]) <= pairs.quantile(0.99) * pairs.std
    assert inside[first, second].mean() > 0.95


def test_pure_noise_marks_almost_nothing():
    marked = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        masks = rng.random((100, 8)) < 0.5
        g = KernelSurrogateCV(gammas=(0.02, 0.125, 1.0), ridges=(1e-3, 0.1, 10.0)).fit(masks, rng.normal(size=100))
        marked.append(int(g.interactions().told_from_zero().sum()) // 2)
    # 12 games of 28 pairs; one false mark in ten games would be as promised
    assert sum(found > 0 for found in marked) <= 3
    assert sum(marked) <= 4


def test_many_tests_are_held_against_a_mark():
    # a difference of two standard deviations is clear alone, not as the largest of six
    alone = made_pairs([2.0, 0, 0, 0, 0, 0], [1.0] * 6)
    assert not alone.told_from_zero().any()
    assert made_pairs([4.0, 0, 0, 0, 0, 0], [1.0] * 6).told_from_zero().sum() == 2
    # by hand: Benjamini-Hochberg at 0.1 over six; p = 0.0027, 0.012, 0.11, 0.32 ...: 2 * 0.1/6 = 0.033 takes two
    several = made_pairs([3.0, 0, -2.5, 0, 1.6, 1.0], [1.0] * 6)
    assert np.argwhere(np.triu(several.told_from_zero()[:, :])).tolist() == [[0, 1], [0, 3]]
    # with few degrees of freedom the same multiples say less
    assert not made_pairs([3.0, 0, -2.5, 0, 1.6, 1.0], [1.0] * 6, free=2).told_from_zero().any()


def test_marks_follow_the_level_and_the_limit():
    pairs = made_pairs([3.0, 2.9, 2.8, 0, 0, 1.0], [1.0] * 6)
    assert pairs.told_from_zero().sum() == 6
    assert pairs.told_from_zero(level=0.999).sum() == 0
    # only the strongest are looked at; the others still count as tests
    assert np.argwhere(np.triu(pairs.told_from_zero(most=1))).tolist() == [[0, 1]]
    assert not made_pairs([2.2, 2.1, 0, 0, 0, 0], [1.0] * 6).told_from_zero(most=1).any()


def test_a_certain_difference_is_marked_and_a_certain_zero_is_not():
    pairs = made_pairs([1.0, 0, np.nan, 0.5, 0, 0], [0.0, 0.0, np.nan, np.nan, 1.0, 1.0])
    assert np.argwhere(np.triu(pairs.told_from_zero())).tolist() == [[0, 1]]


def test_the_strongest_pairs_come_in_order_and_carry_their_deviations(two_targets):
    pairs = two_targets.interactions()
    assert [int(i[0]) for i in pairs.strongest(1)] == [1, 2]
    first, second = pairs.strongest(99, "noise")
    strength = np.abs(pairs.values[first, second, 1])
    assert len(first) == 10
    assert (np.diff(strength) <= 1e-9 * strength.max()).all()
    np.testing.assert_allclose(pairs.std_of(first, second), pairs.std[first, second], rtol=1e-9)
    assert pairs.std_of(first[:0], second[:0]).shape == (0, 2)


def test_standard_deviations_in_blocks_are_those_at_once(two_targets, monkeypatch):
    from kernelsm.surrogates import results

    whole = two_targets.interactions("shapley").std
    monkeypatch.setattr(results, "_PAIRS_AT_ONCE", 3)
    np.testing.assert_allclose(two_targets.interactions("shapley").std, whole, rtol=1e-9)


def test_one_target_of_a_result_is_that_column(two_targets):
    effects, pairs = two_targets.attribution(), two_targets.interactions()
    for name in ("noise", 1, -1):
        one, one_pair = effects.target(name), pairs.target(name)
        assert one.target_names == one_pair.target_names == ("noise",)
        assert np.array_equal(one.values, effects.values[:, 1:])
        assert np.array_equal(one.std, effects.std[:, 1:])
        np.testing.assert_allclose(one_pair.std, pairs.std[:, :, 1:], rtol=1e-9)
        pd.testing.assert_frame_equal(one_pair.top(3), pairs.top(3, "noise"), rtol=1e-7)
        assert np.array_equal(one_pair.told_from_zero(), pairs.told_from_zero("noise"))
        assert one.sentence(2) == effects.sentence(2, "noise")
        assert one.meta == effects.meta
    with pytest.raises(KeyError, match="signal, noise"):
        effects.target("sound")
    with pytest.raises(IndexError):
        pairs.target(2)


def test_a_loss_and_its_negative_as_a_score_say_the_same():
    rng = np.random.default_rng(4)
    masks, loss = rng.random((30, 4)) < 0.5, rng.normal(size=30)
    as_loss = KernelSurrogate().fit(masks, loss)
    as_score = KernelSurrogate().fit(masks, -loss, higher_is_better=True)
    assert as_loss.attribution().top(4)["effect"].tolist() == as_score.attribution().top(4)["effect"].tolist()
    assert as_loss.interactions().top(6)["kind"].tolist() == as_score.interactions().top(6)["kind"].tolist()
    margins = [re.search(r"± (\S+)", g.attribution().sentence(0))[1].rstrip(":") for g in (as_loss, as_score)]
    assert margins[0] == margins[1]
