"""Choosing demonstrations and their order together."""

from itertools import permutations

import numpy as np
import pytest

from kernelsm.outcomes.prompt_orders import OrderedOutcomes, load_orders, orders_path, save_orders
from kernelsm.selection.ordered import best_order, choose_ordered
from kernelsm.surrogates.positions import PositionSurrogate

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


def test_single_orders_are_kept_beside_their_run_and_damage_is_told(tmp_path, orders, caplog):
    found = OrderedOutcomes(orders, np.random.default_rng(1).normal(size=(len(orders), 5)))
    path = orders_path("a" * 40, tmp_path)
    assert load_orders("a" * 40, tmp_path) is None
    assert not caplog.records
    save_orders(found, path)
    again = load_orders("a" * 40, tmp_path)
    assert again.orders.tolist() == orders.tolist()
    np.testing.assert_allclose(again.values, found.values, atol=1e-6)
    path.write_bytes(path.read_bytes()[:-100])
    assert load_orders("a" * 40, tmp_path) is None
    assert "damaged" in caplog.text


def test_the_rows_of_some_subsets_are_found(orders):
    masks = np.zeros((2, K), dtype=bool)
    masks[0, orders[3]] = masks[1, orders[50]] = True
    found = OrderedOutcomes(orders, np.arange(len(orders))[:, None] * 1.0).of(masks)
    wanted = [row for row, order in enumerate(orders) if set(order) in (set(orders[3]), set(orders[50]))]
    assert found.values[:, 0].tolist() == wanted
