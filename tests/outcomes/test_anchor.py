"""How near a table comes to all tasks together, and whether it is complete."""

import numpy as np
import pytest

from kernelsm import anchor_support, bernoulli_masks, design_masks, fixed_size_masks, load_example
from kernelsm.outcomes.anchor import missing_leave_outs
from kernelsm.outcomes.completeness import only_size, subsets_left
from kernelsm.outcomes.designs import all_masks, leave_out_masks


def test_the_rows_near_all_tasks_are_counted_once_each():
    masks = np.vstack(
        [leave_out_masks(6, 1), leave_out_masks(6)[7:11], np.zeros((3, 6), bool), np.ones((2, 6), bool)]
    )
    found = anchor_support(masks)
    assert (found.tasks, found.subsets, found.out, found.nearest) == (6, 12, (1, 6, 4), 0)
    assert found.near == 11
    assert found.share == pytest.approx(11 / 12)
    assert found.holds_leave_one_out
    assert not found.holds_pairs
    assert not found.is_extrapolation
    assert anchor_support(leave_out_masks(6)).holds_pairs


@pytest.mark.parametrize(
    ("masks", "extrapolates"),
    [
        (bernoulli_masks(20, 400), True),
        (bernoulli_masks(20, 400, p=0.9), False),
        (bernoulli_masks(10, 400), False),  # a twentieth of all subsets lacks at most two of ten
        (bernoulli_masks(50, 400, p=0.7), True),
        (design_masks(20, 400), False),
        (design_masks(50, 400), False),
        (fixed_size_masks(50, 200, size=4), True),
        (all_masks(1), False),
        (all_masks(2), False),
        (all_masks(8), False),
        (leave_out_masks(9)[:9], True),  # one short of the outcome there and nine effects
        (leave_out_masks(9)[:10], False),
    ],
)
def test_fewer_rows_nearby_than_numbers_to_find_are_extrapolation(masks, extrapolates):
    assert anchor_support(masks).is_extrapolation == extrapolates


def test_the_finished_examples_are_told_apart():
    found = {name: anchor_support(load_example(name).masks) for name in ("digits", "planted", "sentiment")}
    assert {name: support.is_extrapolation for name, support in found.items()} == {
        "digits": True, "planted": False, "sentiment": False,
    }  # fmt: skip


def test_what_is_missing_near_all_tasks_is_what_completes_it():
    masks = bernoulli_masks(7, 30, p=0.8, seed=1)
    missing = missing_leave_outs(masks)
    known = {row.tobytes() for row in masks}
    assert not known & {row.tobytes() for row in missing}
    assert anchor_support(np.vstack([masks, missing])).holds_pairs
    assert len(missing) + anchor_support(masks).near == 1 + 7 + 21
    assert len(missing_leave_outs(leave_out_masks(7))) == 0
    assert np.array_equal(missing_leave_outs(masks, 1), missing[missing.sum(axis=1) >= 6])


def test_a_complete_table_has_no_subset_left():
    masks = all_masks(5)
    assert subsets_left(masks) == 0
    assert subsets_left(np.vstack([masks, masks[:4]])) == 0
    assert subsets_left(masks[1:]) == 1
    assert subsets_left(np.vstack([masks[1:], masks[1:4]])) == 1
    assert subsets_left(np.eye(6, dtype=bool)) == 0  # all subsets of one task
    assert subsets_left(fixed_size_masks(6, 19, size=3, distinct=True)) == 1
    assert only_size(fixed_size_masks(6, 19, size=3)) == 3
    assert only_size(np.ones((3, 4), bool)) is only_size(masks) is None
    assert subsets_left(np.ones((3, 4), bool)) == 15
