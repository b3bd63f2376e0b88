"""Coordinates in the span of the training gradients: the same GradEx as in all coordinates."""

import numpy as np
import pytest

from kernelsm import GradEx, bernoulli_masks, gradient_features
from kernelsm.gradients.training_span import in_training_span


@pytest.fixture(scope="module")
def features(blobs, blobs_model):
    return tuple(
        gradient_features(blobs_model, inputs, labels, "exact", outputs="margin")
        for inputs, labels in ((blobs.inputs, blobs.labels), (blobs.test_inputs, blobs.test_labels))
    )


def test_gradex_is_the_same(blobs, features):
    masks = bernoulli_masks(blobs.K, 12, seed=1)
    whole = GradEx(blobs, *features, ridge=0.1, tolerance=1e-6).outcomes(masks).values
    found = GradEx(blobs, *in_training_span(*features), ridge=0.1, tolerance=1e-6).outcomes(masks).values
    assert np.abs(found - whole).max() < 1e-5


def test_there_are_no_more_coordinates_than_the_span_has(features):
    train, test = features
    few = type(train)(train.model_outputs[:5], train.features[:5], train.labels[:5], train.meta)
    twice = np.concatenate([few.features, few.features])
    doubled = type(train)(np.tile(few.model_outputs, (2, 1)), twice, np.tile(few.labels, 2), train.meta)
    for one in (few, doubled):
        small, small_test = in_training_span(one, test)
        assert small.features.shape == (len(one.labels), 1, 5)
        assert small_test.features.shape == (len(test.labels), 1, 5)
        assert small.meta == train.meta
