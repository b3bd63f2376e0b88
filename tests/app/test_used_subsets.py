"""How many subsets are fitted: the slider, the link, the words on each page, and what is taken away."""

from __future__ import annotations

import numpy as np
import pytest
from app_harness import open_app, texts, turn

from kernelsm import Outcomes, load_example
from kernelsm.app.demonstrations.prompt_choice import prediction
from kernelsm.app.shell.controls import used_stops
from kernelsm.app.shell.fits import fitted, held_out
from kernelsm.app.shell.open_runs import known_orders, open_run
from kernelsm.app.take_away.results import result_of_view, settings_of
from kernelsm.examples.catalog import load_truth
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.workspace.tables import save_run


def test_the_slider_goes_from_thirty_to_all_and_rests_on_all() -> None:
    stops = used_stops(300, None)
    assert stops[0] == 30
    assert stops[-1] == 300
    assert stops == sorted(set(stops))
    assert 47 in used_stops(300, 47)
    app = open_app("explore", run="planted")
    assert app.select_slider(key="view_used").value == 300
    assert "used" not in app.query_params


def test_prompts_are_predicted_from_the_first_ones_and_their_orders_alone() -> None:
    run = open_run("movie-reviews").first(60)
    everything, few = known_orders("movie-reviews"), known_orders(run.fits)
    assert few is not None
    assert everything is not None
    assert 0 < len(few.orders) < len(everything.orders)
    sets = {tuple(np.flatnonzero(mask)) for mask in run.outcomes.masks}
    assert {tuple(sorted(order)) for order in few.orders.tolist()} == sets
    app = open_app("demonstrations", run="movie-reviews", used="60")
    assert "itted on the first 60 of 200 subsets" in texts(app)
    assert app.select_slider(key="view_used").value == 60
    found = prediction(run.fits)
    assert found is not None
    assert found.surrogate.given_ <= len(few.orders)


@pytest.mark.parametrize("page", ["fit", "explore", "decide"])
def test_a_choice_is_kept_in_the_link_and_said_on_each_page(page: str) -> None:
    app = open_app(page, run="planted")
    app.select_slider(key="view_used").set_value(120).run()
    assert not app.exception
    assert app.query_params["used"] == "120"
    said = "itted on the first 120 of 300 subsets"
    assert said in texts(app)
    for other in ("fit", "explore", "decide", "start"):
        assert said in texts(turn(app, other))
    assert "300 subsets, all of them here (Fit uses 120)" in texts(turn(app, "subsets"))


def test_the_first_subsets_are_what_is_fitted() -> None:
    outcomes, truth = load_example("planted").take(range(60)), load_truth("planted")
    run = open_run("planted").first(60)
    found = held_out(run.fits, "rbf", 0.1, 0.05, True)
    expected = KernelSurrogate(gamma=0.1, ridge=0.05, coef0=1.0).fit_outcomes(outcomes)
    assert found.trained_on == 60
    np.testing.assert_allclose(
        found.predicted[:, 0], np.ravel(expected.predict(found.observed.masks)), rtol=0, atol=1e-9
    )
    assert found.observed.m <= truth.m
    everything = fitted("planted", "", "rbf", 0.1, 0.05).attribution("leave_one_out").values
    few = fitted(run.fits, "", "rbf", 0.1, 0.05).attribution("leave_one_out").values
    assert np.abs(everything - few).max() > 0.01


def test_what_is_taken_away_is_what_is_on_screen() -> None:
    app = open_app("explore", run="planted", used="90", kernel="rbf", gamma="0.1")
    view = app.session_state["kernelsm_view"]
    settings = settings_of(open_run("planted"), view)
    result = result_of_view("planted", "Planted", settings, "")
    assert settings.used == 90
    assert result.outcomes.m == 90
    expected = KernelSurrogate(gamma=0.1, ridge=0.1, coef0=1.0).fit_outcomes(load_example("planted").take(range(90)))
    np.testing.assert_allclose(
        result.readout.attribution.values, expected.attribution("leave_one_out").values, rtol=0, atol=1e-9
    )


def test_another_run_uses_all_of_its_subsets_again() -> None:
    app = open_app("explore", run="planted", used="90")
    app.selectbox(key="kernelsm_run_picker").set_value("digits").run()
    assert not app.exception
    assert app.session_state["kernelsm_view"].used is None


def test_few_subsets_have_no_slider_and_a_link_that_asks_for_more_than_there_are_uses_all() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((29, 6)) < 0.5
    key = save_run(Outcomes(masks, masks @ rng.normal(size=6) + rng.normal(0, 0.1, 29)))
    app = open_app("fit", run=key)
    assert not [slider for slider in app.select_slider if slider.key == "view_used"]
    app = open_app(run=key, used="60")
    assert app.session_state["kernelsm_view"].used is None
    assert "used=60" in app.toast[0].value.replace("\\", "")
