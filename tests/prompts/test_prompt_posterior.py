"""The posterior of ordered prompts: what it learns, how sure it is, and what it refuses."""

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.prompts.prompt_posterior import FEWEST, OrderedAlikeness, PromptPosterior

K, SLOTS = 20, 3
CLASSES = np.arange(K) % 2


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(K)[:SLOTS] for _ in range(count)])


def test_labels_in_their_slots_and_demonstrations_are_learnt():
    orders, fresh = drawn(120), drawn(60, seed=1)

    def truth(prompts):
        return 1.0 * (CLASSES[prompts[:, -1]] == 1) - 0.8 * (prompts == 7).any(axis=1)

    posterior = PromptPosterior(K, CLASSES).fit(orders, truth(orders), np.full(120, 1e-4))
    mean, std = posterior.predict(fresh)
    assert ((mean - truth(fresh)) ** 2).mean() < 0.05 * truth(fresh).var()
    assert std.max() < 0.5
    # from few prompts labels tell what single demonstrations do not yet
    few, noise = orders[:25], np.full(25, 1e-4)
    errors = [
        ((PromptPosterior(K, classes).fit(few, truth(few), noise).predict(fresh)[0] - truth(fresh)) ** 2).mean()
        for classes in (CLASSES, None)
    ]
    assert errors[0] < 0.5 * errors[1]


def test_ninety_per_cent_intervals_hold_nine_times_in_ten_where_the_model_is_right():
    inside = []
    for seed in range(12):
        orders = drawn(140, seed)
        kernel = OrderedAlikeness(K, SLOTS, CLASSES)
        parameters = np.log([0.6, 0.4, 0.1, 0.5, 0.5, 0.5])
        rng = np.random.default_rng(seed)
        covariance = kernel.gram(kernel.parts(orders, orders), parameters) + 0.1 * np.eye(140)
        values = np.linalg.cholesky(covariance) @ rng.normal(size=140)
        noise = rng.uniform(0.01, 0.5, 80)
        measured = values[:80] + np.sqrt(noise) * rng.normal(size=80)
        mean, std = PromptPosterior(K, CLASSES).fit(orders[:80], measured, noise / 2).predict(orders[80:])
        inside += (np.abs(values[80:] - mean) < 1.645 * std).tolist()
    assert 0.85 < np.mean(inside) < 0.95


def test_a_prompt_measured_well_is_known_better_than_one_measured_badly_and_than_others():
    orders = drawn(40)
    values = np.random.default_rng(3).normal(size=40)
    variances = np.where(np.arange(40) < 20, 1e-4, 4.0)
    posterior = PromptPosterior(K, CLASSES).fit(orders, values, variances)
    mean, std = posterior.combined()
    assert std[:20].max() < std[20:].min()
    assert np.abs(mean - values)[:20].max() < 0.2
    assert std[:20].max() < posterior.predict(drawn(30, seed=9))[1].min()


def test_too_few_prompts_are_refused_and_equal_outcomes_are_not():
    with pytest.raises(InputError, match=f"at least {FEWEST}"):
        PromptPosterior(K).fit(drawn(FEWEST - 1), np.ones(FEWEST - 1), np.ones(FEWEST - 1))
    mean, std = PromptPosterior(K, CLASSES).fit(drawn(20), np.full(20, 3.0), np.full(20, 1e-4)).predict(drawn(5, 1))
    np.testing.assert_allclose(mean, 3.0, atol=1e-6)
    assert np.isfinite(std).all()
