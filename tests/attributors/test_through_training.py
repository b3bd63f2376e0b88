"""MAGIC against training runs with other weights, SOURCE where training is quadratic, BIF where it must agree."""

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.attributors.bayesian import BayesianInfluence
from kernelsm.attributors.descent import Descent
from kernelsm.attributors.feature_losses import FeatureLosses
from kernelsm.attributors.influence import ExactInfluence
from kernelsm.attributors.metagradients import Magic
from kernelsm.attributors.network_losses import NetworkLosses
from kernelsm.attributors.segments import Source
from kernelsm.runtime.store import Store


@pytest.fixture(scope="module")
def smooth(blobs):
    """A network without kinks."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    return NetworkLosses(blobs, model, ridge=0.05)


def end_losses(losses, descent, shares):
    """Target losses at the end of the run with these weights of tasks."""
    before, losses.shares = losses.shares, shares
    try:
        state = descent.first()
        for _ in range(descent.steps):
            state = descent.step(state)
        return losses.target_losses(state[0]).detach().numpy()
    finally:
        losses.shares = before


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_magic_is_the_slope_of_the_run(smooth, momentum):
    descent = Descent(smooth, steps=25, checkpoints=3, learning_rate=0.2, momentum=momentum)
    found, h = Magic(descent).slopes(), 1e-5
    for k in (0, 4):
        moved = torch.zeros_like(smooth.shares)
        moved[k] = h
        above, below = (end_losses(smooth, descent, smooth.shares + sign * moved) for sign in (1, -1))
        np.testing.assert_allclose(found[k], (above - below) / (2 * h), rtol=1e-5, atol=1e-8)


def test_magic_at_the_end_of_a_long_run_is_influence_at_the_minimum(blobs, features):
    """In the linear model the Hessian is the Gauss-Newton matrix."""
    losses = FeatureLosses(blobs, *features, ridge=0.5)
    descent = Descent(losses, steps=150, checkpoints=3)
    found = Magic(descent).slopes()
    tuned = FeatureLosses(blobs, *features, ridge=0.5, point="all_tasks")
    expected = ExactInfluence(tuned).slopes()
    # that minimum is found in single precision
    np.testing.assert_allclose(found, expected, atol=5e-3 * np.abs(expected).max())


def test_magic_resumes_by_segments_and_knows_its_end(smooth, tmp_path):
    store = Store(tmp_path)
    descent = Descent(smooth, steps=6, checkpoints=3, learning_rate=0.1)
    first = Magic(descent).attribute(store=store)
    assert store.computed == 7  # three segments forward, three back, and the slopes
    again = Magic(Descent(smooth, steps=6, checkpoints=3, learning_rate=0.1))
    np.testing.assert_array_equal(again.attribute(store=store).values, first.values)
    assert store.computed == 7
    np.testing.assert_allclose(again.baseline(), end_losses(smooth, descent, smooth.shares))


def test_source_with_one_step_segments_is_what_descent_does(linear):
    """Short segments follow the run; the linear model's curvature is that of its loss."""
    descent = Descent(linear, steps=120, checkpoints=20, learning_rate=0.05, momentum=0.0)
    expected = Magic(descent).slopes()
    np.testing.assert_allclose(Source(descent).slopes(), expected, atol=0.02 * np.abs(expected).max())


def test_source_refuses_more_coordinates_than_have_eigenvalues(smooth, monkeypatch):
    monkeypatch.setattr("kernelsm.attributors.segments.DENSE_UP_TO", 10)
    with pytest.raises(InputError, match="MAGIC"):
        Source(Descent(smooth))


def test_bayesian_influence_in_the_cold_is_influence_at_the_minimum(blobs, features, tmp_path):
    tuned = FeatureLosses(blobs, *features, ridge=1.0, point="all_tasks")
    expected = ExactInfluence(tuned).attribute().values.ravel()
    store = Store(tmp_path)
    found = BayesianInfluence(tuned, temperature=1e5, chains=2, draws=2000).attribute(store=store)
    assert found.std.shape == (5, 3)
    assert store.computed == 2
    assert np.corrcoef(found.values.ravel(), expected)[0, 1] > 0.95
    assert found.values.ravel() @ expected / (expected @ expected) == pytest.approx(1.0, abs=0.25)


def test_chains_differ_and_a_seed_repeats_them(smooth):
    settings = {"chains": 2, "draws": 5, "burn_in": 1, "step": 0.01}
    first, again = (BayesianInfluence(smooth, **settings).by_chain() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[0], first[1])
