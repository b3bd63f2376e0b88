"""Charts of what more subsets bring: every number drawn, both parts of the fitted curve, marks where they belong."""

import numpy as np
import pytest

from kernelsm.charts.learning import learning_curve_chart, variance_left_chart

SIZES = np.array([40, 80, 160, 320])
ERRORS = np.array([[0.4, 0.5, 0.3], [0.2, 0.25, 0.15], [0.1, 0.1, 0.1], [0.05, 0.06, 0.04]])
NUMBERS = np.geomspace(40, 800, 30)


def curve(errors=ERRORS, fitted_curve=16 / NUMBERS, m=400, recommended=600):
    return learning_curve_chart(SIZES, errors, fitted_curve=(NUMBERS, fitted_curve), m=m, recommended=recommended)


def lines(chart):
    return {trace.line.dash: trace for trace in chart.figure.data if trace.mode == "lines"}


def labels(chart):
    return {trace.text[-1].partition("<br>")[0]: trace for trace in chart.figure.data if trace.mode == "lines+text"}


def test_dots_are_means_and_bars_reach_the_lowest_and_highest_split():
    (dots,) = [trace for trace in curve().figure.data if trace.mode == "markers"]
    assert dots.x.tolist() == SIZES.tolist()
    assert dots.y == pytest.approx(ERRORS.mean(axis=1))
    assert dots.y + dots.error_y.array == pytest.approx(ERRORS.max(axis=1))
    assert dots.y - dots.error_y.arrayminus == pytest.approx(ERRORS.min(axis=1))


def test_the_law_is_dashed_where_nothing_was_measured_and_has_no_gap():
    drawn = lines(curve())
    assert drawn["solid"].x.max() <= 320 < drawn["dash"].x[1]
    assert drawn["solid"].x[-1] == drawn["dash"].x[0]
    assert drawn["dash"].x[-1] == pytest.approx(800)


@pytest.mark.parametrize(
    ("recommended", "shown"), [(600, True), (50, True), (801, False), (4000, False), (400, False), (3, False)]
)
def test_the_recommended_number_is_marked_within_range(recommended, shown):
    marked = labels(curve(recommended=recommended))
    assert "now: 400" in marked
    assert (f"enough: {recommended:,}" in marked) == shown


def test_neighbouring_labels_grow_apart_and_far_ones_stay_inside():
    near = labels(curve(recommended=440))
    assert near["now: 400"].textposition == "top left"
    assert near["enough: 440"].textposition == "top right"
    far = labels(curve(recommended=790))
    assert far["enough: 790"].textposition == "top left"
    # one line higher than the other, which it would reach on a narrow page
    assert [far[name].text[-1].count("<br>") for name in ("now: 400", "enough: 790")] == [0, 1]


@pytest.mark.parametrize("errors", [np.zeros_like(ERRORS), np.full_like(ERRORS, 0.9), 1e-9 * ERRORS, 30 * ERRORS])
def test_extreme_errors_are_drawn_on_a_finite_axis_with_ticks(errors):
    chart = curve(errors, fitted_curve=np.zeros(len(NUMBERS)))
    low, high = chart.figure.layout.yaxis.range
    assert np.isfinite([low, high]).all()
    assert high - low >= np.log10(3) - 1e-9
    assert len(chart.figure.layout.yaxis.tickvals) >= 2
    assert len(chart.figure.layout.xaxis.tickvals) >= 3


def test_axes_and_alt_text_say_what_is_drawn():
    chart = curve()
    assert "share of variance left unexplained" in chart.figure.layout.yaxis.title.text
    assert "20%" in chart.figure.layout.yaxis.ticktext
    assert "200" in chart.figure.layout.xaxis.ticktext
    assert "40.0% of the variance is unexplained with 40 subsets, 5.0% with 320" in chart.alt
    assert "expects 2.0% with 800" in chart.alt


def test_variance_left_starts_at_all_of_it_for_both():
    chart = variance_left_chart(np.array([0.8, 0.6, 0.5]), np.array([1, 3]), np.array([0.95, 0.9]))
    best, random = chart.figure.data
    assert (list(best.x), list(best.y)) == ([0, 1, 2, 3], [1.0, 0.8, 0.6, 0.5])
    assert (list(random.x), list(random.y)) == ([0, 1, 3], [1.0, 0.95, 0.9])
    assert (best.name, random.name) == ("Next best", "Random")
    assert chart.alt.endswith("after 3, 50.0% with the next best and 90.0% with random ones.")
