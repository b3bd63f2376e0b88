"""Predicted above measured: every number drawn, better and worse on their sides."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from kernelsm.charts.confirmation import ChangeRow, confirmation_chart
from kernelsm.charts.style import BLUE, NEUTRAL, ORANGE

PREDICTED = ChangeRow("Predicted", -0.2, 0.05)
MEASURED = ChangeRow("Fine-tuned, 3 seeds", -0.18, 0.02, (-0.16, -0.18, -0.2))


def redrawn(rows, **named):
    chart = confirmation_chart(rows, **named)
    go.Figure(json.loads(chart.figure.to_json()))
    assert "NaN" not in chart.figure.to_json()
    return chart


def test_every_change_stands_on_its_row_with_its_interval_and_its_seeds():
    means, seeds = redrawn([PREDICTED, MEASURED]).figure.data
    assert list(means.x) == [-0.2, -0.18]
    assert list(means.error_x.array) == [0.05, 0.02]
    assert list(means.marker.symbol) == ["diamond", "circle"]
    assert list(seeds.x) == [-0.16, -0.18, -0.2]
    assert all(0.5 < y < 1.5 for y in seeds.y)


@pytest.mark.parametrize(("higher_is_better", "colour"), [(False, BLUE), (True, ORANGE)])
def test_a_lower_loss_is_better_and_a_lower_score_is_worse(higher_is_better, colour):
    chart = redrawn([PREDICTED, MEASURED], higher_is_better=higher_is_better)
    assert list(chart.figure.data[0].marker.color) == [NEUTRAL, colour]
    left, right = (note.text for note in chart.figure.layout.annotations)
    assert ("better" in left) == (not higher_is_better)
    assert ("worse" in left) == higher_is_better
    assert left.split()[1] != right.split()[0]


def test_all_of_it_and_zero_lie_within_the_axis():
    for rows in (
        [PREDICTED, MEASURED],
        [ChangeRow("a", 3.0, np.nan, (3.0,))],
        [ChangeRow("a", 0.0, 0.0, (0.0, 0.0))],
    ):
        low, high = redrawn(rows).figure.layout.xaxis.range
        for row in rows:
            margin = 0.0 if np.isnan(row.margin) else row.margin
            assert low < min(0.0, row.change - margin, *row.by_seed) <= max(0.0, row.change + margin) < high


def test_one_seed_has_neither_an_interval_nor_a_dot_of_its_own():
    chart = redrawn([ChangeRow("Fine-tuned, 1 seed", -0.1, np.nan, (-0.1,))])
    assert len(chart.figure.data) == 1
    assert list(chart.figure.data[0].error_x.array) == [0.0]
    assert "Fine-tuned, 1 seed -0.1." in chart.alt


def test_the_alternative_text_says_every_number():
    said = redrawn([PREDICTED, MEASURED], unit="loss, nats").alt
    assert "Predicted -0.200 ± 0.050" in said
    assert "Fine-tuned, 3 seeds -0.180 ± 0.020" in said
    assert "(loss, nats)" in said


def test_names_from_files_are_shown_as_they_are():
    chart = redrawn([ChangeRow("<b>x</b>", 1.0, 0.5, (1.0, 1.2))])
    assert chart.figure.layout.yaxis.ticktext[0] == "&lt;b&gt;x&lt;/b&gt;"
