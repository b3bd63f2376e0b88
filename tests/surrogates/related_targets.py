"""Outcomes of several targets that a shared surrogate can make use of."""

import numpy as np


def draw(m, K, seed=0):
    return np.random.default_rng([seed, 7]).random((m, K)) < 0.5


def mixed_targets(m=60, K=6, seed=4, noise=0.1):
    """Masks and four targets: additive, two with pairs, one that is the sum of two others; all above zero."""
    rng = np.random.default_rng(seed)
    masks = rng.random((m, K)) < 0.5
    additive = masks @ rng.normal(size=K)
    pairs = masks @ rng.normal(size=K) + 2.0 * masks[:, 0] * masks[:, 1] - 1.5 * masks[:, 2] * masks[:, 3]
    xor = (masks[:, 4] != masks[:, 5]) * 1.0
    table = np.column_stack([additive, pairs, xor, additive + pairs]) + noise * rng.normal(size=(m, 4))
    return masks, table - table.min(axis=0) + 0.5


def many_targets(seed, *, latent, noise, K=30, m=80, q=60):
    """Masks, noisy outcomes, fresh masks and their outcomes without noise; additive, on `latent` directions."""
    rng = np.random.default_rng(seed)
    masks, fresh = rng.random((m, K)) < 0.5, rng.random((300, K)) < 0.5
    effects = rng.normal(size=(K, latent)) @ rng.normal(size=(latent, q)) if latent else rng.normal(size=(K, q))
    F = masks @ effects
    return masks, F + noise * F.std() * rng.normal(size=F.shape), fresh, fresh @ effects
