"""Checks of prompts stay in sight after the slots have changed: compared, watched, cancelled, taken back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from app_harness import open_app, press, texts
from demonstrations_page import RUN, TASK, demonstrations, part, picked
from streamlit.testing.v1 import AppTest

from kernelsm.runtime.job import JobSpec, JobStatus, write_spec
from kernelsm.runtime.jobs import JobRegistry


def rows(app: AppTest) -> list[str]:
    """The prompts listed, from the top."""
    return [one.value for one in app.markdown if "\npredicted" in one.value]


def answers(mean: float) -> dict[str, Any]:
    """What the model would say of one prompt in two orders."""
    return {"values": [np.tile([[mean], [0.5]], (2, 1, len(TASK.fresh))).tolist()]}


def test_two_checked_prompts_are_compared_and_the_first_is_taken_back(
    jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter((0.511, 0.622))
    monkeypatch.setattr("kernelsm.pipelines.ask_model.check", lambda report, store, **_: answers(next(said)))
    app = part(demonstrations(picked="4-9-22-31"), "Check")
    assert not rows(app)
    app.number_input(key="demo_check_orders").set_value(2).run()
    press(app, "Check with the model")
    predicted = next(metric.value for metric in app.metric if metric.label == "In this order")
    assert not rows(demonstrations(picked="4-9-22-31"))  # another browser's checks are its own
    app.button(key="demo_out_31").click().run()
    assert "Fill all 4 slots first." in texts(app)
    assert len(rows(app)) == 1
    app.selectbox(key="demo_add").set_value(7).run()
    press(app, "Check with the model")
    second, first = rows(app)
    assert "measured **0.622" in second
    assert "measured **0.511" in first
    assert f"predicted **{predicted} (" in first
    assert "right on **50%**" in first
    next(one for one in app.button if one.label == "Take" and one.key.startswith("demo_again")).click().run()
    assert picked(app) == (4, 9, 22, 31)
    assert "Measured **0.511**" in texts(app)  # all queries say the same
    # they are there after the page was closed
    app = part(open_app("demonstrations", browser=app, run=RUN), "Check")
    assert len(rows(app)) == 2
    # another run has its own
    app.sidebar.selectbox[0].set_value("coin-flip").run()
    assert not rows(app)
    app.sidebar.selectbox[0].set_value(RUN).run()
    assert len(rows(app)) == 2


def test_a_check_that_runs_is_seen_and_cancelled_after_the_slots_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states: dict[str, JobStatus] = {}
    running = JobStatus("running", done=1, total=4, message="asking about fresh queries")
    monkeypatch.setattr(JobRegistry, "start", lambda _, spec, owner: states.update({spec.key: running}))
    monkeypatch.setattr(JobRegistry, "status", lambda _, key: states.get(key))
    monkeypatch.setattr(JobRegistry, "owns", lambda _, key, owner: states[key].active)
    monkeypatch.setattr(
        JobRegistry, "cancel", lambda _, key, owner: states.update({key: JobStatus("cancelled", 1, 4)})
    )
    app = part(demonstrations(picked="4-9-22-31"), "Check")
    press(app, "Check with the model")
    assert not rows(app)  # it is seen above
    app.button(key="demo_up_22").click().run()
    assert "the model is being asked" in rows(app)[0]
    assert "25%" in app.get("progress")[0].proto.text
    press(app, "Cancel")
    assert [status.state for status in states.values()] == ["cancelled"]
    assert "not measured: cancelled" in rows(app)[0]
    assert not app.get("progress")


def test_the_oldest_checks_that_have_ended_make_room(jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter(range(1, 11))
    monkeypatch.setattr("kernelsm.pipelines.ask_model.check", lambda report, store, **_: answers(next(losses)))
    app = part(demonstrations(picked="4-9-22-31"), "Check")
    for orders in range(1, 11):
        app.number_input(key="demo_check_orders").set_value(orders).run()
        press(app, "Check with the model")
    assert [float(row.split("measured **")[1].split("**")[0]) for row in rows(app)] == list(range(10, 2, -1))


def test_work_on_these_texts_is_found_again_after_the_page_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    states: dict[str, JobStatus] = {}

    def start(registry: JobRegistry, spec: JobSpec, owner: str) -> None:
        registry.folder(spec.key).mkdir(parents=True)
        write_spec(registry.folder(spec.key), spec)
        states[spec.key] = JobStatus("running", done=1, total=4, message="asking the language model")

    monkeypatch.setattr(JobRegistry, "start", start)
    monkeypatch.setattr(JobRegistry, "status", lambda _, key: states.get(key))
    monkeypatch.setattr(JobRegistry, "owns", lambda _, key, owner: states[key].active)
    app = part(demonstrations(), "Ask again")
    app.number_input(key="demo_seed").set_value(5).run()
    press(app, "Ask the model")
    assert len(app.main.get("progress")) == 1  # by its own panel
    again = open_app("demonstrations", browser=app, run=RUN)
    assert "25%" in again.main.get("progress")[0].proto.text
    assert any(one.label == "Cancel" and not one.disabled for one in again.main.button)
    # it ends while the page is open
    (key,) = states
    states[key] = JobStatus("done", 4, 4, result={"run": "coin-flip"})
    again.run()
    assert not again.main.get("progress")
    assert "has ended" in texts(again)
    assert not open_app("demonstrations", run=RUN).main.get("progress")  # somebody else's page
