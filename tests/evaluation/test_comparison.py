"""The paired gain: which way it points, and whether its interval means what it says."""

import warnings

import numpy as np
import pytest
from scipy.stats import rankdata, t

from kernelsm import InputError, lds, relative_error
from kernelsm.evaluation.comparison import PairedGain, paired_gain


def game(m, rng, q=1, first=0.5, second=1.0):
    """Truth and two predictions with errors of these sizes, of which a half is common to both."""
    truth, common = rng.normal(size=(2, m, q))
    a, b = (truth + size * (common + rng.normal(size=(m, q))) / np.sqrt(2) for size in (first, second))
    return truth, a, b


def ends(gain):
    return np.array([gain.gain, gain.low, gain.high])


def test_the_better_first_prediction_gains_and_the_swap_loses():
    truth, good, bad = game(80, np.random.default_rng(0), q=3)
    there, back = paired_gain(truth, good, bad), paired_gain(truth, bad, good)
    assert there.gain > 0 > back.gain
    assert there.gain == pytest.approx(lds(truth, good) - lds(truth, bad))
    assert (there.first, there.second) == pytest.approx((lds(truth, good), lds(truth, bad)))
    np.testing.assert_allclose(ends(back), -ends(there)[[0, 2, 1]])
    assert there.low < there.gain < there.high
    assert there.is_clear
    assert back.is_clear


def test_of_an_error_less_is_better_and_the_sign_is_kept():
    truth, good, bad = game(80, np.random.default_rng(0))
    found = paired_gain(truth, good, bad, "relative_error")
    assert found.high < 0
    assert (found.first, found.second) == pytest.approx((relative_error(truth, good), relative_error(truth, bad)))


@pytest.mark.parametrize("score", ["lds", "relative_error"])
def test_the_same_prediction_twice_gains_exactly_nothing(score):
    truth, good, _ = game(30, np.random.default_rng(1), q=2)
    found = paired_gain(truth, good, good.copy(), score)
    assert ends(found).tolist() == [0.0, 0.0, 0.0]
    assert not found.is_clear


@pytest.mark.parametrize("score", ["lds", "relative_error"])
def test_predictions_that_differ_by_rounding_gain_nothing(score):
    truth, good, _ = game(30, np.random.default_rng(1), q=2)
    rounded = good * (1 + 1e-15 * np.random.default_rng(2).uniform(0, 1, good.shape))  # all to one side
    found = paired_gain(truth, good, rounded, score)
    assert ends(found).tolist() == [0.0, 0.0, 0.0]
    assert not found.is_clear


def test_only_ranks_count_for_lds():
    truth, good, bad = game(30, np.random.default_rng(1), q=2)
    np.testing.assert_allclose(ends(paired_gain(truth, good, np.exp(good))), 0.0, atol=1e-12)
    np.testing.assert_allclose(ends(paired_gain(np.exp(truth), good, bad)), ends(paired_gain(truth, good, bad)))


def left_out(score, truth, predicted):
    """The score without each subset; for LDS with the ranks among all."""
    m = len(truth)
    if score == "relative_error":
        return np.array([relative_error(np.delete(truth, i, 0), np.delete(predicted, i, 0)) for i in range(m)])
    a, b = rankdata(truth, axis=0), rankdata(predicted, axis=0)
    return np.array([
        np.mean([np.corrcoef(np.delete(a[:, j], i), np.delete(b[:, j], i))[0, 1] for j in range(truth.shape[1])])
        for i in range(m)
    ])  # fmt: skip


@pytest.mark.parametrize("score", ["lds", "relative_error"])
@pytest.mark.parametrize(("m", "q"), [(5, 1), (12, 3), (60, 2)])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_interval_is_the_jackknife_by_leaving_out_each_subset(score, m, q, level):
    truth, good, bad = game(m, np.random.default_rng(m), q)
    truth[1] = truth[0]  # ties
    without = left_out(score, truth, good) - left_out(score, truth, bad)
    margin = t.ppf((1 + level) / 2, m - 1) * np.sqrt((m - 1) / m * ((without - without.mean()) ** 2).sum())
    found = paired_gain(truth, good, bad, score, level=level)
    np.testing.assert_allclose(ends(found) - found.gain, [0, -margin, margin], rtol=1e-9)


@pytest.mark.parametrize("score", ["lds", "relative_error"])
def test_nine_in_ten_intervals_cover_the_gain_of_all_subsets(score):
    rng = np.random.default_rng(3)
    truth, good, bad = game(100_000, rng)
    expected = paired_gain(truth, good, bad, score).gain
    found = [paired_gain(*game(60, rng), score) for _ in range(400)]
    assert 0.85 <= np.mean([gain.low <= expected <= gain.high for gain in found]) <= 0.95
    # errors common to both predictions cancel: unpaired intervals would be wider than the gains scatter
    alone = np.std([gain.first for gain in found]), np.std([gain.second for gain in found])
    assert np.std([gain.gain for gain in found]) < 0.9 * np.hypot(*alone)


def test_equal_predictions_are_seldom_told_apart():
    rng = np.random.default_rng(4)
    clear = [paired_gain(*game(60, rng, first=0.8, second=0.8)).is_clear for _ in range(300)]
    assert 0.04 < np.mean(clear) < 0.16


def test_more_subsets_make_a_narrower_interval():
    truth, good, bad = game(400, np.random.default_rng(5))
    few, many = (paired_gain(truth[:m], good[:m], bad[:m]) for m in (100, 400))
    assert 1.5 < (few.high - few.low) / (many.high - many.low) < 2.7


@pytest.mark.parametrize("m", [1, 2])
def test_fewer_than_three_subsets_have_no_interval(m):
    truth, good, bad = (np.array([1.0, 2.0])[:m] + i for i in (0, 0.15, 0.6))
    found = paired_gain(truth, good, bad, "relative_error")
    assert found.gain == pytest.approx(-0.45 if m == 1 else -0.3)
    assert np.isnan([found.low, found.high]).all()
    assert not found.is_clear


def test_a_constant_target_does_not_spoil_the_others():
    truth, good, bad = game(30, np.random.default_rng(6), q=2)
    truth[:, 1] = 4.0
    found, alone = paired_gain(truth, good, bad), paired_gain(truth[:, 0], good[:, 0], bad[:, 0])
    np.testing.assert_allclose(ends(found), ends(alone))


def test_a_constant_prediction_counts_as_nothing():
    truth, good, _ = game(30, np.random.default_rng(6))
    found = paired_gain(truth, good, np.full_like(good, 0.1))
    assert found.gain == pytest.approx(found.first)
    assert found.gain == pytest.approx(lds(truth, good))
    assert found.low > 0


@pytest.mark.parametrize("score", ["lds", "relative_error"])
def test_outcomes_that_cannot_be_scored_have_no_gain_and_no_warning(score):
    # no ranks in a constant, no fraction of nothing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = paired_gain(np.zeros(10), np.arange(10.0), np.arange(10.0)[::-1], score)
    assert np.isnan(ends(found)).all()
    assert not found.is_clear


@pytest.mark.parametrize("score", ["lds", "relative_error"])
def test_an_outcome_that_differs_once_is_no_trouble(score):
    # without that subset nothing differs any more: square roots of rounding
    for m in range(3, 80):
        truth = np.eye(m)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = paired_gain(truth, np.arange(m) / m, 1 - np.arange(m) / m, score)
        if score == "lds":
            assert np.isfinite(ends(found)).all()
            assert found.low - 1e-9 <= found.gain <= found.high + 1e-9


@pytest.mark.parametrize(("first", "second"), [((5, 2), (6, 2)), ((6, 1), (6, 2)), ((6, 2), (12,)), ((6, 2), (0, 2))])
def test_predictions_of_other_subsets_are_refused(first, second):
    with pytest.raises(InputError, match=r"expected \(6, 2\), as the truth"):
        paired_gain(np.ones((6, 2)), np.ones(first), np.ones(second))


@pytest.mark.parametrize("level", [0.0, 1.0, 90, -0.1, float("nan")])
def test_an_impossible_level_is_refused(level):
    truth, good, bad = game(10, np.random.default_rng(7))
    with pytest.raises(InputError, match="level"):
        paired_gain(truth, good, bad, level=level)


def test_an_unknown_score_is_refused_by_name():
    truth, good, bad = game(10, np.random.default_rng(7))
    with pytest.raises(InputError, match="relative_error"):
        paired_gain(truth, good, bad, "r2")


def test_an_interval_that_touches_zero_is_not_clear():
    assert not PairedGain(0.1, 0.0, 0.2, 1.0, 0.9).is_clear
    assert not PairedGain(0.1, -0.1, 0.3, 1.0, 0.9).is_clear
    assert PairedGain(0.1, 0.05, 0.15, 1.0, 0.9).is_clear
    assert PairedGain(-0.1, -0.15, -0.05, 0.9, 1.0).is_clear
