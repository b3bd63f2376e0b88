"""Charts of Fit and the intervals of Explore: every number drawn, what a click means, what is veiled."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm import LinearSurrogate
from kernelsm.charts.attribution import attribution_bars
from kernelsm.charts.calibration import calibration_plot
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.charts.interactions import interaction_heatmap
from kernelsm.charts.order import ORDERS, task_order
from kernelsm.charts.style import BLUE, NEUTRAL, ORANGE, pale
from kernelsm.charts.surface import clicked_point, loo_heatmap
from kernelsm.charts.sweep import gamma_sweep
from kernelsm.surrogates.wording import is_unclear

GAMMAS, RIDGES = np.array([0.01, 0.1, 1.0]), np.array([1e-3, 1e-2, 0.1, 1.0])
ERRORS = np.array([[0.9, 0.8, 0.7, 0.75], [0.5, 0.3, 0.2, 0.4], [1.0, 1.1, 1.3, 1.0]])
LINEAR = np.array([0.95, 0.85, 0.6, 0.65])


def redrawn(chart):
    """The figure, once it has gone through JSON, as it goes to the browser, and been accepted again."""
    again = go.Figure(json.loads(chart.figure.to_json()))
    assert len(again.data) == len(chart.figure.data)
    assert "NaN" not in chart.figure.to_json()
    return chart.figure


def surface(current=(0.1, 0.1), dark=False, errors=ERRORS, linear=LINEAR):
    return loo_heatmap(GAMMAS, RIDGES, errors, linear, current=current, dark=dark)


# --- the leave-one-out surface --------------------------------------------------------------------------------------


def test_the_surface_shows_every_error_and_the_linear_ones_apart():
    figure = redrawn(surface())
    grid, alone = [trace for trace in figure.data if trace.type == "heatmap"]
    np.testing.assert_allclose(10 ** np.array(grid.z, dtype=float), ERRORS.T, rtol=1e-5)
    np.testing.assert_allclose(10 ** np.array(alone.z, dtype=float)[:, 0], LINEAR, rtol=1e-5)
    assert (grid.zmin, grid.zmax) == (alone.zmin, alone.zmax)
    assert alone.x[0] < min(grid.x) - 1
    assert figure.layout.xaxis.ticktext[0] == "linear"
    assert figure.layout.xaxis.tickvals[0] == alone.x[0]


def test_the_star_marks_the_least_error_and_the_ring_the_point_in_use():
    star, ring = (trace for trace in surface(current=(0.01, 1e-2)).figure.data[2:4])
    assert (star.text[0], star.x[0], star.y[0]) == ("★", 1, 2)
    assert (ring.x[0], ring.y[0]) == (0, 1)
    # between two values of the grid it stands between their cells, beyond the grid at its edge
    between = surface(current=(10**-1.5, 10**-2.5)).figure.data[3]
    assert (between.x[0], between.y[0]) == pytest.approx((0.5, 0.5))
    beyond = surface(current=(50.0, 0.0)).figure.data[3]
    assert (beyond.x[0], beyond.y[0]) == (2, 0)


def test_the_ring_of_the_linear_surrogate_stands_on_its_column():
    figure = surface(current=(None, 0.1)).figure
    assert figure.data[3].x[0] == figure.data[1].x[0]
    assert figure.data[3].y[0] == 2


def test_every_cell_of_the_surface_can_be_clicked_and_says_its_error():
    clicks = surface().figure.data[4]
    assert clicks.marker.opacity == clicks.selected.marker.opacity == clicks.unselected.marker.opacity == 0
    assert len(clicks.x) == 3 * 4 + 4
    found = {}
    for (i, j), words in zip(clicks.customdata.tolist(), clicks.hovertext, strict=True):
        point = clicked_point({"points": [{"customdata": [i, j]}]}, GAMMAS, RIDGES)
        found[point] = float(words.rsplit(": ")[1])
        assert words.startswith("linear" if i < 0 else f"γ {GAMMAS[i]:.3g}")
    expected = {(g, r): ERRORS[i, j] for i, g in enumerate(GAMMAS) for j, r in enumerate(RIDGES)}
    assert found == expected | {(None, r): LINEAR[j] for j, r in enumerate(RIDGES)}
    assert set(zip(clicks.x.tolist(), clicks.y.tolist(), strict=True)) == {
        (x, y) for x in (-1.6, 0, 1, 2) for y in range(4)
    }


def test_a_page_of_another_tone_gets_other_colours():
    light, dark = (surface(dark=dark).figure.data[0].colorscale for dark in (False, True))
    assert light != dark
    brightness = [sum(int(scale[-1][1][i : i + 2], 16) for i in (1, 3, 5)) for scale in (light, dark)]
    assert brightness[0] > 600 > 200 > brightness[1]  # the worst errors sink into the page


def test_the_alt_text_of_the_surface_names_the_best_point():
    alt = surface().alt
    assert "3 values of γ and 4 of the ridge" in alt
    assert "0.2 times the mean's error at γ = 0.1, ridge 0.1" in alt
    assert alt.endswith("linear surrogate at its best 0.6.")


@pytest.mark.parametrize(
    "errors",
    [np.ones((3, 4)), np.zeros((3, 4)), ERRORS * 1e-9, np.where(ERRORS == 0.2, 1e-14, 1e6)],
    ids=["all one", "all zero", "tiny", "far apart"],
)
def test_extreme_errors_are_drawn_on_a_finite_scale(errors):
    figure = redrawn(surface(errors=errors, linear=np.ones(4)))
    heatmap = figure.data[0]
    assert np.isfinite(np.array(heatmap.z, dtype=float)).all()
    assert 0 < heatmap.zmax - heatmap.zmin <= 3.0001


@pytest.mark.parametrize(
    ("selection", "point"),
    [
        ({"points": [{"customdata": [1, 2]}]}, (0.1, 0.1)),
        ({"points": [{"customdata": {"0": 0, "1": 3}}]}, (0.01, 1.0)),
        ({"points": [{"customdata": [-1, 1]}]}, (None, 0.01)),
        ({"points": [{"customdata": [2, 0]}, {"customdata": [0, 0]}]}, (1.0, 0.001)),
        ({"points": []}, None),
        ({"points": None}, None),
        ({}, None),
        ({"points": [{"x": 1, "y": 2}]}, None),
        ({"points": [{"customdata": [1]}]}, None),
        ({"points": [{"customdata": [3, 0]}]}, None),
        ({"points": [{"customdata": [0, 4]}]}, None),
        ({"points": [{"customdata": [-2, 0]}]}, None),
        ({"points": [{"customdata": [0, -1]}]}, None),
    ],
)
def test_a_click_names_its_point_and_anything_else_is_ignored(selection, point):
    assert clicked_point(selection, GAMMAS, RIDGES) == point


@given(st.integers(-5, 8), st.integers(-5, 8))
def test_a_click_never_leaves_the_grid(i, j):
    point = clicked_point({"points": [{"customdata": [i, j]}]}, GAMMAS, RIDGES)
    if point is not None:
        assert point[1] in RIDGES
        assert point[0] is None or point[0] in GAMMAS


# --- the sweep ------------------------------------------------------------------------------------------------------

OBSERVED = np.array([1.0, 2.0, 3.0, 4.0])
STEPS = [
    (0.01, 0.1, np.array([2.0, 2.2, 2.4, 2.6]), 0.8),
    (0.1, 0.01, np.array([1.1, 1.9, 3.2, 3.9]), 0.95),
    (1.0, 1e-3, np.array([2.5, 2.5, 2.6, 9.0]), 0.3),
]


def test_the_sweep_has_a_frame_and_a_stop_for_every_gamma():
    figure = redrawn(gamma_sweep(OBSERVED, STEPS))
    assert [frame.name for frame in figure.frames] == ["0.01", "0.1", "1"]
    for frame, (gamma, ridge, predicted, score) in zip(figure.frames, STEPS, strict=True):
        np.testing.assert_allclose(np.array(frame.data[0].y, dtype=float), predicted, rtol=1e-6)
        assert list(frame.traces) == [1, 2]  # the points and the words, not the diagonal
        (note,) = frame.data[1].text
        assert note.strip() == f"γ = {gamma:.3g}, ridge {ridge:g}: rank correlation {score:.3f}"
    (slider,) = figure.layout.sliders
    assert [step.label for step in slider.steps] == [frame.name for frame in figure.frames]
    assert [list(step.args[0]) for step in slider.steps] == [[frame.name] for frame in figure.frames]


def test_the_sweep_starts_at_the_best_gamma_and_plays_all():
    figure = gamma_sweep(OBSERVED, STEPS).figure
    assert figure.layout.sliders[0].active == 1
    np.testing.assert_array_equal(figure.data[1].x, OBSERVED)
    np.testing.assert_array_equal(figure.data[1].y, STEPS[1][2])
    assert figure.data[2].text[0].endswith("rank correlation 0.950")
    assert figure.data[2].mode == "text"
    (button,) = figure.layout.updatemenus[0].buttons
    assert button.method == "animate"
    assert button.args[0] is None  # every frame


def test_all_frames_lie_inside_axes_that_are_equal():
    layout = gamma_sweep(OBSERVED, STEPS).figure.layout
    assert layout.xaxis.range == layout.yaxis.range
    assert layout.xaxis.range[0] < 1.0
    assert layout.xaxis.range[1] > 9.0
    flat = gamma_sweep(np.ones(3), [(0.1, 0.1, np.ones(3), 0.0)]).figure.layout.xaxis.range
    assert flat[0] < 1 < flat[1]


def test_the_sweep_says_what_it_shows():
    chart = gamma_sweep(OBSERVED, STEPS, unit="score")
    assert "3 values of γ from 0.01 to 1. Best rank correlation 0.950 at γ = 0.1." in chart.alt
    assert chart.figure.layout.xaxis.title.text == "observed (score)"


# --- calibration and fit --------------------------------------------------------------------------------------------


def test_the_calibration_curve_lies_on_its_points_with_a_band_of_chance():
    levels, covered = np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.45, 0.87])
    chart = calibration_plot(levels, covered, 100)
    band, diagonal, curve = redrawn(chart).data
    np.testing.assert_array_equal(curve.x, levels)
    np.testing.assert_array_equal(curve.y, covered)
    assert (list(diagonal.x), list(diagonal.y)) == ([0, 1], [0, 1])
    # a share of 100 draws at one half scatters by 0.05: nine in ten within 1.645 of that
    upper, lower = np.array(band.y[:3]), np.array(band.y[3:][::-1])
    assert (upper[1] - 0.5, 0.5 - lower[1]) == pytest.approx((1.645 * 0.05, 1.645 * 0.05))
    assert list(band.x) == [0.1, 0.5, 0.9, 0.9, 0.5, 0.1]
    assert chart.alt == "Calibration curve: 90% intervals hold 87.0% of held-out outcomes."


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_band_of_few_subsets_stays_between_none_and_all(count):
    band = calibration_plot(np.linspace(0.1, 0.95, 5), np.ones(5), count).figure.data[0]
    assert (np.array(band.y) >= 0).all()
    assert (np.array(band.y) <= 1).all()


def test_predictions_are_drawn_in_panels_of_the_same_axes():
    chart = predicted_vs_observed(OBSERVED, {"A": OBSERVED + 0.5, "B": OBSERVED * 0}, unit="score")
    figure = redrawn(chart)
    points = [trace for trace in figure.data if trace.mode == "markers"]
    assert [list(trace.y) for trace in points] == [[1.5, 2.5, 3.5, 4.5], [0.0] * 4]
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range == figure.layout.yaxis2.range
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]
    assert "A: mean absolute error 0.5, B: mean absolute error 2.5" in chart.alt


# --- bars with whiskers ---------------------------------------------------------------------------------------------

NAMES = ("a", "<b>", "c", "d")
VALUES = np.array([-0.5, 0.1, 0.3, 0.0])
MARGIN = np.array([0.2, 0.2, 0.0, 0.1])


def test_whiskers_are_margins_and_bars_within_them_are_pale():
    chart = attribution_bars(VALUES, NAMES, margin=MARGIN)
    (bars,) = redrawn(chart).data
    assert list(bars.error_x.array) == [0.2, 0.2, 0.0, 0.1]
    assert bars.error_x.visible
    assert list(bars.marker.color) == [BLUE, pale(ORANGE), ORANGE, pale(NEUTRAL)]
    # pale bars are told by their outline
    assert list(bars.marker.line.color) == [BLUE, ORANGE, ORANGE, NEUTRAL]
    assert [width > 0 for width in bars.marker.line.width] == [False, True, False, True]
    assert bars.hovertext[0] == "a: -0.50 ± 0.20 (helps)"
    assert chart.alt.endswith(
        "Strongest of those told from zero: a, -0.50 ± 0.20 (loss, nats). 2 of 4 can be told from zero. "
        "a -0.50 ± 0.20; <b> +0.10 ± 0.20; c +0.3; d +0.00 ± 0.10."
    )


def test_an_interval_that_is_not_known_tells_nothing_from_zero():
    # as the sentence beside the chart has it: "it cannot be told from no effect"
    assert is_unclear(0.3, np.nan)
    chart = attribution_bars(VALUES, NAMES, margin=np.array([0.2, 0.2, np.nan, 0.1]))
    (bars,) = chart.figure.data
    assert bars.hovertext[2] == "c: +0.3 (cannot be told from no effect)"
    assert bars.marker.line.width[2] > 0
    assert "1 of 4 can be told from zero." in chart.alt


def test_an_endless_interval_does_not_stretch_the_axis():
    # of a task that no subset tells from the others, where there is no ridge
    masks = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]])
    g = LinearSurrogate(ridge=0.0).fit(masks, [1.0, 2.0, 1.5, 2.2, 2.1])
    margin = g.attribution().margin()[:, 0]
    assert margin[2] == np.inf
    (bars,) = attribution_bars(g.attribution().values[:, 0], ("a", "b", "c"), margin=margin).figure.data
    assert max(bars.error_x.array) < 1e6
    assert bars.marker.line.width[2] > 0


def test_whiskers_follow_the_order_of_the_bars():
    order = np.array([2, 0, 3, 1])
    (bars,) = attribution_bars(VALUES, NAMES, margin=MARGIN, order=order, truth=VALUES + 1).figure.data[:1]
    assert list(bars.x) == [0.3, -0.5, 0.0, 0.1]
    assert list(bars.error_x.array) == [0.0, 0.2, 0.1, 0.2]
    truth = attribution_bars(VALUES, NAMES, margin=MARGIN, order=order, truth=VALUES + 1).figure.data[1]
    np.testing.assert_allclose(truth.x, [1.3, 0.5, 1.0, 1.1])


def test_a_bar_of_rounding_has_no_colour_of_help_or_hurt():
    values, margin = np.array([1e-17, -1e-17, 0.5, 1e-17]), np.array([0.1, 0.1, 0.1, np.nan])
    (bars,) = attribution_bars(values, NAMES, margin=margin).figure.data
    assert list(bars.marker.line.color[:2]) == [NEUTRAL] * 2
    assert NEUTRAL not in bars.marker.line.color[2:]
    assert ["helps" in text or "hurts" in text for text in bars.hovertext] == [False, False, True, False]


def test_equal_tasks_and_tasks_alike_keep_their_order_whatever_rounding_says():
    # three kinds of tasks, mixed: alike within a kind but for rounding
    kind = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    between = np.array([[0.0, 1.0, 0.3], [1.0, 0.1, -0.5], [0.3, -0.5, 0.2]]) / 3
    pairs, effects = between[kind][:, kind], np.array([0.2, -0.7, 0.2])[kind] / 3
    plain = {order: task_order(order, effects, pairs).tolist() for order in ORDERS}
    assert plain["strength"] == [1, 4, 7, 0, 2, 3, 5, 6]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shaken = pairs + 1e-15 * rng.uniform(-1, 1, pairs.shape)
        for order in ORDERS:
            found = task_order(order, effects + 1e-15 * rng.uniform(-1, 1, 8), (shaken + shaken.T) / 2)
            assert found.tolist() == plain[order]


def test_without_margins_there_are_no_whiskers():
    chart = attribution_bars(VALUES, NAMES)
    assert not chart.figure.data[0].error_x.visible
    assert [width > 0 for width in chart.figure.data[0].marker.line.width] == [False, False, False, True]
    assert "3 of 4 can be told from zero" in chart.alt
    assert "&lt;b&gt;" in chart.figure.layout.yaxis.ticktext


def test_of_many_tasks_the_strongest_are_drawn_with_their_own_whiskers():
    values, margin = np.linspace(-1, 1, 100), np.arange(100) / 1000
    chart = attribution_bars(values, tuple(map(str, range(100))), margin=margin)
    bars = chart.figure.data[0]
    assert len(bars.x) == 60
    np.testing.assert_allclose(np.array(bars.error_x.array), margin[np.isin(values, np.array(bars.x))])
    assert np.abs(bars.x).min() > np.sort(np.abs(values))[38]


# --- pairs with a veil ----------------------------------------------------------------------------------------------

PAIRS = np.array([[0.0, -0.4, 0.1, 0.0], [-0.4, 0.0, 0.2, 0.05], [0.1, 0.2, 0.0, 0.3], [0.0, 0.05, 0.3, 0.0]])


def told(*pairs):
    marked = np.zeros((4, 4), dtype=bool)
    for j, k in pairs:
        marked[j, k] = marked[k, j] = True
    return marked


def veils(chart):
    return [trace for trace in chart.figure.data if trace.type == "heatmap"][1:]


@pytest.mark.parametrize("order", [None, np.array([3, 1, 0, 2])])
def test_pairs_that_cannot_be_told_from_zero_are_veiled(order):
    (veil,) = veils(interaction_heatmap(PAIRS, NAMES, distinguishable=told((0, 1), (2, 3)), order=order))
    covered = np.isfinite(np.array(veil.z, dtype=float))
    places = np.arange(4) if order is None else order
    expected = ~told((0, 1), (2, 3)) & ~np.eye(4, dtype=bool)
    np.testing.assert_array_equal(covered, expected[np.ix_(places, places)])
    assert not veil.showscale
    assert veil.hoverinfo == "skip"


def test_nothing_is_veiled_where_all_pairs_are_told_or_nothing_is_known():
    every = np.ones((4, 4), dtype=bool)
    assert not veils(interaction_heatmap(PAIRS, NAMES, distinguishable=every))
    assert not veils(interaction_heatmap(PAIRS, NAMES, distinguishable=every & ~np.eye(4, dtype=bool)))
    assert not veils(interaction_heatmap(PAIRS, NAMES))
    assert len(veils(interaction_heatmap(PAIRS, NAMES, distinguishable=~every))) == 1


def test_the_veil_has_the_tone_of_the_page():
    tones = [
        {
            tone
            for _, tone in veils(interaction_heatmap(PAIRS, NAMES, distinguishable=told(), dark=dark))[0].colorscale
        }
        for dark in (False, True)
    ]
    assert tones == [{"rgba(255,255,255,0.72)"}, {"rgba(18,22,28,0.72)"}]


@pytest.mark.parametrize("clickable", [True, False])
def test_a_veil_does_not_lie_over_the_clicks(clickable):
    chart = interaction_heatmap(PAIRS, NAMES, distinguishable=told((0, 1)), focus=(0, 2), clickable=clickable)
    figure = redrawn(chart)
    kinds = [trace.type for trace in figure.data]
    assert kinds == (["heatmap", "heatmap", "scatter"] if clickable else ["heatmap", "heatmap"])
    if clickable:
        clicks = figure.data[2]
        marked = {tuple(clicks.customdata[i]) for i in clicks.selectedpoints}
        assert marked == {(0, 2), (2, 0)}


def test_the_alt_text_of_pairs_counts_those_told_from_zero():
    alt = interaction_heatmap(PAIRS, NAMES, distinguishable=told((0, 1), (2, 3))).alt
    assert (
        "Strongest pair of those told from zero: a and <b>, -0.4 (loss, nats). 2 of 6 can be told from zero." in alt
    )
    assert "told from zero" not in interaction_heatmap(PAIRS, NAMES).alt
    assert interaction_heatmap(PAIRS * 0, NAMES, distinguishable=told()).alt.endswith("Every pair is exactly zero.")


def test_tasks_of_one_or_two_have_a_heatmap_too():
    redrawn(interaction_heatmap(np.zeros((1, 1)), ("a",), distinguishable=np.zeros((1, 1), dtype=bool)))
    chart = interaction_heatmap(
        np.array([[0, 2.0], [2.0, 0]]), ("a", "b"), distinguishable=np.zeros((2, 2), dtype=bool)
    )
    assert len(veils(chart)) == 1
