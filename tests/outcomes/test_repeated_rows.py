"""Rows that hold the same subset."""

import numpy as np
import pytest

from kernelsm.outcomes.repeated_rows import groups_of_rows, merged_rows, rows_agree

MASKS = np.array([[1, 0], [0, 1], [1, 1], [1, 0]], dtype=np.float64)


@pytest.mark.parametrize(("again", "agree"), [(1.0, True), (1.0 + 1e-12, True), (1.001, False)])
def test_outcomes_of_one_subset_agree_up_to_rounding(again, agree):
    values = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 9.0], [again, 5.0]])
    assert rows_agree(MASKS, values) == agree
    assert rows_agree(MASKS[:3], values[:3])


def test_rows_of_one_subset_are_merged_in_the_order_in_which_they_stand():
    first, group = groups_of_rows(MASKS)
    assert first.tolist() == [0, 1, 2]
    assert group.tolist() == [0, 1, 2, 0]
    means, differ = merged_rows(np.array([[1.0], [2.0], [3.0], [2.0]]), group)
    assert means.tolist() == [[1.5], [2.0], [3.0]]
    assert differ.ravel().tolist() == [True, False, False, True]
