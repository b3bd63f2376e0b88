"""Predicted and measured losses: a right prediction is seldom called wrong, and a wrong one is found."""

from math import inf, isnan, sqrt

import numpy as np
import pytest
from scipy.stats import t

from kernelsm import InputError
from kernelsm.prompts.agreement import measured_mean, verdict

TRIALS = 700
AT_MOST = 0.1 + 2.5 * sqrt(0.1 * 0.9 / TRIALS)  # what that many trials leave to chance


def called_wrong(
    *, shown: int, ways: int, fresh: int, fitted: int, doubt: float = 0.3, order: float = 1.0, query: float = 1.0,
    chosen: bool = True, bias: float = 0.0,
) -> float:  # fmt: skip
    """How often the verdict is against a prediction that is right but for `bias`, over draws of orders and queries.

    The first order shown is the best of all where it is chosen.
    """
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(TRIALS):
        effects = order * rng.normal(size=ways)
        drawn = rng.permutation(ways)[:shown]
        if chosen:
            best = int(effects.argmin())
            drawn = np.array([best, *(one for one in rng.permutation(ways) if one != best)][:shown])
        before, now = (
            query * rng.normal(size=(1, count)) + 0.3 * rng.normal(size=(ways, count)) for count in (fitted, fresh)
        )
        truth = (effects[:, None] + before).mean()  # of the queries that the surrogate was fitted to
        found = measured_mean((effects[:, None] + now)[drawn], ways, first_is_chosen=chosen)
        predicted = truth + bias + doubt * rng.normal()
        wrong += verdict(predicted, 1.645 * doubt, found, fitted) in ("lower", "higher")
    return wrong / TRIALS


@pytest.mark.parametrize(("ways", "shown"), [(2, 2), (6, 3), (24, 3), (24, 8)])
@pytest.mark.parametrize(("fresh", "fitted"), [(2, 50), (60, 30), (30, 2)])
def test_a_right_prediction_is_called_wrong_in_one_of_ten_at_most(
    ways: int, shown: int, fresh: int, fitted: int
) -> None:
    assert called_wrong(shown=shown, ways=ways, fresh=fresh, fitted=fitted, doubt=0.05) < AT_MOST


@pytest.mark.parametrize("shown", [2, 5])
def test_orders_that_were_all_drawn_at_random_are_no_worse(shown: int) -> None:
    assert called_wrong(shown=shown, ways=24, fresh=40, fitted=40, chosen=False, doubt=0.05) < AT_MOST


def test_a_wrong_prediction_is_found() -> None:
    assert called_wrong(shown=1, ways=1, fresh=100, fitted=100, chosen=False, bias=1.5, doubt=0.2) > 0.95
    assert called_wrong(shown=6, ways=24, fresh=100, fitted=100, bias=3.0, doubt=0.2) > 0.9


def test_the_margin_of_one_order_is_that_over_queries() -> None:
    found = measured_mean([[1.0, 2.0, 6.0]], 1)
    assert found.mean == 3
    assert found.margin == found.query_margin == pytest.approx(t.ppf(0.95, 2) * sqrt(7 / 3))
    assert found.queries == 3


def test_the_margin_of_some_orders_holds_queries_and_orders() -> None:
    found = measured_mean([[1.0, 3.0], [3.0, 7.0], [5.0, 5.0]], 6)
    of_queries = t.ppf(0.95, 1) * abs(5 - 3) / 2
    of_orders = t.ppf(0.95, 2) * np.std([2, 5, 5], ddof=1) / sqrt(3) * sqrt(1 - 3 / 6)
    assert found.mean == 4
    assert found.margin == pytest.approx(np.hypot(of_queries, of_orders))


def test_all_orders_leave_nothing_to_chance_but_queries() -> None:
    losses = [[1.0, 3.0], [5.0, 9.0]]
    for chosen in (True, False):
        found = measured_mean(losses, 2, first_is_chosen=chosen)
        assert found.mean == 4.5
        assert found.margin == found.query_margin


def test_a_chosen_order_counts_as_one_of_all_and_not_as_one_of_those_asked() -> None:
    found = measured_mean([[0.0, 0.0], [6.0, 6.0], [12.0, 12.0]], 24, first_is_chosen=True)
    assert found.mean == pytest.approx(9 * 23 / 24)
    spread = t.ppf(0.95, 1) * np.std([6, 12], ddof=1) / sqrt(2) * sqrt(1 - 2 / 23)
    assert found.margin == pytest.approx(spread * 23 / 24)


def test_one_order_of_many_and_one_query_tell_no_margin() -> None:
    assert isnan(measured_mean([[1.0, 2.0]], 24).margin)
    assert isnan(measured_mean([[1.0, 2.0], [2.0, 3.0]], 24, first_is_chosen=True).margin)
    one_query = measured_mean([[1.0], [2.0]], 2)
    assert isnan(one_query.margin)
    assert verdict(9.0, 0.1, one_query, 50) == "unknown"
    assert verdict(9.0, float("nan"), measured_mean([[1.0, 2.0]], 1), 50) == "unknown"


def test_independent_draws_have_no_last_one() -> None:
    table = np.arange(6.0).reshape(3, 2)
    assert measured_mean(table, inf).margin > measured_mean(table, 4).margin


def test_lower_and_higher_are_those_of_the_measured_loss() -> None:
    found = measured_mean([[1.0, 1.1, 0.9]], 1)
    assert verdict(2.0, 0.1, found, 50) == "lower"
    assert verdict(0.0, 0.1, found, 50) == "higher"
    assert verdict(1.05, 0.1, found, 50) == "agrees"


@pytest.mark.parametrize(
    ("losses", "of", "chosen"),
    [([1.0, 2.0], 2, False), ([[]], 2, False), ([[np.nan, 1.0]], 1, False), ([[1.0], [2.0]], 1, False),
     ([[1.0, 2.0]], 24, True)],
    ids=["flat", "no query", "nan", "too many orders", "none drawn"],
)  # fmt: skip
def test_what_is_no_draw_is_refused(losses: list[object], of: float, chosen: bool) -> None:
    with pytest.raises(InputError):
        measured_mean(losses, of, first_is_chosen=chosen)
