"""The curve of a search for a prompt: its line, its band and its words."""

import numpy as np

from kernelsm.charts.prompt_search import search_curve

CURVE = [[800.0, 0.5, 0.4, 0.6], [820.0, 0.45, 0.38, 0.55], [900.0, 0.4, 0.36, 0.44]]


def test_the_curve_shows_the_best_so_far_with_its_interval_beside_the_mean_random_prompt():
    chart = search_curve(CURVE, 0.7)
    band, line, first = chart.figure.data
    assert list(line.x) == [800, 820, 900]
    assert list(line.y) == [0.5, 0.45, 0.4]
    assert min(band.y) == 0.36
    assert max(band.y) == 0.6
    assert set(first.y) == {0.7}
    assert "0.400 (0.360 to 0.440) after 900" in chart.alt
    np.testing.assert_allclose(chart.table().to_numpy(), CURVE)
