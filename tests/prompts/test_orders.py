"""How much the order matters beside the choice: what few orders leave to chance counts for neither."""

from math import factorial

import numpy as np
import pytest

from kernelsm.prompts.orders import OrderedOutcomes, load_orders, order_spreads, orders_needed, save_orders
from kernelsm.workspace.tables import load_run_orders


def subsets(within: float, between: float, k: int, orders: list[int], seed: int = 0) -> list[np.ndarray]:
    """Some orders of many subsets; all k! orders of a subset have exactly these moments in expectation."""
    rng = np.random.default_rng(seed)
    found = []
    for count in orders:
        every = within * rng.normal(size=factorial(k))
        level = between * rng.normal() - every.mean()  # the mean over all orders is what subsets differ by
        found.append((level + rng.permutation(every)[:count])[:, None] + np.array([-1.0, 0.0, 1.0]))
    return found


@pytest.mark.parametrize(
    ("k", "orders"),
    [(2, [2]), (3, [2]), (4, [2]), (4, [1, 2, 3]), (3, [6])],
    ids=["all of 2", "3", "4", "mixed", "all"],
)
@pytest.mark.parametrize(("within", "between"), [(1.0, 0.5), (0.3, 1.0)])
def test_both_spreads_are_found_whatever_the_number_of_orders(
    k: int, orders: list[int], within: float, between: float
) -> None:
    found = order_spreads(subsets(within, between, k, orders * (6_000 // len(orders))), k)
    assert found == pytest.approx((within, between), rel=0.05)


def test_prompts_that_differ_by_their_orders_alone_do_not_differ() -> None:
    within, between = order_spreads(subsets(1.0, 0.0, 4, [2] * 5_000), 4)
    assert within == pytest.approx(1.0, rel=0.05)
    assert between < 0.2  # the means of two orders differ by 0.68


def test_what_cannot_be_told_is_not_a_number() -> None:
    one_order, two_orders = np.ones((1, 3)), np.array([[1.0], [3.0]])
    assert np.isnan(order_spreads([one_order, one_order], 2)).all()
    within, between = order_spreads([two_orders], 2)
    assert within == pytest.approx(np.sqrt(2))
    assert np.isnan(between)


def test_orders_that_differ_by_rounding_do_not_differ() -> None:
    rng = np.random.default_rng(0)
    same = [np.full((2, 3), level) * (1 + 1e-15 * rng.uniform(-1, 1, (2, 3))) for level in rng.normal(size=20)]
    within, between = order_spreads(same, 3)
    assert within == 0.0
    assert between > 0.5
    assert orders_needed(same, 3) == 2
    nothing = [np.full((2, 3), 0.1) * (1 + 1e-15 * rng.uniform(-1, 1, (2, 3))) for _ in range(20)]
    assert orders_needed(nothing, 3) == 2


def test_the_order_of_movie_reviews_matters_as_much_as_their_choice() -> None:
    found = {name: order_spreads(load_run_orders(name).by_subset(), 4) for name in ("movie-reviews", "coin-flip")}
    assert found["movie-reviews"] == pytest.approx((0.161, 0.129), abs=0.002)
    assert found["coin-flip"] == pytest.approx((0.066, 0.102), abs=0.002)


def test_single_orders_that_are_saved_while_they_are_saved_are_whole(tmp_path, monkeypatch):
    """Two jobs of equal prompts once shared one unfinished file, and the slower one found it gone."""
    path = tmp_path / "kept.orders.npz"
    first, second = (OrderedOutcomes(np.arange(4)[None], np.full((1, 5), value)) for value in (1.0, 2.0))
    write, between = np.savez_compressed, [second]

    def write_and_be_overtaken(*args, **arrays):
        write(*args, **arrays)
        if between:
            save_orders(between.pop(), path)

    monkeypatch.setattr(np, "savez_compressed", write_and_be_overtaken)
    save_orders(first, path)
    assert load_orders(path).values.tolist() == [[1.0] * 5]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_right_answers_are_kept_where_they_are_known(tmp_path):
    orders, values = np.array([[0, 1], [1, 2], [2, 0]]), np.array([[0.5], [0.25], [1.0]])
    for right in (None, np.array([0.5, 0.75, 1.0])):
        save_orders(OrderedOutcomes(orders, values, right), tmp_path / "orders.npz")
        found = load_orders(tmp_path / "orders.npz")
        assert found.values.tolist() == values.tolist()
        assert (found.right is None) == (right is None)
        some = found.of_subsets(np.array([[True, True, False], [True, False, True]]))
        assert some.orders.tolist() == [[0, 1], [2, 0]]
        assert some.right is None or some.right.tolist() == [0.5, 1.0]
