"""With and without, pair by pair."""

import numpy as np
import pytest
from scipy import stats

from kernelsm import InputError
from kernelsm.evaluation.confirmation import ANEW, Confirmation, MeasureName, paired_change


def test_the_interval_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    with_all, without = rng.normal(size=8), rng.normal(size=8)
    found = paired_change(with_all, without)
    low, high = stats.ttest_rel(without, with_all).confidence_interval(0.9)
    assert (found.mean - found.margin, found.mean + found.margin) == pytest.approx((low, high))
    assert found.by_seed == pytest.approx(without - with_all)
    assert (found.with_all, found.without) == pytest.approx((with_all.mean(), without.mean()))


def test_what_all_seeds_share_cancels():
    shared = np.random.default_rng(0).normal(size=5)
    found = paired_change(shared, shared - 0.5)
    assert found.mean == pytest.approx(-0.5)
    assert found.margin == pytest.approx(0.0, abs=1e-12)


def test_intervals_cover_the_truth_nine_times_in_ten():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(500):
        shared = rng.normal(size=4)
        found = paired_change(shared, shared + rng.normal(-0.3, 0.1, 4))
        covered.append(abs(found.mean + 0.3) <= found.margin)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.04)


def test_one_seed_has_no_interval():
    assert np.isnan(paired_change([1.0], [0.5]).margin)


@pytest.mark.parametrize("pair", [([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[2.0]])])
def test_outcomes_that_are_no_pairs_are_refused(pair):
    with pytest.raises(InputError, match="outcomes: found shapes"):
        paired_change(*pair)


def confirmation():
    values = np.zeros((3, 2, 2, 2))
    values[:, 1, 0] = [[-0.1, -0.3], [-0.2, -0.4], [-0.3, -0.5]]
    values[:, 1, 1] = 0.05
    measures = (MeasureName("loss", "nats", False), MeasureName("accuracy", "share", True))
    return Confirmation("digits", (0, 2), ("a", "b", "c"), ("x", "y"), 0.1, (0, 1, 2), measures, {ANEW: values})


def test_changes_are_those_of_the_measure_and_the_target():
    found = confirmation()
    assert found.change(ANEW, "loss").by_seed == pytest.approx((-0.2, -0.3, -0.4))
    assert found.change(ANEW, "loss", "y").mean == pytest.approx(-0.4)
    assert found.change(ANEW, "accuracy", "x").mean == pytest.approx(0.05)
    table = found.outcomes(ANEW, "accuracy")
    assert table.higher_is_better
    assert table.meta["unit"] == "share"
    assert table.masks.tolist() == [[True] * 3, [False, True, False]] * 3


def test_what_was_not_measured_is_refused():
    with pytest.raises(InputError, match="way: found 'fine_tuned'"):
        confirmation().change("fine_tuned", "loss")
    with pytest.raises(InputError, match="measure: found 'margin'"):
        confirmation().change(ANEW, "margin")
