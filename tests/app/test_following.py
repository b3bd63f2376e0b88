"""What charts show while a slider is dragged: the same numbers as when it is let go."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from app_harness import charts, open_app, texts

from kernelsm import AutoSurrogate, KernelSurrogate, Outcomes
from kernelsm.app.fit import following
from kernelsm.app.fit.following import LEVELS, Line, compute
from kernelsm.app.learn.lesson_files import BUILT_IN, lesson_files, read_lesson_file
from kernelsm.app.shell.ahead import Ahead
from kernelsm.app.shell.fits import held_out
from kernelsm.app.shell.live_charts import NAME
from kernelsm.app.shell.open_runs import open_run
from kernelsm.charts.marks import marks_of, places
from kernelsm.evaluation.fidelity import held_out_tables
from kernelsm.surrogates.reading import TUNING_ROWS
from kernelsm.workspace.tables import save_run

GAMMAS = ((0.001, 0.05, None), (0.1, 0.05, None), (3.0, 0.05, 90))


def test_every_stop_holds_the_surrogates_own_predictions() -> None:
    run = open_run("planted")
    found = compute(Line("planted", "rbf", "", True, GAMMAS), run)
    for stop, (gamma, ridge, used) in zip(found, GAMMAS, strict=True):
        outcomes = run.outcomes if used is None else run.outcomes.take(range(used))
        train, test = held_out_tables(outcomes, run.truth)
        expected = KernelSurrogate(gamma=gamma, ridge=ridge, coef0=1.0).fit_outcomes(train).predict(test.masks)
        np.testing.assert_allclose(stop.predicted, np.ravel(expected), rtol=0, atol=1e-9)
        np.testing.assert_allclose(stop.observed, test.values[:, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("key", "target", "on_truth"), [("digits", "digit 3", True), ("movie-reviews", "", False)])
def test_a_stop_shows_what_the_page_shows_once_the_slider_is_let_go(key: str, target: str, on_truth: bool) -> None:
    run = open_run(key)
    target = target if target in run.outcomes.target_names else ""
    (stop,) = compute(Line(key, "poly", target, on_truth, ((0.05, 0.2, 60),)), run)
    page = held_out(run.first(60).fits, "poly", 0.05, 0.2, on_truth)
    column = run.outcomes.target_names.index(target) if target else None
    for seen, table in ((stop.predicted, page.predicted), (stop.linear, page.linear)):
        whole = table[:, column] if column is not None else run.outcomes.mean_over_targets(table)
        np.testing.assert_allclose(seen, whole, rtol=0, atol=1e-9)
    assert stop.lds == pytest.approx(page.gains["lds"].first, abs=1e-12)
    assert stop.relative_error == pytest.approx(page.gains["relative_error"].first, abs=1e-12)
    np.testing.assert_allclose(stop.covered, page.covered(LEVELS), rtol=0, atol=1e-12)


def test_the_default_surrogate_has_stops_of_subsets() -> None:
    run = open_run("planted")
    (stop,) = compute(Line("planted", "auto", "", True, ((None, 0.0, 45),)), run)
    train, test = held_out_tables(run.outcomes.take(range(45)), run.truth)
    expected = AutoSurrogate(tuning_rows=TUNING_ROWS).fit_outcomes(train).predict(test.masks)
    np.testing.assert_allclose(stop.predicted, np.ravel(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-7, 1.0, 3e5])
def test_places_are_as_precise_as_they_say_and_short(scale: float) -> None:
    values = scale * np.random.default_rng(0).normal(size=200)
    values[3] = np.nan
    found = places(values)
    assert found[3] is None
    there = np.isfinite(values)
    off = np.abs(np.array(found, dtype=float)[there] - values[there]).max()
    assert off <= 5e-6 * np.abs(values[there]).max()
    assert len(json.dumps(found)) < 13 * 200
    assert places([0.0, 0.0]) == [0.0, 0.0]


def test_marks_are_what_a_figure_draws() -> None:
    figure = go.Figure(
        [
            {"type": "heatmap", "z": [[1.0]]},
            {
                "type": "scatter", "x": [1.0, np.nan], "y": np.array([2.0, 3.0]), "mode": "markers", "hovertext": "a",
                "error_y": {"array": np.array([0.1, np.nan]), "color": "red"}, "marker": {"size": 7},
            },
        ]
    )  # fmt: skip
    (mark,) = marks_of(figure)
    assert mark["x"] == [1.0, None]
    assert mark["error_y"] == {"array": [0.1, None], "color": "red"}
    assert mark["marker"] == {"size": 7}
    assert "hovertext" not in mark
    json.dumps(mark, allow_nan=False)


def following_of(app) -> list[dict]:
    """What the script that moves charts is told; nothing where there is none on the page."""
    found = [element.proto for element in app.get("bidi_component")]
    return [json.loads(proto.json) for proto in found if proto.component_name == NAME]


def asked(app) -> dict:
    """What it is told on a page where there is one."""
    (told,) = following_of(app)
    return told


def test_a_page_begins_without_frames_and_has_them_once_they_are_computed() -> None:
    app = open_app("fit", run="planted", kernel="rbf", gamma="0.1", ridge="0.05")
    told = asked(app)
    assert [slider["key"] for slider in told["sliders"]] == ["view_gamma", "view_ridge", "view_used"]
    assert [slider["frames"] for slider in told["sliders"]] == [None, None, None]
    run = open_run("planted")
    app.session_state["kernelsm_view"] = replace(app.session_state["kernelsm_view"], used=None)
    stops = app.select_slider(key="view_gamma").options
    line = Line("planted", "rbf", "", True, tuple((gamma, 0.05, None) for gamma in gammas(stops)))
    following._ahead().start(line, lambda: compute(line, run))
    following._ahead().finish()
    slider = asked(app.run())["sliders"][0]
    assert len(slider["frames"]) == len(stops)
    assert slider["at"] == gammas(stops).index(0.1)
    frame = slider["frames"][slider["at"]]
    shown = charts(app)[0]["data"][1]
    (mark,) = frame["charts"]["fit_scatter"]
    assert mark["trace"] == 1
    np.testing.assert_allclose(mark["y"], numbers(shown["y"]), rtol=0, atol=1e-4)
    assert frame["texts"]["fit_scores"] == [app.metric[0].value, app.metric[1].value]
    assert app.metric[0].value in frame["said"]


def gammas(labels) -> list[float]:
    return [float(str(label).split(" ")[0]) for label in labels]


def numbers(column) -> np.ndarray:
    if isinstance(column, dict):
        import base64

        return np.frombuffer(base64.b64decode(column["bdata"]), dtype=column["dtype"])
    return np.array(column)


def test_the_default_surrogate_moves_with_the_subsets_alone() -> None:
    told = asked(open_app("fit", run="planted"))
    assert [slider["key"] for slider in told["sliders"]] == ["view_used"]


def test_a_run_too_large_to_follow_says_when_its_charts_change() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((following.MOST_FITTED + 1, 5)) < 0.5
    key = save_run(Outcomes(masks, masks @ np.arange(5.0) + rng.normal(0, 0.1, len(masks))))
    app = open_app("fit", run=key, kernel="linear")
    assert not following_of(app)
    assert following.ON_RELEASE in texts(app)
    assert following.ON_RELEASE not in texts(open_app("fit", run="planted", kernel="linear"))


def test_a_lesson_with_a_slider_has_the_charts_of_all_its_positions() -> None:
    lesson = read_lesson_file(lesson_files(BUILT_IN)[3])
    app = open_app("learn", mode="class", lesson="4", guess="2")
    (slider,) = asked(app)["sliders"]
    assert slider["key"] == "view_at_4"
    assert len(slider["frames"]) == len(lesson.positions)
    for position, frame in enumerate(slider["frames"]):
        drawn = frame["charts"]["lesson_4"][1]["y"]
        assert [value is not None for value in drawn] == [i <= position for i in range(len(drawn))]
    now = charts(app)[0]["data"][1]
    np.testing.assert_allclose(slider["frames"][0]["charts"]["lesson_4"][1]["y"][0], numbers(now["y"])[0], atol=1e-4)


def test_a_lesson_that_rests_has_nothing_to_follow() -> None:
    assert not following_of(open_app("learn", mode="class", lesson="4"))


def test_work_ahead_is_done_once_and_the_least_used_goes_first() -> None:
    ahead, done = Ahead(kept=2, waiting=5), []
    for key in ("a", "b", "a"):
        ahead.start(key, lambda key=key: done.append(key) or key)
    ahead.finish()
    assert done == ["a", "b"]
    assert ahead.find("a") == "a"
    ahead.start("c", lambda: "c")
    ahead.finish()
    assert ahead.find("c") == "c"
    assert ahead.find("b") is None


def test_work_ahead_that_fails_is_told_from_work_that_is_not_done() -> None:
    ahead = Ahead(kept=2, waiting=5)
    assert not ahead.failed("x")
    ahead.start("x", lambda: 1 / 0)
    ahead.finish()
    assert ahead.failed("x")
    assert ahead.find("x") is None
