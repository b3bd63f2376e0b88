"""Features along directions found for the tasks: GradEx in them is GradEx in all coordinates."""

import numpy as np
import pytest
import torch

from kernelsm import GradEx, InputError, adapted_features, gradient_features
from kernelsm.estimators.adapted_features import orthonormal, probe_masks
from kernelsm.gradients.choices import PROBES
from kernelsm.runtime.progress import Cancelled
from kernelsm.runtime.store import Store

RIDGE = 0.5
EVERY_MASK = np.array([[code >> k & 1 for k in range(5)] for code in range(32)], dtype=bool)


def exact(suite, model, outputs="logits", **settings):
    train, test = (
        gradient_features(model, inputs, labels, "exact", outputs=outputs)
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    return GradEx(suite, train, test, ridge=RIDGE, tolerance=1e-6, **settings).outcomes(EVERY_MASK)


@pytest.mark.parametrize("outputs", ["logits", "margin"])
def test_outcomes_of_all_subsets_are_those_of_the_exact_basis(blobs, blobs_model, outputs):
    truth = exact(blobs, blobs_model, outputs)
    errors, counts = [], []
    for residual in (0.5, 0.01):
        train, test = adapted_features(blobs, blobs_model, ridge=RIDGE, residual=residual, outputs=outputs)
        found = GradEx(blobs, train, test, ridge=RIDGE, tolerance=1e-6).outcomes(EVERY_MASK)
        errors.append(np.abs(found.values - truth.values).max())
        counts.append(train.features.shape[2])
        assert train.meta["residual"] <= residual
        assert train.meta["projection"] == f"adapted, {counts[-1]} dimensions"
    assert counts[0] < counts[1] <= 51  # as many as the network has parameters
    spread = truth.values.std(axis=0).min()
    assert errors[1] < 0.01 * spread
    assert errors[1] <= errors[0]


def test_no_more_directions_than_asked_for_and_what_is_left_is_told(blobs, blobs_model):
    train, test = adapted_features(blobs, blobs_model, ridge=RIDGE, dim=3, residual=0.0)
    assert train.features.shape[2] == test.features.shape[2] == 3
    assert train.meta == test.meta
    more, _ = adapted_features(blobs, blobs_model, ridge=RIDGE, dim=8, residual=0.0)
    assert 0 < more.meta["residual"] < train.meta["residual"]


def test_the_gradients_of_the_tasks_come_first(blobs, blobs_model):
    """With a very strong pull nothing else matters: five directions give the exact outcomes."""
    train, test = adapted_features(blobs, blobs_model, ridge=1e4)
    assert train.features.shape[2] == 5
    assert train.meta["residual"] < 0.1
    strong = GradEx(blobs, train, test, ridge=1e4, tolerance=1e-6).outcomes(EVERY_MASK).values
    features = [
        gradient_features(blobs_model, inputs, labels, "exact")
        for inputs, labels in ((blobs.inputs, blobs.labels), (blobs.test_inputs, blobs.test_labels))
    ]
    truth = GradEx(blobs, *features, ridge=1e4, tolerance=1e-6).outcomes(EVERY_MASK).values
    np.testing.assert_allclose(strong - strong[0], truth - truth[0], atol=1e-6)


def test_task_weights_count(blobs, blobs_model):
    weights = [1.0, 2.0, 5.0, 1.0, 20.0]
    truth = exact(blobs, blobs_model, task_weights=weights)
    train, test = adapted_features(blobs, blobs_model, ridge=RIDGE, residual=0.01, task_weights=weights)
    found = GradEx(blobs, train, test, ridge=RIDGE, tolerance=1e-6, task_weights=weights).outcomes(EVERY_MASK)
    np.testing.assert_allclose(found.values, truth.values, atol=0.01 * truth.values.std(axis=0).min())


def test_cancelled_work_is_resumed_and_gives_the_same(blobs, blobs_model, tmp_path):
    rounds = []

    def stop_in_the_second_round(done, total, message="", *, reused=False):
        rounds.append(message)
        if rounds.count("directions") == 2:
            raise Cancelled

    settings = {"ridge": RIDGE, "residual": 0.05}
    with pytest.raises(Cancelled):
        adapted_features(blobs, blobs_model, **settings, store=Store(tmp_path), report=stop_in_the_second_round)
    store = Store(tmp_path)
    resumed = adapted_features(blobs, blobs_model, **settings, store=store)
    assert store.reused > 0
    again = adapted_features(blobs, blobs_model, **settings, store=(finished := Store(tmp_path)))
    assert finished.computed == 0
    for one, other in zip(resumed, again, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        assert one.meta == other.meta
    fewer = adapted_features(blobs, blobs_model, ridge=RIDGE, dim=7, residual=0.0, store=Store(tmp_path))
    np.testing.assert_allclose(fewer[0].features[:, :, :5], resumed[0].features[:, :, :5], atol=1e-6)


def test_new_directions_are_orthonormal_and_span_what_is_new():
    rng = torch.Generator().manual_seed(0)
    before = torch.linalg.qr(torch.randn((30, 4), generator=rng)).Q.T
    fresh = torch.randn((3, 30), generator=rng)
    candidates = torch.cat([fresh, before[:2] * 5, fresh[:1] + fresh[1:2]])
    found = orthonormal(candidates, before)
    together = torch.cat([before, found])
    assert len(found) == 3
    torch.testing.assert_close(together @ together.T, torch.eye(7), rtol=0, atol=1e-5)
    torch.testing.assert_close(fresh @ together.T @ together, fresh, rtol=0, atol=1e-4)


@pytest.mark.parametrize("K", [1, 2, 25])
def test_probes_are_never_empty_and_differ_between_rounds(K):
    masks = probe_masks(K, 1)
    assert masks.shape == (PROBES, K)
    assert masks.any(axis=1).all()
    assert masks[0].all()
    assert np.array_equal(masks, probe_masks(K, 1))
    assert K == 1 or not np.array_equal(masks, probe_masks(K, 2))


def test_weights_without_gradients_and_numbers_out_of_range_are_refused(blobs, blobs_model):
    for change in ({"ridge": 0.0}, {"residual": -1.0}, {"dim": 0}):
        with pytest.raises(InputError, match=next(iter(change))):
            adapted_features(blobs, blobs_model, **{"ridge": RIDGE, **change})
