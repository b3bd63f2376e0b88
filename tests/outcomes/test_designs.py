"""Designs: what they hold, that nothing is drawn twice, and what can be afforded."""

from itertools import product
from math import comb

import numpy as np
import pytest

from kernelsm import InputError, bernoulli_masks, design_masks, fixed_size_masks
from kernelsm.outcomes.designs import (
    affordable_design,
    affordable_number,
    all_masks,
    leave_out_masks,
    most_out_by_design,
    possible_subsets,
    subsets_for_pairs,
)


def rows(masks):
    return [row.tobytes() for row in masks]


@pytest.mark.parametrize("K", [1, 2, 5, 12])
def test_all_subsets_are_every_one_there_is_all_tasks_first(K):
    masks = all_masks(K)
    assert {tuple(row) for row in masks.tolist()} == set(product([False, True], repeat=K))
    assert len(masks) == possible_subsets(K)
    assert masks[0].all()
    assert not masks[-1].any()
    assert (np.diff(masks.sum(axis=1)) <= 0).all()
    assert np.array_equal(design_masks(K, 1, "all", p=0.2, seed=9), masks)


def test_leave_outs_are_all_tasks_then_all_but_one_then_all_but_two():
    masks = leave_out_masks(6)
    assert np.array_equal(masks[0], np.ones(6))
    assert np.array_equal(masks[1:7], ~np.eye(6, dtype=bool))
    assert len(set(rows(masks[7:]))) == 15
    assert set(masks[7:].sum(axis=1)) == {4}
    assert len(leave_out_masks(6, 1)) == 7
    assert len(leave_out_masks(1)) == len(leave_out_masks(1, 9)) == 2


@pytest.mark.parametrize(
    ("K", "m", "out"), [(20, 400, 2), (20, 317, 2), (20, 316, 1), (20, 32, 1), (20, 31, 0), (50, 400, 1), (3, 3, 0)]
)
def test_leave_outs_take_at_most_two_thirds_of_the_rows(K, m, out):
    masks = design_masks(K, m)
    assert most_out_by_design(K, m) == out
    head = leave_out_masks(K, out)
    assert np.array_equal(masks[: len(head)], head)
    assert len(masks) == m == len(set(rows(masks)))
    assert 3 * len(head) <= 2 * m
    assert 3 * len(leave_out_masks(K, out + 1)) > 2 * m or out == 2


@pytest.mark.parametrize("K", range(1, 60))
def test_so_many_subsets_are_just_enough_for_all_pairs(K):
    enough = subsets_for_pairs(K)
    assert most_out_by_design(K, enough) == 2
    assert most_out_by_design(K, enough - 1) < 2


@pytest.mark.parametrize(("p", "size"), [(0.5, None), (0.9, None), (0.5, 5), (0.5, 18)])
def test_the_rest_is_drawn_at_random_without_what_is_there(p, size):
    K, m = 20, 400
    masks = design_masks(K, m, p=p, size=size, seed=3)
    head = leave_out_masks(K)
    drawn = fixed_size_masks(K, 3000, size=size, seed=3) if size else bernoulli_masks(K, 3000, p=p, seed=3)
    expected = [row for row in dict.fromkeys(rows(drawn)) if row not in set(rows(head))]
    assert rows(masks[len(head) :]) == expected[: len(masks) - len(head)]
    # of 20 tasks 18 can be chosen in 190 ways, and the design holds them
    assert len(masks) == (211 if size == 18 else m)


@pytest.mark.parametrize(
    ("K", "size", "there_are"),
    [(4, None, 16), (6, None, 64), (6, 3, 20 + 1 + 6 + 15), (6, 4, 15 + 1 + 6), (1, None, 2)],
)
def test_where_there_are_not_enough_all_are_taken(K, size, there_are):
    masks = design_masks(K, 500, size=size, seed=1)
    assert len(masks) == len(set(rows(masks))) == there_are


def test_distinct_draws_are_the_first_of_each_that_come():
    masks = design_masks(10, 300, "distinct", p=0.3, seed=2)
    assert rows(masks) == list(dict.fromkeys(rows(bernoulli_masks(10, 2000, p=0.3, seed=2))))[:300]
    few = design_masks(10, 40, "distinct", p=0.3, seed=2)
    assert np.array_equal(few, masks[:40])
    assert np.array_equal(design_masks(10, 300, "random", p=0.3, seed=2), bernoulli_masks(10, 300, p=0.3, seed=2))


@pytest.mark.parametrize("p", [0.05, 0.5, 0.97])
def test_rare_subsets_come_too_and_what_came_before_stays(p):
    # at p = 0.05 the full set of 9 tasks would take 5e11 draws
    masks = bernoulli_masks(9, 10_000, p=p, seed=4, distinct=True)
    assert len(masks) == len(set(rows(masks))) == 512
    for fewer in (1, 100, 300, 511):
        assert np.array_equal(bernoulli_masks(9, fewer, p=p, seed=4, distinct=True), masks[:fewer])


def test_draws_without_repeats_follow_the_law_of_successive_draws():
    p, K, trials = 0.1, 3, 4000
    weight = {mask: p ** sum(mask) * (1 - p) ** (K - sum(mask)) for mask in product([False, True], repeat=K)}
    last = dict.fromkeys(weight, 0)
    for seed in range(trials):
        last[tuple(bernoulli_masks(K, 8, p=p, seed=seed, distinct=True)[-1].tolist())] += 1

    def chance_of_last(mask, left):
        if len(left) == 1:
            return 1.0
        total = sum(weight[other] for other in left)
        return sum(weight[o] / total * chance_of_last(mask, left - {o}) for o in left if o != mask)

    # the full set hardly ever comes before the others; 5 standard errors
    full = (True,) * K
    expected = chance_of_last(full, frozenset(weight))
    assert 0.5 < expected < 1
    assert abs(last[full] / trials - expected) < 5 * (expected * (1 - expected) / trials) ** 0.5


@pytest.mark.parametrize(
    ("K", "m", "seconds", "found"),
    [
        (12, 50, 0.0, ("all", 4096)),
        (13, 50, 0.0, ("leave_outs", subsets_for_pairs(13))),
        (12, 50, 0.029, ("all", 4096)),  # 119 seconds
        (12, 50, 0.03, ("leave_outs", subsets_for_pairs(12))),  # 123 seconds
        (5, 40, 60.0, ("all", 32)),  # fewer than were asked for
        (5, 30, 60.0, ("leave_outs", 30)),
        (20, 400, 9.0, ("leave_outs", 400)),
        (44, 400, 0.005, ("leave_outs", 1487)),
        (45, 400, 0.005, ("leave_outs", 400)),  # 1,554 rows would make the pages slow
        (45, 2000, 0.005, ("leave_outs", 2000)),
        (20, 50, 0.3, ("leave_outs", 317)),  # 95 seconds
        (20, 50, 0.4, ("leave_outs", 50)),  # 127 seconds
    ],
)
def test_what_is_afforded_is_what_was_asked_for_or_takes_two_minutes(K, m, seconds, found):
    assert affordable_design(K, m, seconds) == found
    assert found[1] <= affordable_number(m, seconds)
    masks = design_masks(K, found[1], found[0])
    assert len(masks) == found[1]
    assert len(masks) <= 2**K


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (lambda: design_masks(5, 5, "best"), "design"),
        (lambda: design_masks(0, 5), "K"),
        (lambda: design_masks(5, 0), "m"),
        (lambda: design_masks(5, 5, p=1.0), "p"),
        (lambda: design_masks(5, 5, size=6), "size"),
        (lambda: design_masks(15, 5, "all"), "K"),
        (lambda: affordable_design(5, 5, -1.0), "seconds"),
        (lambda: affordable_design(5, 5, float("nan")), "seconds"),
        (lambda: affordable_design(5, 0, 1.0), "m"),
    ],
)
def test_impossible_designs_are_refused(call, place):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.place == place


def test_sizes_of_designs():
    assert [possible_subsets(K) for K in (1, 8, 12)] == [2, 256, 4096]
    assert possible_subsets(50, 4) == comb(50, 4)
