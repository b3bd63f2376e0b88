"""The default surrogate says how sure it is: nine in ten intervals hold the truth."""

import numpy as np
import pytest
from related_targets import many_targets

from kernelsm import AutoSurrogate, SharedSurrogate, default_surrogate
from kernelsm.surrogates.results import interval_quantile


def planted(seed, K=10):
    """F without noise as a function of masks, its leave-one-out effects and second differences, and its noise."""
    rng = np.random.default_rng([seed, 3])
    single, noise = rng.normal(0, 0.3, K), float(np.exp(rng.uniform(np.log(0.03), np.log(0.2))))
    upper = np.triu(rng.normal(0, 0.2, (K, K)) * (rng.random((K, K)) < 0.3), 1)
    pairs = upper + upper.T

    def truth(masks):
        s = masks.astype(float)
        return s @ single + np.einsum("ij,jk,ik->i", s, upper, s)

    return truth, single + pairs.sum(axis=1), pairs, noise


def test_nine_in_ten_intervals_hold_the_truth_and_fresh_outcomes():
    first, second = np.triu_indices(10, 1)
    effects, pairs, outcomes = [], [], []
    for seed in range(20):
        truth, singles, doubles, noise = planted(seed)
        rng = np.random.default_rng(seed)
        masks, fresh = rng.random((120, 10)) < 0.5, rng.random((200, 10)) < 0.5
        g = default_surrogate().fit(masks, truth(masks) + rng.normal(0, noise, 120))
        effects.append(np.abs(g.attribution().values[:, 0] - singles) <= g.attribution().margin()[:, 0])
        found = g.interactions()
        margin = found.quantile() * found.std_of(first, second)[:, 0]
        pairs.append(np.abs(found.values[first, second, 0] - doubles[first, second]) <= margin)
        mean, std = g.predict(fresh, return_std=True)
        reach = interval_quantile(g.degrees_of_freedom_) * np.sqrt(std**2 + g.noise_variance_)
        outcomes.append(np.abs(truth(fresh) + rng.normal(0, noise, 200) - mean) <= reach)
    assert 0.85 <= np.mean(effects) <= 0.95
    assert 0.85 <= np.mean(pairs) <= 0.97
    assert 0.85 <= np.mean(outcomes) <= 0.96


@pytest.mark.parametrize("latent", [2, None])
def test_nine_in_ten_intervals_hold_the_outcomes_of_many_targets(latent):
    inside, of_g = [], []
    for seed in range(3):
        masks, F, fresh, truth = many_targets(seed, latent=latent, noise=0.3)
        g = default_surrogate().fit(masks, F)
        mean, std = g.predict(fresh, return_std=True)
        noise = np.random.default_rng([seed, 9]).normal(0, 0.3 * truth.std(), truth.shape)
        reach = interval_quantile(g.degrees_of_freedom_)
        inside.append(np.abs(truth + noise - mean) <= reach * np.sqrt(std**2 + g.noise_variance_))
        of_g.append(np.abs(truth - mean) <= reach * std)
    assert 0.85 <= np.mean(inside) <= 0.96
    assert np.mean(of_g) > 0.85


def test_nine_in_ten_intervals_hold_effects_that_the_noise_drowns():
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        masks, effects = rng.random((60, 8)) < 0.5, 0.1 * rng.choice([-1.0, 1.0], 8)
        found = default_surrogate().fit(masks, masks @ effects + rng.normal(0, 1, 60)).attribution()
        inside.append(np.abs(found.values[:, 0] - effects) <= found.margin()[:, 0])
    assert np.mean(inside) > 0.85


@pytest.mark.parametrize("kind", [SharedSurrogate, AutoSurrogate])
def test_outcomes_that_nothing_predicts_leave_effects_uncertain_not_zero(kind):
    rng = np.random.default_rng(0)
    masks = rng.random((60, 8)) < 0.5
    g = kind().fit(masks, 1 + rng.normal(0, 0.1, 60))
    # the mean of 60 outcomes of spread 0.1 is itself uncertain by 0.013
    assert (g.predict(masks, return_std=True)[1] > 0.01).all()
    assert (g.attribution().std > 0).all()
    assert "leaves the loss as it is" not in g.attribution().sentence(0)
