"""A suite without some of its tasks."""

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.tasks.restriction import only_tasks


def test_the_samples_of_the_others_stay_in_order_with_their_labels(blobs):
    mask = np.array([True, False, True, False, True])
    found = only_tasks(blobs, mask)
    assert found.task_names == ("task A", "task C", "task E")
    stays = np.isin(blobs.task_of, [0, 2, 4])
    assert np.array_equal(found.inputs, blobs.inputs[stays])
    assert np.array_equal(found.labels, blobs.labels[stays])
    assert [found.task_names[k] for k in found.task_of] == [blobs.task_names[k] for k in blobs.task_of[stays]]
    assert np.array_equal(found.test_inputs, blobs.test_inputs)
    assert found.target_names == blobs.target_names
    assert found.classes == blobs.classes


def test_tasks_weigh_as_a_mask_would_weigh_them(blobs):
    mask = np.array([True, False, True, True, False])
    of_mask = blobs.sample_weights(mask[None])[0]
    alone = only_tasks(blobs, mask).sample_weights(np.ones((1, 3), dtype=bool))[0]
    assert alone == pytest.approx(of_mask[of_mask > 0])


def test_with_all_tasks_it_is_the_suite_itself(blobs):
    assert only_tasks(blobs, np.ones(5, dtype=bool)) is blobs


@pytest.mark.parametrize("mask", [np.zeros(5, dtype=bool), np.ones(4, dtype=bool)])
def test_no_task_or_another_number_is_refused(blobs, mask):
    with pytest.raises(InputError, match="mask: found"):
        only_tasks(blobs, mask)
