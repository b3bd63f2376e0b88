"""Two methods on one range of colours: their difference, names and the sentence."""

import numpy as np

from kernelsm.charts.methods import MOST_ROWS, two_methods

FIRST, SECOND = np.array([-2.0, 1.0, 0.5]), np.array([-1.0, -1.0, 0.5])


def test_the_third_column_is_the_difference_on_the_same_range():
    chart = two_methods(("a", "b<i>", "c"), ("one", "other"), (FIRST, SECOND))
    heat = chart.figure.data[0]
    np.testing.assert_allclose(heat.z, np.stack([FIRST, SECOND, FIRST - SECOND], axis=1))
    assert (heat.zmin, heat.zmid, heat.zmax) == (-2.0, 0.0, 2.0)
    assert chart.figure.layout.yaxis.ticktext == ("a", "b&lt;i&gt;", "c")
    assert "same sign for 2 of them" in chart.alt
    assert heat.text[1][2] == "+2"


def test_blue_is_the_helping_side_whatever_the_sign():
    losses = two_methods(("a", "b", "c"), ("one", "other"), (FIRST, SECOND))
    scores = two_methods(("a", "b", "c"), ("one", "other"), (FIRST, SECOND), higher_is_better=True)
    scale = [[colour for _, colour in chart.figure.data[0].colorscale] for chart in (losses, scores)]
    assert scale[0] == scale[1][::-1]


def test_many_tasks_are_cut_and_said_to_be():
    effects = np.linspace(-1, 1, 80)
    chart = two_methods([f"task {k}" for k in range(80)], ("one", "other"), (effects, effects))
    assert len(chart.figure.data[0].z) == MOST_ROWS
    assert "the first 60 shown" in chart.alt


def test_long_titles_stand_upright_in_lines_and_no_markup_gets_through():
    chart = two_methods(("a", "b", "c"), ("TRAK, scores of samples summed", "<b>other</b>"), (FIRST, SECOND))
    first, second, _ = chart.figure.layout.xaxis.ticktext
    assert first.split("<br>") == ["TRAK, scores", "of samples", "summed"]
    assert second == "&lt;b&gt;other&lt;/b&gt;"
    assert chart.figure.layout.xaxis.tickangle == 0
