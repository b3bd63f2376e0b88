"""The Demonstrations page of an example, and what it says."""

from __future__ import annotations

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


def predicted(app: AppTest) -> float:
    return float(metric(app, "Predicted loss, nats").split(" ± ")[0])


def button(app: AppTest, key: str) -> Any:
    return app.button(key=key)


def part(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="demo_part").set_value(name).run()
    assert not app.exception
    return app


def metric(app: AppTest, label: str) -> str:
    (value,) = (shown.value for shown in app.metric if shown.label == label)
    return str(value)


def in_order(app: AppTest) -> float:
    return float(metric(app, "In this order").split(" ± ")[0])
