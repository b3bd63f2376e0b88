"""Second-order influence against the outcomes of the linear model, minimised anew with other weights of tasks."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from kernelsm.attributors.feature_losses import FeatureLosses
from kernelsm.attributors.influence import ExactInfluence
from kernelsm.attributors.second_order import SecondOrderInfluence
from kernelsm.runtime.store import Store

RIDGE = 0.5


@pytest.fixture(scope="module")
def tuned(blobs, features):
    losses = FeatureLosses(blobs, *features, ridge=RIDGE, point="all_tasks")
    losses._at = losses.start.new_tensor(minimum(blobs, features, losses.shares.numpy()))
    return losses


def minimum(blobs, features, shares):
    """Z of the linear model whose tasks have these weights, to full precision."""
    G, f = features[0].features.astype(float), features[0].model_outputs.astype(float)
    weights = (shares / np.bincount(blobs.task_of))[blobs.task_of]
    rows = np.arange(len(f))

    def objective(z):
        logits = f + G @ z
        residual = softmax(logits, axis=1) - np.eye(3)[blobs.labels]
        value = -weights @ log_softmax(logits, axis=1)[rows, blobs.labels] + RIDGE / 2 * z @ z
        return value, np.einsum("n,nc,nck->k", weights, residual, G) + RIDGE * z

    options = {"maxiter": 10_000, "ftol": 1e-18, "gtol": 1e-13}
    return minimize(objective, np.zeros(G.shape[-1]), jac=True, method="L-BFGS-B", options=options).x


def outcomes(blobs, features, shares):
    z = minimum(blobs, features, shares)
    logits = features[1].model_outputs + features[1].features.astype(float) @ z
    losses = -log_softmax(logits, axis=1)[np.arange(len(logits)), blobs.test_labels]
    return np.array([losses[blobs.target_of == j].mean() for j in range(3)])


def test_the_expansion_is_that_of_outcomes_in_the_weights(blobs, features, tuned):
    values, slopes, seconds = SecondOrderInfluence(tuned).expansion()
    a, h = tuned.shares.numpy(), 1e-3
    np.testing.assert_allclose(values, outcomes(blobs, features, a), atol=1e-5)

    def moved(*steps):
        shares = a.copy()
        for k, step in steps:
            shares[k] += step
        return outcomes(blobs, features, shares)

    for k, other in ((0, 0), (1, 4), (2, 3)):
        slope = (moved((k, h)) - moved((k, -h))) / (2 * h)
        np.testing.assert_allclose(slopes[k], slope, atol=1e-3 * np.abs(slopes).max())
        mixed = (
            moved((k, h), (other, h))
            - moved((k, h), (other, -h))
            - moved((k, -h), (other, h))
            + moved((k, -h), (other, -h))
        ) / (4 * h * h)
        np.testing.assert_allclose(seconds[k, other], mixed, atol=0.02 * np.abs(seconds).max())
    np.testing.assert_allclose(seconds, seconds.transpose(1, 0, 2), atol=1e-8 * np.abs(seconds).max())


def test_the_second_order_is_nearer_than_the_first(blobs, features, tuned):
    from kernelsm import GradEx

    masks = np.vstack([np.ones((1, 5), bool), ~np.eye(5, dtype=bool)])
    table = GradEx(blobs, *features, ridge=RIDGE, tolerance=1e-6).outcomes(masks)
    truth = table.values[0] - table.values[1:]
    second = np.abs(SecondOrderInfluence(tuned).attribute().values - truth).mean()
    first = np.abs(ExactInfluence(tuned).attribute().values - truth).mean()
    assert second < 0.6 * first


def test_effects_pairs_and_predictions_are_one_quadratic(tuned, tmp_path):
    store = Store(tmp_path)
    method = SecondOrderInfluence(tuned)
    effects, pairs = method.attribute(store=store).values, method.interactions().values
    masks = np.ones((4, 5), dtype=bool)
    masks[1, 2] = masks[2, 3] = masks[3, [2, 3]] = False
    full, no2, no3, neither = method.predict(masks)
    np.testing.assert_allclose(effects[2], full - no2)
    np.testing.assert_allclose(pairs[2, 3], full - no2 - no3 + neither)
    np.testing.assert_allclose(full, method.baseline())
    assert (np.diagonal(pairs) == 0).all()
    assert store.computed == 1
