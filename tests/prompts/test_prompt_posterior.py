"""The posterior of ordered prompts: what it learns, how sure it is, and what it refuses."""

import re
from itertools import permutations

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.prompts.ordered_alikeness import OrderedAlikeness
from kernelsm.prompts.prompt_posterior import FEWEST, PromptPosterior

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
    mean, std = posterior.posterior(fresh)
    assert ((mean - truth(fresh)) ** 2).mean() < 0.05 * truth(fresh).var()
    assert std.max() < 0.5
    # from few prompts labels tell what single demonstrations do not yet
    few, noise = orders[:25], np.full(25, 1e-4)
    errors = [
        ((PromptPosterior(K, classes).fit(few, truth(few), noise).posterior(fresh)[0] - truth(fresh)) ** 2).mean()
        for classes in (CLASSES, None)
    ]
    assert errors[0] < 0.5 * errors[1]


def test_ninety_per_cent_intervals_hold_nine_times_in_ten_where_the_model_is_right():
    inside = []
    for seed in range(12):
        orders = drawn(140, seed)
        kernel = OrderedAlikeness(K, SLOTS, CLASSES)
        parameters = np.log([0.6, 0.4, 0.1, 0.1, 0.5, 0.5, 0.5])
        rng = np.random.default_rng(seed)
        covariance = kernel.gram(kernel.parts(orders, orders), parameters) + 0.1 * np.eye(140)
        values = np.linalg.cholesky(covariance) @ rng.normal(size=140)
        noise = rng.uniform(0.01, 0.5, 80)
        measured = values[:80] + np.sqrt(noise) * rng.normal(size=80)
        mean, std = PromptPosterior(K, CLASSES).fit(orders[:80], measured, noise / 2).posterior(orders[80:])
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
    assert std[:20].max() < posterior.posterior(drawn(30, seed=9))[1].min()


def test_too_few_prompts_are_refused_and_equal_outcomes_are_not():
    with pytest.raises(InputError, match=f"at least {FEWEST}"):
        PromptPosterior(K).fit(drawn(FEWEST - 1), np.ones(FEWEST - 1), np.ones(FEWEST - 1))
    mean, std = PromptPosterior(K, CLASSES).fit(drawn(20), np.full(20, 3.0), np.full(20, 1e-4)).posterior(drawn(5, 1))
    np.testing.assert_allclose(mean, 3.0, atol=1e-6)
    assert np.isfinite(std).all()


def noisy(count, seed=0, *, slots=SLOTS):
    """Prompts whose outcome depends on everything that the kernel knows, and a little noise."""
    rng = np.random.default_rng(seed)
    orders = np.array([rng.permutation(K)[:slots] for _ in range(count)])
    both = (orders == 2).any(axis=1) & (orders == 5).any(axis=1)
    alone = np.linspace(-0.4, 0.4, K)[orders].sum(axis=1)
    return orders, alone + 0.6 * CLASSES[orders[:, -1]] + 0.9 * both + rng.normal(0, 0.05, count)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("classes", [CLASSES, np.arange(K) % 5, None], ids=["two", "five", "none"])
def test_sums_over_demonstrations_pairs_and_labels_are_the_kernel_times_its_weights(classes, ordered):
    orders, values = noisy(60)
    posterior = PromptPosterior(K, classes, ordered=ordered).fit(orders, values, 1e-3)
    unseen, _ = noisy(30, seed=1)
    weights = np.random.default_rng(2).normal(size=30)
    one_by_one = [posterior.predict_contrast([order], [1.0]) for order in unseen]
    np.testing.assert_allclose(posterior.predict(unseen)[:, 0], [value[0] for value, _ in one_by_one], atol=1e-9)
    np.testing.assert_allclose(posterior.predict_std(unseen)[:, 0], [std[0] for _, std in one_by_one], rtol=1e-6)
    value, _ = posterior.predict_contrast(unseen, weights)
    np.testing.assert_allclose(value[0], weights @ posterior.predict(unseen)[:, 0])
    # what the fitted prompts say of it, with the same parameters, is what it says of other values of theirs
    again = posterior.means_for(unseen, np.stack([values, 2 * values + 1], axis=1))
    np.testing.assert_allclose(again[:, 0], posterior.predict(unseen)[:, 0], atol=1e-9)
    np.testing.assert_allclose(again[:, 1], 2 * again[:, 0] + 1, atol=1e-9)


@pytest.mark.parametrize("classes", [CLASSES, None], ids=["labels", "none"])
def test_exchanges_and_means_over_orders_are_those_of_prompts_one_by_one(classes):
    orders, values = noisy(60)
    posterior = PromptPosterior(K, classes).fit(orders, values, 1e-3)
    prompt = (3, 8, 1)
    found = posterior.predict_exchanges(prompt)
    assert found.shape == (SLOTS, K, 1)
    assert found[1, 5, 0] == pytest.approx(posterior.predict([(3, 5, 1)])[0, 0])
    averaged = posterior.predict_exchanges(prompt, over_orders=True)
    every = list(permutations((3, 5, 1)))
    assert averaged[1, 5, 0] == pytest.approx(posterior.predict(every).mean())
    assert posterior.predict_mean(every)[0][0] == pytest.approx(posterior.predict(every).mean())


def test_without_order_prompts_of_the_same_demonstrations_are_the_same():
    orders, values = noisy(60)
    posterior = PromptPosterior(K, CLASSES, ordered=False).fit(orders, values, 1e-3)
    every = list(permutations((4, 11, 6)))
    assert np.ptp(posterior.predict(every)) < 1e-9
    assert np.ptp(posterior.predict_std(every)) < 1e-9


def test_a_pair_that_adds_to_both_is_told():
    orders, values = noisy(250)
    posterior = PromptPosterior(K, CLASSES).fit(orders, values, 1e-3)
    prompts = [(2, 5, 9), (8, 1, 9), (2, 1, 9), (8, 5, 9)]  # the labels of both are the same in all
    value, std = posterior.predict_contrast(prompts, [1, 1, -1, -1])
    assert abs(value[0] - 0.9) < 3 * std[0]
    assert value[0] > 3 * std[0]


def test_parameters_are_where_the_posterior_density_is_highest():
    orders, values = noisy(80)
    posterior = PromptPosterior(K, CLASSES).fit(orders, values, np.full(80, 1e-3))
    kernel = OrderedAlikeness(K, SLOTS, CLASSES)
    parts = kernel.parts(orders, orders)
    parameters = np.linspace(-1, 0.5, kernel.count)
    weigh = np.random.default_rng(0).normal(size=(80, 80))
    steps = 1e-6 * np.eye(kernel.count)
    numeric = [
        ((kernel.gram(parts, parameters + step) - kernel.gram(parts, parameters - step)) * weigh).sum() / 2e-6
        for step in steps
    ]
    np.testing.assert_allclose(kernel.slopes(parts, parameters, weigh), numeric, rtol=1e-4, atol=1e-6)
    assert 0 < posterior.error_ < 0.6
    assert 1 <= posterior.inflation_ < 1.5
    assert posterior.degrees_of_freedom_ > 40


def test_prompts_of_other_lengths_and_strange_candidates_are_refused():
    orders, values = noisy(60)
    posterior = PromptPosterior(K, CLASSES).fit(orders, values)
    for wrong, said in (
        ([(1, 2)], "3, as in the fit"),
        ([(1, 2, K)], "number the candidates"),
        ([(1, 1, 2)], "twice"),
    ):
        with pytest.raises(InputError, match=re.compile(said, re.IGNORECASE)):
            posterior.predict(wrong)
    with pytest.raises(InputError, match="one for each prompt"):
        PromptPosterior(K).fit(orders, values[:-1])
    with pytest.raises(InputError, match="NaN"):
        PromptPosterior(K).fit(orders, np.where(np.arange(60) == 3, np.nan, values))
    of_seven = PromptPosterior(K, CLASSES).fit(*noisy(40, slots=7))
    with pytest.raises(InputError, match="at most 6"):
        of_seven.predict_exchanges(range(7), over_orders=True)
