"""Gradient features: equal to autograd, sample by sample, and resumable."""

import numpy as np
import pytest
import torch

from kernelsm import InputError, gradient_features
from kernelsm.gradients.projections import Gaussian
from kernelsm.runtime.store import Store


def by_autograd(model, sample):
    """Logits and the flattened gradient of each logit of one sample, with plain backward passes."""
    logits = model(torch.from_numpy(sample)[None])[0]
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(logit, list(model.parameters()), retain_graph=True)])
        for logit in logits
    ]
    return logits.detach().numpy(), torch.stack(rows).numpy()


def test_exact_features_are_autograds_gradients(blobs, blobs_model):
    found = gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=7)
    for i, sample in enumerate(blobs.inputs):
        logits, gradients = by_autograd(blobs_model, sample)
        np.testing.assert_allclose(found.logits[i], logits, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.features[i], gradients, rtol=1e-5, atol=1e-6)
    assert found.meta["projection"] == "exact basis"
    assert found.meta["parameters"] == found.features.shape[-1] == 4 * 6 + 6 + 6 * 3 + 3


def test_a_convolution_and_its_buffers_are_no_trouble():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    inputs = np.random.default_rng(0).normal(size=(5, 1, 4, 4)).astype(np.float32)
    model(torch.from_numpy(inputs))  # gives the buffers values that matter
    model.eval()
    found = gradient_features(model, inputs, np.zeros(5, dtype=np.int64))
    for i in range(5):
        logits, gradients = by_autograd(model, inputs[i])
        np.testing.assert_allclose(found.logits[i], logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.features[i], gradients, rtol=1e-4, atol=1e-5)


def test_projected_features_are_the_projection_of_the_exact_ones(blobs, blobs_model):
    exact = gradient_features(blobs_model, blobs.inputs, blobs.labels, "exact")
    projected = gradient_features(blobs_model, blobs.inputs, blobs.labels, "gaussian", dim=8, batch_size=10)
    expected = Gaussian(8).apply(torch.from_numpy(exact.features))
    np.testing.assert_allclose(projected.features, expected, rtol=1e-4, atol=1e-4)
    assert projected.features.shape == (len(blobs.inputs), 3, 8)


def test_the_batch_size_changes_nothing(blobs, blobs_model):
    one, many = (gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=b) for b in (1, 100))
    np.testing.assert_allclose(one.features, many.features, rtol=1e-5, atol=1e-6)


def test_the_store_keeps_each_chunk(blobs, blobs_model):
    reports = []

    def report(done, total, message="", *, reused=False):
        reports.append((done, total, reused))

    def compute(count):
        store = Store()
        found = gradient_features(
            blobs_model, blobs.inputs[:count], blobs.labels[:count], batch_size=10, store=store, report=report
        )
        return found, store

    _, first = compute(20)
    assert (first.computed, first.reused) == (2, 0)
    # a longer run starts where the shorter one ended
    found, second = compute(40)
    assert (second.computed, second.reused) == (2, 2)
    again, third = compute(40)
    assert (third.computed, third.reused) == (0, 4)
    assert np.array_equal(found.features, again.features)
    assert reports[2:6] == [(1, 4, True), (2, 4, True), (3, 4, False), (4, 4, False)]


def test_other_weights_or_another_projection_are_other_chunks(blobs, blobs_model):
    from kernelsm.models.mlp import mlp

    store = Store()
    for model, projection in (
        (blobs_model, "exact"), (mlp((4, 6, 3), seed=9), "exact"), (blobs_model, Gaussian(8, seed=0)),
        (blobs_model, Gaussian(8, seed=1)),
    ):  # fmt: skip
        gradient_features(model, blobs.inputs, blobs.labels, projection, batch_size=100, store=store)
    assert (store.computed, store.reused) == (4, 0)


def test_the_seed_of_the_map_is_told(blobs, blobs_model):
    # features through two maps must not pass for features through one
    first, second = (
        gradient_features(blobs_model, blobs.inputs, blobs.labels, Gaussian(8, seed=seed)).meta for seed in (0, 1)
    )
    assert first != second


def test_gradients_that_are_not_finite_are_refused(blobs, blobs_model):
    broken = blobs.inputs.copy()
    broken[3, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        gradient_features(blobs_model, broken, blobs.labels)


@pytest.mark.parametrize("wrong", ["count", "range"])
def test_labels_that_do_not_fit_are_refused(blobs, blobs_model, wrong):
    labels = blobs.labels[1:] if wrong == "count" else blobs.labels + 1
    with pytest.raises(InputError, match="labels"):
        gradient_features(blobs_model, blobs.inputs, labels)
