"""The Demonstrations page of an example, and what it says."""

from __future__ import annotations

import re
from typing import Any

from app_harness import open_app
from streamlit.testing.v1 import AppTest

from kernelsm.workspace.prompt_projects import find_prompts

RUN = "movie-reviews"
TASK = find_prompts(RUN).task


def demonstrations(**params: str) -> AppTest:
    return open_app("demonstrations", **{"run": RUN, **params})


def picked(app: AppTest) -> tuple[int, ...]:
    found: tuple[int, ...] = app.session_state["kernelsm_view"].picked
    return found


def over_orders(app: AppTest) -> float:
    """What is said beside the prediction of other orders of the same demonstrations."""
    (said,) = (one.value for one in app.caption if "other orders " in one.value)
    return float(said.split("other orders ")[1].split(" ")[0])


def cards(app: AppTest) -> list[str]:
    """The suggestions: name and outcome of each."""
    return [one.value for one in app.markdown if re.match(r"\*\*\D+\*\* · ", one.value)]


def button(app: AppTest, key: str) -> Any:
    return app.button(key=key)


def part(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="demo_part").set_value(name).run()
    assert not app.exception
    return app


def metric(app: AppTest, label: str) -> str:
    (value,) = (shown.value for shown in app.metric if shown.label.removesuffix(", measured") == label)
    return str(value)


def in_order(app: AppTest) -> float:
    """The one number: what is predicted of the slots as they are."""
    return float(metric(app, "In this order"))
