"""Compare, two views: pinned on any page, named by what differs, set by hand, kept in links and session files."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from app_harness import as_read, charts, open_app, press, texts, turn
from person import ME
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.app.data import saved_work
from kernelsm.app.shell.view import MOST_PINS
from kernelsm.workspace.tables import TABLES, save_run

pytestmark = pytest.mark.usefixtures("warm_server")
LINEAR = "run=planted&kernel=linear"


def table(tasks: tuple[str, ...] = ("north", "east", "south", "west"), seed: int = 0, **more: Any) -> Outcomes:
    rng = np.random.default_rng(seed)
    masks = rng.random((40, len(tasks))) < 0.5
    values = masks @ np.linspace(0.5, -0.4, len(tasks)) + rng.normal(0, 0.02, 40)
    return Outcomes(masks, values, task_names=tasks, target_names=("all",), **{"meta": {"unit": "nats"}, **more})


def view(app: AppTest) -> Any:
    return app.session_state["kernelsm_view"]


def pin(app: AppTest) -> AppTest:
    app.button(key="kernelsm_pin").click().run()
    assert not app.exception
    return app


def options(app: AppTest, which: str) -> list[str]:
    found: list[str] = app.selectbox(key=f"view_{which}").options
    return found


@pytest.mark.parametrize("page", ["explore", "fit", "decide", "compare"])
def test_a_view_is_pinned_on_any_page_and_taken_off_again(page: str) -> None:
    app = pin(open_app(page, run="planted", kernel="linear"))
    assert view(app).pins == (LINEAR,)
    assert app.button(key="kernelsm_pin").label == "Unpin this view"
    assert "Planted" in as_read(app.toast[0].value)
    pin(app)
    assert view(app).pins == ()


def test_pins_are_bounded_and_the_button_says_so() -> None:
    app = open_app("fit", run="planted", kernel="linear")
    for ridge in range(1, MOST_PINS + 2):
        app.session_state["kernelsm_view"] = _with(view(app), ridge=float(ridge))
        app.run()
        if not app.button(key="kernelsm_pin").disabled:
            pin(app)
    assert len(view(app).pins) == MOST_PINS
    assert app.button(key="kernelsm_pin").disabled
    assert f"{MOST_PINS} views are pinned" in app.button(key="kernelsm_pin").help


def _with(state: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(state, **changes)


def test_pins_are_named_by_what_differs_and_either_side_takes_one() -> None:
    app = pin(open_app("explore", run="planted"))
    app.segmented_control(key="view_kernel").set_value("linear").run()
    pin(app)
    turn(app, "compare")
    app.segmented_control(key="view_compared").set_value("views").run()
    assert options(app, "first") == ["As on the other pages", "Auto", "Linear ridge 0.1"]
    app.selectbox(key="view_first").set_value(view(app).pins[0]).run()
    app.selectbox(key="view_second").set_value(view(app).pins[1]).run()
    assert not app.exception
    said = as_read(texts(app))
    assert "of 10 tasks differ" in said
    assert "how far both move together when each subset is left out" in said
    assert "A linear surrogate has no interactions" in said
    bars = [chart for chart in charts(app) if chart["data"][0]["type"] == "bar"]
    assert len(bars) == 3
    # one order of tasks and one range
    assert len({json.dumps(chart["layout"]["yaxis"]["ticktext"]) for chart in bars}) == 1
    assert len({json.dumps(chart["layout"]["xaxis"]["range"]) for chart in bars}) == 1
    again = open_app("compare", **view(app).to_params())
    assert view(again) == view(app)
    assert as_read(texts(again)) == said
    # taking one out of the list takes its pin off
    app.multiselect(key="view_pins").set_value([view(app).pins[1]]).run()
    assert len(view(app).pins) == 1


def test_a_side_is_set_by_hand() -> None:
    app = open_app("compare", run="planted", compared="views")
    app.segmented_control(key="view_second_kernel").set_value("rbf").run()
    assert view(app).second.startswith("run=planted&kernel=rbf")
    app.segmented_control(key="view_second_readout").set_value("shapley").run()
    app.select_slider(key="view_second_gamma").set_value(0.02).run()
    app.select_slider(key="view_second_ridge").set_value(0.05).run()
    assert not app.exception
    assert view(app).pinned(view(app).second).surrogate == ("rbf", 0.02, 0.05)
    assert view(app).pinned(view(app).second).readout == "shapley"
    assert options(app, "second")[-1] == "Set by hand"
    app.select_slider(key="view_second_used").set_value(60).run()
    assert not app.exception
    assert view(app).second.endswith("&used=60")
    assert "One was fitted to the first subsets of the other" in as_read(texts(app))
    # the view of the other pages stays as it is
    assert (view(app).kernel, view(app).readout) == ("auto", "")
    app.selectbox(key="view_second_run").set_value("sentiment").run()
    assert not app.exception
    assert "at least one task of the same name" in as_read(texts(app))


def test_two_readouts_of_one_fit_share_it_and_compare_their_pairs() -> None:
    app = open_app("compare", run="planted", compared="views", second="run=planted&readout=shapley")
    said = as_read(texts(app))
    assert "Both are read off one fit" in said
    assert "pairs differ" in said or "pair differs" in said or "None of the 45" in said
    heat = [chart for chart in charts(app) if chart["data"][0]["type"] == "heatmap"]
    assert len(heat) == 2
    assert heat[0]["data"][0]["zmax"] == heat[1]["data"][0]["zmax"]


def test_runs_with_other_tasks_and_other_measures_say_what_cannot_be_compared() -> None:
    first = save_run(table())
    other = save_run(table(("south", "east", "north", "sea"), seed=1, higher_is_better=True, meta={}))
    app = open_app("compare", run=first, compared="views", second=f"run={other}")
    said = as_read(texts(app))
    assert "Only the first view has west: not compared." in said
    assert "Only the second view has sea: not compared." in said
    assert "The two measure different things, loss, nats and score" in said
    assert len([chart for chart in charts(app) if chart["data"][0]["type"] == "bar"]) == 2
    assert "their interactions cannot be subtracted" in said


def test_names_are_shown_as_they_are() -> None:
    names = ("<b>a</b>", "b *x*", "c $1$", "=d()")
    key = save_run(table(names))
    app = open_app("compare", run=key, compared="views")
    assert not app.exception
    assert "<b>a</b>" not in json.dumps(charts(app)[0]["layout"]["yaxis"]["ticktext"])


def test_a_link_to_a_pin_of_a_run_that_is_not_here_says_so_and_shows_the_rest() -> None:
    gone = f"run={'0' * 40}"
    app = open_app(run="planted", compared="views", pins=f"{gone}|{LINEAR}", first=gone)
    assert "left out" in app.toast[0].value
    turn(app, "compare")
    assert view(app).first == ""
    assert view(app).pins == (LINEAR,)
    assert charts(app)


def test_what_is_pinned_goes_along_in_a_session_file_and_is_dropped_with_its_table(
    monkeypatch: pytest.MonkeyPatch, own_cache: Any
) -> None:
    files: list[bytes] = []
    write = saved_work.write_session

    def recorded(*given: Any, **named: Any) -> bytes:
        files.append(write(*given, **named))
        return files[-1]

    monkeypatch.setattr(saved_work, "write_session", recorded)
    key, mine = save_run(table()), save_run(table(seed=2))
    ME.own(TABLES, mine)
    app = ME.open("data", run=mine, pins=f"run={key}|{LINEAR}", compared="views", second=f"run={key}")
    # seen through the link, so it is listed, and stays while it is looked at
    assert set(app.session_state["kernelsm_tables"]) == {key, mine}
    press(app, "Write a session file")
    with zipfile.ZipFile(io.BytesIO(files[0])) as archive:
        assert {f"runs/{key}.parquet", f"runs/{mine}.parquet"} <= set(archive.namelist())
        assert json.loads(archive.read("session.json"))["pinned"] == [key]
    for path in TABLES.paths(key):
        path.unlink(missing_ok=True)
    again = open_app("data", run="planted")
    again.segmented_control(key="kernelsm_bring").set_value("A saved session").run()
    again.file_uploader(key="bring_session").upload("session.zip", files[0]).run()
    press(again, "Open this session")
    assert view(again).pins == view(app).pins
    turn(again, "compare")
    assert "north" in json.dumps(charts(again)[0]["layout"]["yaxis"]["ticktext"])
    turn(again, "data")
    again.selectbox(key="saved_choice").set_value(key).run()
    press(again, "Delete it" if any(b.label == "Delete it" for b in again.button) else "Take off this list")
    assert all(key not in one for one in view(again).pins)
    assert view(again).second == ""
