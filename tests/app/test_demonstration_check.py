"""Checks with the model: the order shown and the mean over all, each beside what was predicted of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from app_harness import press, texts
from demonstrations_page import TASK, demonstrations, in_order, over_orders, part
from streamlit.testing.v1 import AppTest

from kernelsm.app.demonstrations.suggestions import suggestions
from kernelsm.pipelines.ask_model import CheckSettings
from kernelsm.runtime.job import JobSpec
from kernelsm.surrogates.wording import number

PICKED = "4-9-22-31"


@pytest.fixture
def checked(jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Presses the button that checks, with a made-up model: from a prompt's orders to their mean losses."""

    def press_check(app: AppTest, losses: Any, queries: int = len(TASK.fresh)) -> str:
        def finished_check(report: Any, store: Any, **settings: Any) -> dict[str, Any]:
            wanted, values = CheckSettings(**settings), []
            away = 0.01 * np.random.default_rng(0).normal(size=queries)
            for prompt in wanted.prompts:
                orders = wanted.orders_of(prompt)
                means = losses(prompt, orders)
                values.append([[(mean + away - away.mean()).tolist(), [1.0] * queries] for mean in means])
            return {"values": values}

        monkeypatch.setattr("kernelsm.pipelines.ask_model.check", finished_check)
        press(app, "Check with the model")
        return texts(app)

    return press_check


def asked_for(app: AppTest, orders: int) -> AppTest:
    part(app, "Check")
    app.number_input(key="demo_check_orders").set_value(orders).run()
    return app


def test_the_order_shown_is_compared_with_what_is_predicted_for_it(checked: Any, jobs: list[JobSpec]) -> None:
    app = asked_for(demonstrations(picked=PICKED), 1)
    said = checked(app, lambda prompt, orders: [in_order(app)])
    assert jobs[-1].arguments["prompts"] == ((4, 9, 22, 31),)
    assert f"Measured **{in_order(app):.2f}" in said
    assert "in the order shown, right on **100%** of them. Without demonstrations: 0.364, right on 84%. " in said
    assert said.count("agrees.") == 1
    assert "all orders is" not in said  # one order does not tell


@pytest.mark.parametrize(
    ("away", "words"), [(0.0, "agrees."), (0.6, "That is worse than"), (-0.6, "That is better than")]
)
def test_the_mean_over_all_orders_is_compared_on_its_own(checked: Any, away: float, words: str) -> None:
    app = asked_for(demonstrations(picked=PICKED), 6)
    mean = over_orders(app)
    said = checked(app, lambda prompt, orders: [in_order(app), *(mean + away + 0.01 * np.arange(-2, 3))])
    own, over = said.split("The mean over all orders is ")
    assert "going by this one and 5 others" in over
    assert own.count("agrees.") == 1  # whatever the others are
    assert words in over.split("\n")[0]


def test_one_other_order_is_too_few_to_tell_of_all(checked: Any) -> None:
    app = asked_for(demonstrations(picked=PICKED), 2)
    said = checked(app, lambda prompt, orders: [in_order(app), over_orders(app) + 3])
    assert "too few to compare with what is predicted over all orders" in said
    assert "That is" not in said


def test_one_query_is_too_few_to_compare(checked: Any) -> None:
    app = asked_for(demonstrations(picked=PICKED), 4)
    said = checked(app, lambda prompt, orders: [9.0] * len(orders), queries=1)
    assert "One query is too few to compare." in said
    assert not any(words in said for words in ("That is", "agrees.", "nan"))


def test_what_is_chosen_with_its_order_is_measured_in_its_order(checked: Any, jobs: list[JobSpec]) -> None:
    app = asked_for(demonstrations(picked=PICKED), 3)
    app.toggle(key="demo_check_against").set_value(True).run()
    checked(app, lambda prompt, orders: [0.1, 0.7, 0.9][: len(orders)])
    (best,) = (one for one in suggestions("movie-reviews", False) if one.name == "Order-aware")
    asked = jobs[-1].arguments["prompts"]
    assert best.picked in asked
    # others come in an order by chance, not in a rising one
    assert sum(list(prompt) == sorted(prompt) for prompt in asked[1:]) < len(asked) / 4
    (chart,) = app.get("plotly_chart")
    drawn = dict(said.split(": predicted ") for said in chart.proto.alt.split(". ", 1)[1].split("; "))
    assert not any("100% right" in name for name in drawn)  # the sentence names prompts, the axis their accuracy too
    assert drawn["Order-aware, in its order"].endswith("measured 0.1")
    assert drawn["Your prompt, in this order"].endswith("measured 0.1")
    assert drawn["Your prompt"].endswith(f"measured {number(0.1 / 24 + 0.8 * 23 / 24)}")
    assert drawn["Pairwise-aware, in its order"].endswith("measured 0.1")
    assert drawn["Mean of 8 random prompts"].startswith(f"{in_order(demonstrations()):.3f}, measured 0.567")


def test_an_unfinished_prompt_is_not_checked() -> None:
    app = part(demonstrations(picked="4-9"), "Check")
    assert "Fill all 4 slots first." in texts(app)
