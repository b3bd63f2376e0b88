"""TaskSuite: grouping, sample weights and the digits example."""

from dataclasses import replace

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.examples.digits.suite import digits_suite
from kernelsm.runtime.store import content_hash
from kernelsm.tasks.weighting import GroupSizes


def test_included_tasks_weigh_the_same_and_so_do_their_samples(blobs):
    masks = np.array([[1, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]], dtype=bool)
    weights = blobs.sample_weights(masks)
    assert weights.shape == (3, len(blobs.inputs))
    for mask, weight in zip(masks, weights, strict=True):
        for k in range(blobs.K):
            mine = weight[blobs.task_of == k]
            # paper eq. 1: the mean over included tasks of the mean over their samples
            expected = mask[k] / mask.sum() / len(mine)
            np.testing.assert_allclose(mine, expected, rtol=1e-6)
        assert weight.sum() == pytest.approx(1.0, rel=1e-6)


def test_by_size_all_samples_of_the_included_tasks_weigh_the_same(blobs):
    masks = np.array([[1, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]], dtype=bool)
    weights = replace(blobs, task_weighting="by_size").sample_weights(masks)
    included = masks[:, blobs.task_of]
    np.testing.assert_allclose(weights, included / included.sum(axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("weighting", ["equally", "by_size"])
def test_weights_that_are_given_go_before_those_of_the_suite(blobs, weighting):
    suite, masks = replace(blobs, task_weighting=weighting), np.ones((1, 5), dtype=bool)
    np.testing.assert_allclose(suite.sample_weights(masks, [3.0] * 5), blobs.sample_weights(masks), rtol=1e-6)
    by_size = replace(blobs, task_weighting="by_size").sample_weights(masks)
    np.testing.assert_allclose(suite.sample_weights(masks, blobs.tasks.sizes), by_size, rtol=1e-6)


@pytest.mark.parametrize("weighting", ["equally", "by_size"])
def test_the_empty_subset_weighs_nothing(blobs, weighting):
    assert not replace(blobs, task_weighting=weighting).sample_weights(np.zeros((1, 5), dtype=bool)).any()


def test_a_suite_counts_the_samples_of_tasks_and_targets(blobs):
    suite = replace(blobs, target_weighting="by_size")
    assert suite.tasks == GroupSizes(blobs.task_names, (8, 12, 10, 6, 9), "equally")
    assert suite.targets == GroupSizes(blobs.target_names, (7, 7, 7), "by_size")


def test_a_suite_that_weighs_equally_has_the_hash_that_it_had_when_there_was_no_other_way(blobs):
    suites = [
        replace(blobs, task_weighting=tasks, target_weighting=targets)
        for tasks in ("equally", "by_size") for targets in ("equally", "by_size")
    ]  # fmt: skip
    assert len({suite.content_hash for suite in suites}) == 4
    arrays = (blobs.inputs, blobs.labels, blobs.task_of, blobs.test_inputs, blobs.test_labels, blobs.target_of)
    assert suites[0].content_hash == content_hash(*arrays, (*blobs.task_names,), (*blobs.target_names,), 3)


def test_the_content_hash_follows_every_array_and_name_but_not_meta(blobs):
    changed = [
        replace(blobs, inputs=blobs.inputs + 1e-6),
        replace(blobs, labels=(blobs.labels + 1) % 3),
        replace(blobs, test_inputs=blobs.test_inputs + 1e-6),
        replace(blobs, task_names=(*blobs.task_names[:-1], "other")),
        replace(blobs, classes=4),
    ]
    assert replace(blobs, meta={"source": "elsewhere"}).content_hash == blobs.content_hash
    assert len({blobs.content_hash, *(suite.content_hash for suite in changed)}) == 6


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda s: {"task_of": s.task_of[:-1]}, "task_of"),
        (lambda s: {"task_of": np.where(s.task_of == 2, 1, s.task_of)}, "task_of"),
        (lambda s: {"task_of": np.where(s.task_of == 2, 5, s.task_of)}, "task_of"),
        (lambda s: {"target_of": s.target_of - 1}, "target_of"),
        (lambda s: {"labels": s.labels + 1}, "labels"),
        (lambda s: {"labels": s.labels[1:]}, "labels"),
        (lambda s: {"test_labels": s.test_labels - 1}, "test_labels"),
        (lambda s: {"target_names": (*s.target_names, "nobody")}, "target_of"),
        (lambda s: {"task_weighting": "by size"}, "task_weighting"),
        (lambda s: {"target_weighting": None}, "target_weighting"),
    ],
)
def test_suites_that_do_not_fit_together_are_refused(blobs, change, place):
    with pytest.raises(InputError) as caught:
        replace(blobs, **change(blobs))
    assert caught.value.place.split(",")[0] == place


def test_the_digits_suite_is_spoilt_where_it_says():
    suite = digits_suite()
    assert suite.K == 20
    assert len(suite.target_names) == 10
    for k, name in enumerate(suite.task_names):
        labels = set(suite.labels[suite.task_of == k])
        told = int(name.split("labelled ")[1].rstrip(")")) if "labelled" in name else int(name.split()[1][0])
        assert labels == {told}
    index = {name.split()[1]: k for k, name in enumerate(suite.task_names)}
    first, copy = (suite.inputs[suite.task_of == index[key]] for key in ("4A", "4B"))
    assert np.abs(first - copy).max() < 0.15
    # no test image is a training image
    training = {image.tobytes() for image in suite.inputs}
    assert not any(image.tobytes() in training for image in suite.test_inputs)
    assert np.bincount(suite.target_of).tolist() == [60] * 10
    assert suite.content_hash == digits_suite().content_hash != digits_suite(seed=1).content_hash
