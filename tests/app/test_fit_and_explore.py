"""Fit and Explore: verdicts in words, the four tabs, intervals, veiled pairs, and the readout that suits the data."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from app_harness import open_app, press, texts

from kernelsm import AutoSurrogate, Outcomes, default_surrogate, load_example
from kernelsm.app.fit.workbench import _TABS, TAB_KEY
from kernelsm.app.shell.fits import TUNING_ROWS, interaction_gains, read_off, surfaces
from kernelsm.app.shell.open_runs import open_run
from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.examples.catalog import load_truth
from kernelsm.examples.planted.game import planted_game
from kernelsm.surrogates.wording import amount, percent
from kernelsm.workspace.tables import save_run

PREDICTED, SURFACE, INTERVALS, SWEEP = _TABS


def turned_to(tab: str, **params: str):
    """The Fit page with one of its tabs open."""
    app = open_app("fit", **params)
    app.session_state[TAB_KEY] = tab
    app.run()
    assert not app.exception
    return app


def charts(app) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def metrics(app) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in app.metric}


def noise_table(m: int = 120, K: int = 6, *, additive: bool, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    masks = rng.random((m, K)) < 0.5
    effects = np.linspace(-0.3, 0.4, K) if additive else np.zeros(K)
    return save_run(Outcomes(masks, 1 + masks @ effects + rng.normal(0, 0.05, m)))


# --- Fit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["digits", "planted"])
@pytest.mark.parametrize(("kernel", "named"), [("auto", "Auto"), ("rbf", "RBF"), ("linear", "RBF")])
def test_fit_says_who_predicts_better_and_whether_there_are_interactions(kernel: str, named: str, run: str) -> None:
    app = open_app("fit", run=run, kernel=kernel)
    words = texts(app)
    assert f"Against the tuned linear surrogate, {named} ranks subsets **better**" in words
    assert "has a relative error **smaller** by" in words
    assert "**There are interactions**: an RBF surrogate tuned alike predicts better than linear" in words
    shown = metrics(app)
    assert set(shown) == {f"LDS, {named}", f"Relative error, {named}"}
    assert re.fullmatch(r"\+0\.\d{3} against linear", shown[f"LDS, {named}"][1])
    assert re.fullmatch(r"-\d+\.\d points against linear", shown[f"Relative error, {named}"][1])
    why = {"auto": "Auto chooses kernel widths and ridges by itself", "linear": "Linear has no γ"}
    assert {name for name, said in why.items() if said in words} == {kernel} & set(why)


def test_the_scores_of_auto_are_those_of_the_default_surrogate_on_the_truth() -> None:
    truth = load_truth("planted")
    assert truth is not None
    fitted = load_example("planted")
    known = {mask.tobytes() for mask in fitted.masks}
    truth = truth.take([row for row, mask in enumerate(truth.masks) if mask.tobytes() not in known])
    assert truth.m == 77  # 23 of the 100 were fitted, and tell nothing
    predicted = default_surrogate().fit_outcomes(fitted).predict(truth.masks)
    shown = metrics(open_app("fit", run="planted"))
    assert shown["LDS, Auto"][0] == f"{lds(truth.values, predicted):.3f}"
    assert shown["Relative error, Auto"][0] == percent(relative_error(truth.values, predicted))


def test_no_sign_of_interactions_is_said_of_an_additive_table() -> None:
    app = open_app("fit", run=noise_table(additive=True))
    words = texts(app)
    assert "**No sign of interactions**" in words
    assert "Auto **cannot be told apart** from the tuned linear surrogate" in words
    assert "**Auto** took a sum of kernels (main effects, RBF kernels in which each task has a weight of" in words
    assert "for one target" in words


def test_what_auto_took_is_said_with_shares_that_add_up() -> None:
    words = texts(open_app("fit", run="digits"))
    (scales,) = re.findall(r"weighs scales of the outcome by leave-one-out: (.*?)\.", words)
    shares = [int(share) for share in re.findall(r"(\d+)%", scales)]
    assert len(shares) == 4
    assert shares == sorted(shares, reverse=True)
    assert abs(sum(shares) - 100) <= 2


def test_auto_does_not_name_kernels_where_it_predicts_nothing() -> None:
    key = noise_table(additive=False, m=60, K=8)
    app = open_app("fit", run=key)
    assert not app.exception
    found = AutoSurrogate(tuning_rows=TUNING_ROWS).fit_outcomes(open_run(key).outcomes.split(0.8, seed=0)[0])
    assert ("found nothing that it predicts better than the mean" in texts(app)) == (found.effects_.components_ == 0)


@pytest.mark.parametrize(("kernel", "resting"), [
    ("auto", {"view_gamma", "view_ridge"}), ("linear", {"view_gamma"}), ("rbf", set()), ("poly", set()),
])  # fmt: skip
def test_sliders_that_do_not_act_cannot_be_moved(kernel: str, resting: set[str]) -> None:
    app = open_app("fit", run="planted")
    app.segmented_control(key="view_kernel").set_value(kernel).run()
    assert not app.exception
    assert {slider.key for slider in app.select_slider if slider.disabled} == resting
    assert ("choose RBF or Quadratic above" in texts(app)) == (kernel == "auto")


@pytest.mark.parametrize(("slider", "value"), [("view_gamma", 0.3), ("view_ridge", 0.02)])
def test_a_slider_keeps_its_kernel(slider: str, value: float) -> None:
    for kernel, named in (("rbf", "RBF"), ("poly", "Quadratic")):
        app = open_app("fit", run="planted", kernel=kernel)
        app.select_slider(key=slider).set_value(value).run()
        assert not app.exception
        assert app.segmented_control(key="view_kernel").value == kernel
        assert app.select_slider(key=slider).value == value
        assert f"LDS, {named}" in metrics(app)


@pytest.mark.parametrize("kernel", ["auto", "rbf", "poly", "linear"])
def test_each_tab_draws_one_chart_of_its_own(kernel: str) -> None:
    app = open_app("fit", run="planted", kernel=kernel)
    alts = []
    for tab in _TABS:
        app.session_state[TAB_KEY] = tab
        app.run()
        assert not app.exception
        (chart,) = app.get("plotly_chart")
        alts.append(chart.proto.alt)
    starts = "Predicted against observed", "Heatmap of the leave-one-out error", "Calibration curve", "Animation of"
    for alt, start in zip(alts, starts, strict=True):
        assert alt.startswith(start)


@pytest.mark.parametrize(
    ("run", "kernel", "taken"),
    [("planted", "auto", "rbf"), ("planted", "linear", "rbf"), ("digits", "rbf", "rbf"), ("planted", "poly", "poly")],
)
def test_use_the_best_takes_the_point_of_the_least_error(run: str, kernel: str, taken: str) -> None:
    app = turned_to(SURFACE, run=run, kernel=kernel)
    surface, linear = surfaces(run, "", taken, True)
    gamma, ridge = surface.best
    words = texts(app)
    assert f"least error at γ = {gamma:.3g}, ridge {ridge:.2g}, **{surface.relative.min():.3g}** of what" in words
    assert f"linear at its best {linear.relative.min():.3g}" in words
    (button,) = (button for button in app.button if button.label == "Use the best")
    assert not button.disabled
    button.click().run()
    assert not app.exception
    assert app.segmented_control(key="view_kernel").value == taken
    assert app.select_slider(key="view_gamma").value == pytest.approx(gamma)
    assert app.select_slider(key="view_ridge").value == pytest.approx(ridge)
    (button,) = (button for button in app.button if button.label == "Use the best")
    assert button.disabled
    # now the ring stands around the star
    (figure,) = charts(app)
    star, ring = figure["data"][2:4]
    assert (star["x"], star["y"]) == (ring["x"], ring["y"])


def test_the_point_in_use_is_ringed_and_linear_stands_apart() -> None:
    places = {}
    for kernel in ("rbf", "linear"):
        (figure,) = charts(turned_to(SURFACE, run="planted", kernel=kernel, gamma="0.05", ridge="0.1"))
        places[kernel] = figure["data"][3]["x"][0]
    assert places["linear"] < 0 < places["rbf"]


def test_the_surface_is_that_of_what_is_fitted_for_the_target_chosen() -> None:
    (mean,) = charts(turned_to(SURFACE, run="digits"))
    (single,) = charts(turned_to(SURFACE, run="digits", target="digit 3"))
    assert mean["data"][0]["z"] != single["data"][0]["z"]


@pytest.mark.parametrize(("run", "against"), [("planted", "truth"), ("planted", "split"), ("digits", "split")])
def test_the_calibration_tab_states_a_percentage_near_nine_in_ten(run: str, against: str) -> None:
    app = turned_to(INTERVALS, run=run)
    app.radio(key="view_tested").set_value(against).run()
    assert not app.exception
    (said,) = re.findall(r"90% intervals of Auto hold \*\*(\d+)%\*\* of the outcomes of", texts(app))
    assert 80 <= int(said) <= 99
    (chart,) = app.get("plotly_chart")
    (drawn,) = re.findall(r"90% intervals hold ([\d.]+)% of held-out outcomes", chart.proto.alt)
    assert float(drawn) == pytest.approx(int(said), abs=0.51)


def test_the_sweep_plays_every_gamma_of_the_surface_in_the_browser() -> None:
    app = turned_to(SWEEP, run="planted")
    (figure,) = charts(app)
    surface = surfaces("planted", "", "rbf", True)[0]
    assert [float(frame["name"]) for frame in figure["frames"]] == pytest.approx(surface.gammas, rel=1e-2)
    (slider,) = figure["layout"]["sliders"]
    scores = [float(frame["data"][1]["text"][0].split("rank correlation ")[1]) for frame in figure["frames"]]
    assert scores[slider["active"]] == max(scores)
    assert "It plays in the browser" in texts(app)


def test_the_tabs_are_drawn_for_a_table_too_small_to_choose_by() -> None:
    masks = np.array([[0, 1], [1, 0], [1, 1]], dtype=bool)
    key = save_run(Outcomes(masks, np.array([1.0, 2.0, 2.5])))
    for tab in _TABS:
        app = turned_to(tab, run=key)
        assert not app.error
    assert "the two cannot be compared here" in texts(app)


# --- Explore --------------------------------------------------------------------------------------------------------


def test_explore_marks_the_three_planted_pairs_and_veils_the_others() -> None:
    app = open_app("explore", run="planted")
    words = texts(app)
    assert "3 of 45 pairs can be told from zero" in words
    assert "7 of 10 effects can be told from zero, with all of them in mind." in words
    assert "Whiskers are 90% intervals." in words
    (ranked,) = (frame.value for frame in app.dataframe)
    assert ranked["verdict"].isin(["synergy", "redundancy or conflict"]).tolist() == [True] * 3 + [False] * 12
    true = planted_game().interactions()
    names = list(planted_game().task_names)
    for row in ranked.rename(columns={"±": "margin"}).head(3).itertuples():
        first, second = row.pair.split(" and ")
        assert abs(row.value - true[names.index(first), names.index(second)]) < 2 * row.margin
    figures = charts(app)
    heatmap = next(figure for figure in figures if figure["data"][0]["type"] == "heatmap")
    assert [trace["type"] for trace in heatmap["data"]] == ["heatmap", "heatmap", "scatter"]
    bars = next(figure for figure in figures if figure["data"][0]["type"] == "bar")
    assert bars["data"][0]["error_x"]["visible"]


def test_bars_sentence_and_table_are_of_the_default_surrogate() -> None:
    app = open_app("explore", run="planted")
    g = default_surrogate().fit_outcomes(load_example("planted"))
    attribution = g.attribution()
    strongest = int(np.abs(attribution.values[:, 0]).argmax())
    value, margin = float(attribution.values[strongest, 0]), float(attribution.margin()[strongest, 0])
    assert f"lowers the loss by {amount(abs(value), margin)}: it helps." in texts(app)
    top = g.interactions().top(15)
    (ranked,) = (frame.value for frame in app.dataframe)
    np.testing.assert_allclose(ranked["value"], top["value"])
    np.testing.assert_allclose(ranked["±"], g.interactions().quantile() * top["std"])


def test_another_readout_changes_the_values() -> None:
    app = open_app("explore", run="planted")
    assert app.segmented_control(key="view_readout").value == "leave_one_out"
    seen = {}
    for readout in ("leave_one_out", "inclusion", "shapley"):
        app.segmented_control(key="view_readout").set_value(readout).run()
        assert not app.exception
        assert not app.warning
        (ranked,) = (frame.value for frame in app.dataframe)
        expected = default_surrogate().fit_outcomes(load_example("planted"))
        kind = {"leave_one_out": "second_difference"}.get(readout, readout)
        np.testing.assert_allclose(ranked["value"], expected.interactions(kind).top(15)["value"])
        seen[readout] = tuple(ranked["value"].round(6))
        how = {
            "leave_one_out": "with all other tasks in",
            "inclusion": "mean over random subsets of the other tasks, each in with p = ½",
            "shapley": "mean over random subsets of the other tasks, all sizes equally often",
        }[readout]
        assert f"Predicted loss, nats, {how}." in texts(app)
        assert_the_table_is_what_the_sentence_says(app, ranked["value"][0], ranked["±"][0])
    assert len(set(seen.values())) == 3
    assert app.query_params["readout"] in ("shapley", ["shapley"])


def assert_the_table_is_what_the_sentence_says(app, value: float, margin: float) -> None:
    """The 2 x 2 table of the pair looked at, the sum below it and the sentence above it."""
    (shown,) = (table.value for table in app.table)
    corners = shown.to_numpy().astype(float)
    assert corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0] == pytest.approx(value, abs=2.1e-4)
    assert f" = {amount(value, margin, signed=True)}." in texts(app)
    clear = f"{amount(abs(value), margin)} {'lower' if value < 0 else 'higher'} than the sum"
    unclear = f"is not measured well enough yet: {amount(value, margin, signed=True)}."
    assert (clear in texts(app)) != (unclear in texts(app))


def fixed_size_table(r: int = 3, K: int = 8) -> str:
    rng = np.random.default_rng(0)
    masks = rng.random((60, K)).argsort(axis=1) < r
    effects = np.linspace(0.1, 0.4, K)
    return save_run(Outcomes(masks, 1 - masks @ effects + rng.normal(0, 0.02, 60)))


def test_subsets_of_one_size_are_read_off_by_inclusion_unless_the_user_insists() -> None:
    key = fixed_size_table()
    app = open_app("explore", run=key)
    assert app.segmented_control(key="view_readout").value == "inclusion"
    assert not app.warning
    for readout, name in (("leave_one_out", "Leave one out"), ("shapley", "Shapley")):
        app.segmented_control(key="view_readout").set_value(readout).run()
        assert not app.exception
        (warning,) = app.warning
        assert warning.value.startswith(f"Every subset here holds 3 tasks. {name} asks for subsets of other sizes")
    app.segmented_control(key="view_readout").set_value("inclusion").run()
    assert not app.warning
    # it is the readout of that size
    own = default_surrogate().fit_outcomes(open_run(key).outcomes).attribution("inclusion", size=3)
    strongest = np.abs(own.values[:, 0]).argmax()
    assert f"by {amount(abs(own.values[strongest, 0]), own.margin()[strongest, 0])}" in texts(app)


def test_the_table_of_a_pair_stays_with_subsets_of_the_measured_size() -> None:
    rng = np.random.default_rng(1)
    masks = rng.random((150, 8)).argsort(axis=1).argsort(axis=1) < 3
    # two tasks that help, but not together
    values = 1 - 0.2 * masks[:, 0] - 0.2 * masks[:, 1] + 0.3 * masks[:, 0] * masks[:, 1] + rng.normal(0, 0.01, 150)
    app = open_app("explore", run=save_run(Outcomes(masks, values)), focus="0-1", off="3")
    assert "Predicted loss, mean over random subsets of 3 of 8 tasks." in texts(app)
    (ranked,) = (frame.value for frame in app.dataframe)
    assert ranked["value"][0] > 0.2
    assert_the_table_is_what_the_sentence_says(app, ranked["value"][0], ranked["±"][0])
    measured = [
        values[(masks[:, 0] == a) & (masks[:, 1] == b)].mean() for a in (False, True) for b in (False, True)
    ]  # fmt: skip
    (shown,) = (table.value for table in app.table)
    np.testing.assert_allclose(shown.to_numpy().astype(float).ravel(), measured, atol=0.02)


@pytest.mark.parametrize("readout", ["", "inclusion", "leave_one_out", "shapley"])
@pytest.mark.parametrize("run", ["movie-reviews", "coin-flip"])
def test_prompts_of_one_length_are_sent_to_demonstrations_for_what_if(run: str, readout: str) -> None:
    app = open_app("explore", run=run, off="3", **({"readout": readout} if readout else {}))
    words = texts(app)
    assert "Every prompt measured holds 4 of the 50 demonstrations" in words
    assert "training set" not in words
    assert not app.metric
    assert not any(group.key == "view_off" for group in app.get("button_group"))
    assert any(link.label == "Pick demonstrations into slots on Demonstrations" for link in app.get("page_link"))
    (ranked,) = (frame.value for frame in app.dataframe)
    if readout in ("", "inclusion"):
        assert "mean over random subsets of 4 of 50 tasks" in words
        assert_the_table_is_what_the_sentence_says(app, ranked["value"][0], ranked["±"][0])
        assert "Each subset holds 4 tasks: one that is in takes the place of another." in words
        assert not app.warning
    else:
        assert len(app.warning) == 1


def test_subsets_of_one_size_have_no_what_if_and_the_page_says_why() -> None:
    app = open_app("explore", run=fixed_size_table(), off="2")
    assert "Every subset measured holds 3 of 8 tasks. With a task toggled in or out" in texts(app)
    assert not app.metric
    assert not app.get("page_link")
    assert "toggle tasks" not in texts(open_app("start", run=fixed_size_table()))


@pytest.mark.parametrize("r", [1, 7])
def test_sizes_without_room_for_pairs_are_explored_all_the_same(r: int) -> None:
    app = open_app("explore", run=fixed_size_table(r))
    assert app.segmented_control(key="view_readout").value == "inclusion"
    assert not app.error


def test_the_start_page_shows_what_suits_the_data() -> None:
    words = texts(open_app("start", run=fixed_size_table()))
    assert "Readout: inclusion, Auto surrogate" in words
    words = texts(open_app("start", run="planted", kernel="linear"))  # nothing to see in pairs of a linear one
    assert "Readout: leave one out, Auto surrogate" in words


@pytest.mark.parametrize("kernel", ["auto", "rbf", "poly", "linear"])
def test_the_prediction_has_an_interval_that_grows_away_from_the_data(kernel: str) -> None:
    def prediction(off: str) -> tuple[float, float]:
        app = open_app("explore", run="planted", kernel=kernel, **({"off": off} if off else {}))
        (metric,) = app.metric
        number, margin = re.fullmatch(r"([\d.]+) ± ([\d.e-]+)", metric.value).groups()
        return float(number), float(margin)

    full, some = prediction(""), prediction("5")
    assert 0 < some[1] < 0.3
    assert some[0] > full[0] + 0.05  # the key opens the lock
    assert 0 < full[1] < 0.3


def test_a_change_within_its_margin_is_neither_better_nor_worse() -> None:
    app = open_app("explore", run="planted", off="5")
    (metric,) = app.metric
    change, margin = map(float, re.fullmatch(r"\+([\d.]+) ± ([\d.e-]+) against all tasks", metric.delta).groups())
    # doubts that both predictions share cancel
    g = default_surrogate().fit_outcomes(load_example("planted"))
    effect = g.attribution()
    assert change == pytest.approx(-effect.values[5, 0], abs=6e-4)
    assert margin == pytest.approx(effect.margin()[5, 0], rel=0.1)
    assert change > margin
    assert "9 of 10 tasks are in: predicted worse than with all tasks." in texts(app)

    app = open_app("explore", run=noise_table(additive=False, m=60, K=8), off="2")
    (metric,) = app.metric
    assert re.match(r"[+-][\d.]+", metric.delta)
    assert "7 of 8 tasks are in: the difference from all tasks is not measured well enough yet." in texts(app)
    press(app, "All tasks in")
    assert app.metric[0].delta == "0 against all tasks"
    assert "8 of 8 tasks are in: predicted as with all tasks." in texts(app)


def test_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    key = save_run(Outcomes(np.random.default_rng(0).random((40, 5)) < 0.5, np.full(40, 0.7)))
    app = open_app("explore", run=key, off="1")
    assert "-0.0000" not in app.metric[0].delta + texts(app)


def test_the_linear_kernel_says_why_its_interactions_are_zero() -> None:
    app = open_app("explore", run="planted", kernel="linear")
    (info,) = app.info
    assert info.value.startswith("Every interaction is exactly zero, whatever the data")
    assert "pairs can be told from zero" not in texts(app)
    app.segmented_control(key="view_kernel").set_value("auto").run()
    assert not app.info
    assert "3 of 45 pairs can be told from zero" in texts(app)


def test_auto_finds_no_interaction_in_an_additive_table() -> None:
    for seed in range(3):
        app = open_app("explore", run=noise_table(additive=True, seed=seed))
        words = texts(app)
        zero = "on these outcomes a linear kernel is the likeliest" in words
        assert ("None of the 15 pairs" in words) != zero
        assert "of 15 pairs can be told from zero" not in words
        (ranked,) = (frame.value for frame in app.dataframe)
        assert zero == (ranked["value"] == 0).all()


def test_a_table_of_nothing_but_noise_is_called_uncertain_not_without_effect() -> None:
    app = open_app("explore", run=noise_table(additive=False, m=60, K=8))
    words = texts(app)
    assert "leaves the loss as it is" not in words
    assert "**None of the 8 effects can be told from zero**: " in words
    assert "not measured well enough yet." in words
    assert not app.metric[0].value.endswith("± 0")
    # nor is a linear kernel the likeliest of anything here
    assert "a linear kernel is the likeliest" not in words


def test_the_truth_is_drawn_beside_leave_one_out_only() -> None:
    app = open_app("explore", run="planted", truth="1")
    assert "The truth" in [header.value for header in app.header]
    assert "Diamonds: the true effects." in texts(app)
    app.segmented_control(key="view_readout").set_value("inclusion").run()
    assert not app.exception
    assert "The truth" not in [header.value for header in app.header]


def test_intervals_of_the_mean_hold_noise_that_all_targets_share() -> None:
    rng = np.random.default_rng(3)
    masks = rng.random((100, 6)) < 0.5
    common = rng.normal(0, 0.3, (100, 1))
    outcomes = Outcomes(masks, 2 + masks @ rng.normal(0, 0.3, (6, 10)) + common)
    key = save_run(outcomes)
    mean = read_off(key, "", "auto", None, 0.0, "leave_one_out").attribution
    # least squares of the mean: a standard error of about 2 x 0.3 / sqrt(100)
    assert mean.target_names == ("mean over targets",)
    assert np.median(mean.std) > 0.04


def test_the_verdict_on_interactions_does_not_hang_on_the_kernel_chosen() -> None:
    rank, error = interaction_gains("planted", True)
    said = f"relative error {percent(error.first)} against {percent(error.second)}"
    assert rank.low > 0 > error.high
    for kernel in ("auto", "poly", "linear"):
        assert said in texts(open_app("fit", run="planted", kernel=kernel))
