"""From slopes by weights to effects of leaving out, and the additive prediction."""

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.attributors.attributor import MethodCost, effects_of, removal_steps
from kernelsm.attributors.influence import ExactInfluence
from kernelsm.runtime.store import Store


def test_weights_move_as_in_the_training_loss(blobs):
    everything = np.ones((1, 5), dtype=bool)
    sizes, first = np.bincount(blobs.task_of), np.unique(blobs.task_of, return_index=True)[1]

    def shares(masks):
        return blobs.sample_weights(masks)[:, first] * sizes

    expected = shares(~np.eye(5, dtype=bool)) - shares(everything)
    np.testing.assert_allclose(removal_steps(shares(everything)[0].astype(float)), expected, atol=1e-6)


def test_a_task_that_is_alone_leaves_nothing():
    np.testing.assert_allclose(removal_steps(np.array([1.0])), [[-1.0]])


def test_effects_are_minus_the_slopes_along_the_removal():
    rng = np.random.default_rng(0)
    shares, slopes = rng.dirichlet(np.ones(4)), rng.normal(size=(4, 2))
    np.testing.assert_allclose(effects_of(slopes, shares, centred=True), -removal_steps(shares) @ slopes)
    np.testing.assert_allclose(effects_of(slopes, shares, centred=False), shares[:, None] * slopes)


def test_predictions_add_effects_up(linear):
    method = ExactInfluence(linear)
    effects = method.attribute().values
    masks = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0]], dtype=bool)
    predicted = method.predict(masks)
    np.testing.assert_allclose(predicted[0], linear.target_losses(linear.at))
    np.testing.assert_allclose(predicted[1], predicted[0] - effects[1] - effects[4])
    with pytest.raises(InputError, match="one column per task"):
        method.predict(masks[:, :3])
    with pytest.raises(InputError, match="single tasks only"):
        method.interactions()


def test_finished_work_is_found_again(linear, tmp_path):
    store = Store(tmp_path)
    first = ExactInfluence(linear).attribute(store=store)
    assert store.computed == 1
    again = ExactInfluence(linear).attribute(store=store)
    np.testing.assert_array_equal(first.values, again.values)
    assert (store.computed, store.reused) == (1, 1)
    ExactInfluence(linear, centred=False).attribute(store=store)  # the slopes are the same
    assert store.computed == 1
    ExactInfluence(linear, damping=1.0).attribute(store=store)
    assert store.computed == 2


def test_costs_are_said_in_words():
    assert MethodCost(0, 0.2, 100).sentence() == "less than a second, 1 MiB"
    assert MethodCost(12, 7.4, 3 * 2**20).sentence() == "12 passes over the training samples, about 7 s, 3 MiB"


def test_effects_have_the_sign_of_the_truth(linear, blobs, features):
    """The mislabelled task hurts, and first-order effects agree with really minimising the linear model."""
    from kernelsm import GradEx

    everything = np.ones((1, 5), dtype=bool)
    outcomes = GradEx(blobs, *features, ridge=linear.ridge).outcomes(np.vstack([everything, ~np.eye(5, dtype=bool)]))
    truth = outcomes.values[0] - outcomes.values[1:]
    found = ExactInfluence(linear).attribute().values
    assert np.corrcoef(truth.ravel(), found.ravel())[0, 1] > 0.8
    assert truth.mean(axis=1).argmax() == found.mean(axis=1).argmax() == 4
    assert torch.is_tensor(linear.start)
