"""The whole app through Streamlit's own test harness, always entered by app.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


def open_app(page: str = "", *, browser: AppTest | None = None, **params: str) -> AppTest:
    """Run app.py with URL parameters and turn to a page (its file name without number and ending).

    With `browser`, it is another tab of the browser of that session, whose cookie makes it the same owner.
    """
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    # else the harness looks for components in every installed package, which takes longer than most tests
    app._bidi_component_manager = BidiComponentManager()
    for name, value in params.items():
        app.query_params[name] = value
    if browser is not None:
        app.session_state["kernelsm_owner_secret"] = browser.session_state["kernelsm_owner_secret"]
    app.run()
    if page:
        (file,) = ROOT.glob(f"pages/*_{page}.py")
        app.switch_page(f"pages/{file.name}").run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """All words on the page."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "success", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


def as_read(words: str) -> str:
    """Words as Markdown shows them, without what `plain` puts in."""
    return re.sub(r":color\[\\?(.)\]", r"\1", words).replace("\\", "")


def turn(app: AppTest, page: str) -> AppTest:
    """Turn to another page. After a button that turns the page as well: the harness goes back by itself otherwise."""
    (file,) = ROOT.glob(f"pages/*_{page}.py")
    app.switch_page(f"pages/{file.name}").run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    """Press the one button of that label."""
    (button,) = (button for button in app.button if button.label == label)
    button.click().run()
    assert not app.exception
    return app


def tick(app: AppTest, rows: list[int]) -> AppTest:
    """Tick these rows of the first table of the page and no others, as the browser tells it."""
    chosen = WidgetState(id=app.dataframe[0].proto.id)
    chosen.string_value = json.dumps({"selection": {"rows": rows, "columns": [], "cells": []}})
    states = app._tree.get_widget_states()
    states.widgets.append(chosen)
    app._run(states)
    assert not app.exception
    return app


def bring(name: str, data: bytes, *, way: str = "Data and a model", key: str = "bring_samples") -> AppTest:
    """The Data & model page of a fresh session with one file sent; what it computes later is small."""
    app = open_app("data", run="planted", subsets="8")
    app.segmented_control(key="kernelsm_bring").set_value(way).run()
    app.file_uploader(key=key).upload(name, data).run()
    assert not app.exception
    return app


def prepare(app: AppTest) -> AppTest:
    """Prepare what was brought with a network that is hardly trained, and go on; the view names the project then."""
    if any(field.key == "bring_epochs" for field in app.number_input):
        app.number_input(key="bring_epochs").set_value(2).run()
    app.button(key="prepare_start").click().run()
    assert not app.error, app.error[0].value
    return go_on(app)


def go_on(app: AppTest) -> AppTest:
    """From what is prepared to the Gradients page."""
    press(app, "Go on to Gradients")
    assert app.title[0].value == "Gradients"
    return turn(app, "gradients")


def compute(app: AppTest) -> AppTest:
    """Compute the outcomes and open their table."""
    app.button(key="job_start").click().run()
    assert not app.exception
    return press(app, "Show this result on all pages")


def project(app: AppTest) -> str:
    """Key of the project that the view names; "" for none."""
    return app.session_state["kernelsm_view"].project


def run(app: AppTest) -> str:
    """Key of the run that the view names."""
    return app.session_state["kernelsm_view"].run


def charts(app: AppTest) -> list[dict[str, Any]]:
    """Charts of the page, as Plotly's JSON."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
