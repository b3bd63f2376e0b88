"""Training many small networks together, and what is read from its course."""

import numpy as np
import pytest
import torch

from kernelsm import InputError, bernoulli_masks
from kernelsm.paper import curvature
from kernelsm.paper.curvature import Course, course_of, small_arithmetic, subsets
from kernelsm.paper.curvature_and_fit import fit_epochs
from kernelsm.runtime.store import Store


@pytest.fixture(scope="module")
def suite():
    return small_arithmetic()


def test_a_network_among_others_is_trained_as_if_alone(suite):
    masks = subsets(suite.K)[:3]
    together = curvature._train(suite, masks, "plain", 0, (1, 2))
    alone = curvature._train(suite, masks[1:2], "plain", 0, (1, 2))
    np.testing.assert_allclose(together.losses[1], alone.losses[0], atol=1e-3)
    assert (together.training_loss[:, 1] < together.training_loss[:, 0]).all()


@pytest.mark.parametrize("way", curvature.WAYS)
def test_every_way_learns_and_another_order_of_batches_is_another_training(suite, way):
    masks = subsets(suite.K)[:2]
    first, second = (curvature._train(suite, masks, way, order, (6,)) for order in (0, 1))
    assert (first.training_loss < np.log(suite.classes)).all()
    assert not np.allclose(first.losses, second.losses, atol=1e-4)


def test_the_trace_is_that_of_the_hessian():
    torch.manual_seed(0)
    matrix = torch.randn(4, 4).double()
    matrix = matrix + matrix.T

    def loss(weights):
        return weights["a"] @ matrix @ weights["a"] / 2 + 3 * (weights["b"] ** 2).sum() / 2

    found = curvature._trace(loss, {"a": torch.zeros(4), "b": torch.ones(2, 2)}, probes=400)
    assert found == pytest.approx(float(matrix.trace()) + 12, abs=1.5)


def test_losses_of_a_target_are_the_mean_of_its_samples(suite):
    losses = np.arange(2.0 * len(suite.test_labels)).reshape(2, -1)
    found = curvature._by_target(losses, suite)
    assert found[1, 3] == pytest.approx(losses[1, suite.target_of == 3].mean())


def test_finished_curves_come_from_the_store(suite, tmp_path, monkeypatch):
    monkeypatch.setattr(curvature, "EPOCHS", (1,))
    monkeypatch.setattr(curvature, "SUBSETS", 4)
    monkeypatch.setattr(curvature, "BLOCK", 2)
    store = Store(tmp_path)
    first = course_of("plain", 0, store)
    again = course_of("plain", 0, store)
    assert (store.computed, store.reused) == (2, 2)
    assert first.losses.shape == (4, 1, len(suite.target_names))
    np.testing.assert_array_equal(first.losses, again.losses)
    with pytest.raises(InputError, match="'plain' or 'SAM' or 'NSO'"):
        course_of("best", 0, store)


def test_surrogates_and_ceiling_are_told_apart_where_outcomes_are_additive_or_chance():
    rng = np.random.default_rng(0)
    masks = bernoulli_masks(8, 60, seed=0)
    additive = masks @ rng.normal(size=(8, 3))
    losses = np.stack([additive, rng.normal(size=additive.shape)], axis=1)
    course = Course(losses, np.ones((60, 2)), np.full(2, np.nan))
    again = Course(
        np.stack([additive, rng.normal(size=additive.shape)], axis=1), np.ones((60, 2)), np.full(2, np.nan)
    )
    early, late = fit_epochs(masks, course, again)
    assert early.linear.value > 0.95
    assert early.ceiling.value > 0.99
    assert early.residual["linear"] < 0.05
    assert abs(late.ceiling.value) < 0.3
    assert late.residual["linear"] > 0.8
