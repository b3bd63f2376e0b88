"""Prompts with empty slots: every way to fill them, or many drawn ones."""

from itertools import combinations

import numpy as np
import pytest

from kernelsm import InputError, KernelSurrogate
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.selection.completion import MOST_FILLINGS, completed, expected_outcome


def rows(masks):
    return {tuple(np.flatnonzero(mask).tolist()) for mask in masks}


@pytest.mark.parametrize(
    ("chosen", "size", "K"), [((), 2, 5), ((3,), 2, 5), ((4, 0), 4, 7), ((1,), 1, 3), ((), 3, 3)]
)
def test_every_way_to_fill_the_slots_is_there_once(chosen, size, K):
    found = completed(chosen, size, K)
    want = {tuple(c) for c in combinations(range(K), size) if set(chosen) <= set(c)}
    assert rows(found) == want
    assert len(found) == len(want)


def test_a_full_prompt_is_itself():
    found = completed((7, 2, 4), 3, 50)
    assert found.shape == (1, 50)
    assert rows(found) == {(2, 4, 7)}


def test_too_many_ways_are_drawn_the_same_each_time_with_all_tasks_about_as_often():
    found = completed((9,), 5, 60)
    assert found.shape == (MOST_FILLINGS, 60)
    assert (found.sum(axis=1) == 5).all()
    assert found[:, 9].all()
    assert np.array_equal(found, completed((9,), 5, 60))
    often = np.delete(found, 9, axis=1).mean(axis=0)
    assert np.abs(often - 4 / 59).max() < 5 * np.sqrt(4 / 59 / MOST_FILLINGS)


@pytest.mark.parametrize(
    ("chosen", "size", "K"), [((1, 1), 3, 5), ((5,), 3, 5), ((-1,), 3, 5), ((0, 1), 1, 5), ((), 6, 5)]
)
def test_what_fits_no_prompt_is_refused(chosen, size, K):
    with pytest.raises(InputError):
        completed(chosen, size, K)


def test_the_expectation_is_the_mean_over_fillings_and_the_prediction_of_a_full_prompt():
    masks = fixed_size_masks(8, 40, size=3, seed=0)
    effect = np.linspace(-1, 1, 8)
    values = masks @ effect + 0.3 * masks[:, 0] * masks[:, 1]
    g = KernelSurrogate(ridge=0.01).fit(masks, values)
    want, std = g.predict(completed((2,), 3, 8), return_std=True)
    assert expected_outcome(g, (2,), 3) == pytest.approx((want.mean(), std.mean()))
    full = np.zeros((1, 8), dtype=bool)
    full[0, [0, 1, 5]] = True
    assert expected_outcome(g, (5, 0, 1), 3)[0] == pytest.approx(float(g.predict(full)[0]))
    # the mean over the last slot of prompts with and without two tasks is between the extremes
    ends = [expected_outcome(g, (2, 6, k), 3)[0] for k in range(8) if k not in (2, 6)]
    assert expected_outcome(g, (2, 6), 3)[0] == pytest.approx(np.mean(ends))
