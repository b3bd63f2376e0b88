"""Choosing demonstrations and their order together."""

from itertools import combinations, permutations

import numpy as np
import pytest

from kernelsm import InputError, SharedSurrogate, load_example
from kernelsm.prompts.order_search import (
    best_order,
    best_order_seen,
    choose_cautiously,
    choose_ordered,
    choose_set,
    expected_over_orders,
)
from kernelsm.prompts.order_surrogate import PositionSurrogate, position_features
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.workspace.prompt_projects import find_prompts
from kernelsm.workspace.tables import load_run_orders

K, SIZE = 8, 3
LABELS = np.arange(K) % 2


def loss(order):
    """Candidates count by their number, and a last one of class 1 helps."""
    return 0.1 * sum(order) - (2.0 if LABELS[order[-1]] else 0.0)


@pytest.fixture(scope="module")
def orders():
    rng = np.random.default_rng(0)
    return np.array([rng.permutation(K)[:SIZE] for _ in range(120)])


@pytest.fixture(scope="module", params=[False, True])
def fitted(request, orders):
    """A surrogate of losses, or of the same as scores."""
    sign = -1.0 if request.param else 1.0
    values = sign * np.array([[loss(order)] for order in orders.tolist()])
    return PositionSurrogate(weights=[(1.0, 1.0)]).fit(orders, values, K, LABELS), request.param


def test_the_best_order_is_one_of_the_best(fitted):
    surrogate, better = fitted
    found = best_order(surrogate, (4, 5, 2), higher_is_better=better)
    assert sorted(found) == [2, 4, 5]
    assert loss(found) == pytest.approx(min(map(loss, permutations((2, 4, 5)))))


def test_the_choice_is_the_best_of_all_ordered_prompts(fitted):
    surrogate, better = fitted
    prompt, value = choose_ordered(surrogate, higher_is_better=better)
    assert loss(prompt) == pytest.approx(min(map(loss, permutations(range(K), SIZE))))
    assert value == pytest.approx(float(surrogate.predict([prompt])[0, 0]))
    assert choose_ordered(surrogate, higher_is_better=better) == (prompt, value)


def test_the_set_is_the_best_of_all_in_the_mean_over_orders(fitted):
    surrogate, better = fitted

    def mean(chosen):
        return np.mean([loss(order) for order in permutations(chosen)])

    chosen, value = choose_set(surrogate, higher_is_better=better)
    assert mean(chosen) == pytest.approx(min(map(mean, combinations(range(K), SIZE))))
    assert list(chosen) == sorted(chosen)
    mask = np.isin(np.arange(K), chosen)
    assert value == pytest.approx(float(surrogate.predict_subsets(mask[None])[0, 0]))


@pytest.mark.parametrize("chosen", [(), (3,), (6, 1), (5, 0, 2)])
def test_what_is_expected_of_a_prompt_is_the_mean_over_its_fillings_and_orders(fitted, chosen):
    surrogate, _ = fitted
    fillings = [{*chosen, *more} for more in combinations(set(range(K)) - set(chosen), SIZE - len(chosen))]
    orders = [order for filling in fillings for order in permutations(filling)]
    value, std = expected_over_orders(surrogate, chosen)
    assert value == pytest.approx(float(surrogate.predict(orders).mean()))
    assert std >= 0


def test_doubt_about_a_mean_is_less_than_about_its_parts():
    rng = np.random.default_rng(3)
    orders = np.array([rng.permutation(K)[:SIZE] for _ in range(60)])
    values = np.array([[loss(order)] for order in orders.tolist()]) + 0.3 * rng.normal(size=(len(orders), 1))
    surrogate = PositionSurrogate(weights=[(1.0, 1.0)]).fit(orders, values, K, LABELS)
    (_, whole), (_, part) = (expected_over_orders(surrogate, one) for one in [(), (0, 1, 2)])
    assert 0 < whole < part
    of_orders = [surrogate.predict_mean(np.array([order]))[1][0] for order in permutations((0, 1, 2))]
    assert part < np.mean(of_orders)
    of_one = surrogate.predict_mean(np.array([(0, 1, 2)]))[1]
    # of one prompt it is what a surrogate of the features says of it
    features = position_features(orders, K, LABELS)
    plain = KernelSurrogate(gamma=surrogate.gamma_, ridge=surrogate.ridge_).fit(features, values)
    _, std = plain.predict(position_features([(0, 1, 2)], K, LABELS), return_std=True)
    assert of_one[0] == pytest.approx(float(std[0, 0]))


def test_nine_in_ten_intervals_of_unseen_prompts_hold_their_outcome():
    task = find_prompts("movie-reviews").task
    outcomes, ordered = load_example("movie-reviews").mean_target(), load_run_orders("movie-reviews")
    labels = np.array([task.labels.index(one.label) for one in task.candidates])
    train, test = outcomes.split(0.7, seed=1)
    rows, left = ordered.of(train.masks), ordered.of(test.masks)
    surrogate = PositionSurrogate().fit(rows.orders, rows.values.mean(axis=1)[:, None], 50, labels)
    held = []
    for order, value in zip(left.orders, left.values.mean(axis=1), strict=True):
        mean, std = surrogate.predict_mean(order[None])
        noise = surrogate.noise_variance_[0]
        held.append(abs(value - mean[0]) < 1.66 * np.sqrt(std[0] ** 2 + noise))
    assert 0.82 < np.mean(held) < 0.98


@pytest.mark.parametrize(("name", "least"), [("movie-reviews", 0.3), ("coin-flip", 0.6)])
def test_averaged_over_orders_it_explains_unseen_prompts_far_better_than_a_fit_to_their_means(name, least):
    task = find_prompts(name).task
    outcomes, ordered = load_example(name).mean_target(), load_run_orders(name)
    labels = np.array([task.labels.index(one.label) for one in task.candidates])
    part = np.random.default_rng(0).permutation(outcomes.m) % 5
    by_orders, by_means = np.zeros((2, outcomes.m, 1))
    for fold in range(5):
        train, left = outcomes.take(part != fold), part == fold
        rows = ordered.of(train.masks)
        surrogate = PositionSurrogate().fit(rows.orders, rows.values.mean(axis=1)[:, None], 50, labels)
        by_orders[left] = surrogate.predict_subsets(outcomes.masks[left])
        by_means[left] = SharedSurrogate().fit_outcomes(train).predict(outcomes.masks[left])
    explained = [
        1 - np.mean((outcomes.values - found) ** 2) / outcomes.values.var() for found in (by_orders, by_means)
    ]
    assert explained[0] > least
    assert explained[0] > explained[1] + 0.25


@pytest.mark.parametrize("size", [SIZE, 4])
def test_balanced_choices_are_the_best_of_those_in_balance(size):
    rng = np.random.default_rng(0)
    orders = np.array([rng.permutation(K)[:size] for _ in range(160)])
    surrogate = PositionSurrogate(weights=[(1.0, 1.0)]).fit(orders, [[loss(order)] for order in orders], K, LABELS)
    prompts = [one for one in permutations(range(K), size) if abs(2 * LABELS[list(one)].sum() - size) <= 1]
    labels = [str(label) for label in LABELS]
    prompt, value = choose_ordered(surrogate, labels=labels, balance=True)
    assert prompt in prompts
    assert value == pytest.approx(float(surrogate.predict(prompts).min()), abs=1e-6)
    chosen, value = choose_set(surrogate, labels=labels, balance=True)
    assert chosen in prompts
    sets = np.array([np.isin(np.arange(K), one) for one in {tuple(sorted(one)) for one in prompts}])
    assert value == pytest.approx(float(surrogate.predict_subsets(sets).min()), abs=1e-6)


def test_six_of_two_hundred_are_chosen_and_no_exchange_is_better():
    rng = np.random.default_rng(0)
    many, labels = 200, np.arange(200) % 2
    orders = np.array([rng.permutation(many)[:6] for _ in range(300)])
    values = [[loss_of(order)] for order in labels[orders]] + 0.1 * rng.normal(size=(300, 1))
    surrogate = PositionSurrogate(weights=[(1.0, 1.0)]).fit(orders, values, many, labels)
    for choose, over in ((choose_ordered, False), (choose_set, True)):
        prompt, value = choose(surrogate)
        found = surrogate.predict_exchanges(prompt, over_orders=over)[:, :, 0]
        found[:, list(prompt)] = np.inf
        assert value <= found.min() + 1e-6
        assert value < np.mean(values)


def loss_of(classes):
    return -2.0 * classes[-1] - classes.sum()


def test_all_candidates_leave_no_choice():
    orders = np.array(list(permutations(range(3))))
    surrogate = PositionSurrogate(weights=[(1.0, 0.0)]).fit(orders, orders[:, :1] * 1.0, 3)
    assert choose_set(surrogate)[0] == (0, 1, 2)


def test_the_rows_of_some_subsets_are_found(orders):
    masks = np.zeros((2, K), dtype=bool)
    masks[0, orders[3]] = masks[1, orders[50]] = True
    found = OrderedOutcomes(orders, np.arange(len(orders))[:, None] * 1.0).of(masks)
    wanted = [row for row, order in enumerate(orders) if set(order) in (set(orders[3]), set(orders[50]))]
    assert found.values[:, 0].tolist() == wanted


def test_a_cautious_choice_takes_what_was_measured_unless_the_doubtful_promises_more():
    rng = np.random.default_rng(1)
    orders = np.array([rng.permutation(K)[:SIZE] for _ in range(40)])
    values = np.array([[loss(order)] for order in orders.tolist()]) + 0.5 * rng.normal(size=(40, 1))
    surrogate = PositionSurrogate(weights=[(1.0, 1.0)]).fit(orders, values, K, LABELS)
    prompt, end = choose_cautiously(surrogate, OrderedOutcomes(orders, values))
    bold, value = choose_ordered(surrogate)

    def worse_end(order):
        return float(surrogate.predict([order])[0, 0] + 1.69 * surrogate.predict_std([order])[0, 0])

    assert end == pytest.approx(worse_end(prompt), abs=0.01)
    assert worse_end(prompt) <= min(worse_end(bold), *(worse_end(order) for order in orders)) + 0.01
    # where both choose the same prompt, its value is computed in two ways
    assert surrogate.predict_std([prompt])[0, 0] <= surrogate.predict_std([bold])[0, 0] * (1 + 1e-9)
    assert value <= float(surrogate.predict([prompt])[0, 0]) + 1e-9


@pytest.mark.parametrize("higher_is_better", [False, True])
@pytest.mark.parametrize("balance", [False, True])
def test_the_best_order_seen_is_the_best_of_those_that_are_allowed(higher_is_better, balance):
    rng = np.random.default_rng(2)
    orders = np.array([rng.permutation(K)[:SIZE] for _ in range(30)])
    seen = OrderedOutcomes(orders, rng.normal(size=(30, 2)))
    labels = [str(label) for label in LABELS]
    found = best_order_seen(seen, K, labels=labels, balance=balance, higher_is_better=higher_is_better)
    rows = [row for row, order in enumerate(orders) if not balance or abs(2 * LABELS[order].sum() - SIZE) <= 1]
    means = seen.values.mean(axis=1)[rows]
    assert found == tuple(orders[rows[int(means.argmax() if higher_is_better else means.argmin())]])


def test_without_a_measured_prompt_in_balance_there_is_no_best_one():
    same = np.flatnonzero(LABELS == 0)[:SIZE]
    with pytest.raises(InputError, match="balanced"):
        best_order_seen(
            OrderedOutcomes(same[None], np.zeros((1, 1))), K, labels=[str(i) for i in LABELS], balance=True
        )
