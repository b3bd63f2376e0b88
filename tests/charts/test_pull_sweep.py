"""Effects over pulls, and how near retraining each pull is."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from kernelsm.charts.pull_sweep import MOST_ROWS, effects_over_pulls, fidelity_over_pulls

PULLS = (0.01, 0.1, 1.0)
EFFECTS = np.array([[-0.4, -0.2, -0.02], [0.2, 0.1, 0.01], [0.1, -0.05, 0.0]])
CLEAR = np.array([[True, True, True], [True, True, False], [True, True, False]])


def drawn(chart):
    go.Figure(json.loads(chart.figure.to_json()))
    return chart.figure


def test_colours_are_shares_of_the_strongest_of_the_column_and_only_where_clear():
    (heat,) = drawn(effects_over_pulls(PULLS, EFFECTS, CLEAR, ("a", "b", "c"), usual=0.1)).data
    np.testing.assert_allclose(heat.z, [[-1, -1, -1], [0.5, 0.5, 0], [0.25, -0.25, 0]], atol=1e-6)
    assert (heat.zmin, heat.zmid, heat.zmax) == (-1, 0, 1)


def test_numbers_not_told_from_zero_stand_in_brackets():
    (heat,) = drawn(effects_over_pulls(PULLS, EFFECTS, CLEAR, ("a", "b", "c"))).data
    assert list(heat.text[0]) == ["-0.4", "-0.2", "-0.02"]
    assert heat.text[1][2] == "(+0.01)"
    assert "not told from zero" in heat.customdata[1][2]


def test_the_usual_pull_is_marked_and_names_are_escaped():
    figure = drawn(effects_over_pulls(PULLS, EFFECTS, CLEAR, ("<b>", "b", "c"), usual=0.1))
    assert list(figure.layout.xaxis.ticktext) == ["0.01", "0.1 (usual)", "1"]
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;"


def test_the_alternative_text_counts_what_survives_and_says_what_was_cut():
    assert "1 can be told from zero with every pull" in effects_over_pulls(PULLS, EFFECTS, CLEAR, ("a", "b", "c")).alt
    many = MOST_ROWS + 5
    chart = effects_over_pulls(
        PULLS, np.ones((many, 3)), np.ones((many, 3), dtype=bool), [f"t{k}" for k in range(many)]
    )
    assert f"the first {MOST_ROWS} shown" in chart.alt
    assert len(drawn(chart).data[0].z) == MOST_ROWS


def test_columns_without_any_effect_stay_neutral():
    chart = effects_over_pulls(PULLS, np.zeros((2, 3)), np.zeros((2, 3), dtype=bool), ("a", "b"))
    assert not np.asarray(drawn(chart).data[0].z).any()


def test_fidelity_draws_both_scores_of_every_pull():
    chart = fidelity_over_pulls(PULLS, [0.5, 0.9, 0.99], [0.8, 0.3, 0.05])
    lds, missed = drawn(chart).data
    assert list(lds.y) == [0.5, 0.9, 0.99]
    assert list(missed.y) == [0.8, 0.3, 0.05]
    assert "pull 0.1: LDS 0.900, 30% missed" in chart.alt


@pytest.mark.parametrize("scores", [[-0.4, 0.2, 1.0], [0.0, 0.0, 0.0]])
def test_all_scores_lie_within_the_axis(scores):
    low, high = drawn(fidelity_over_pulls(PULLS, scores, [1.4, 0.2, 0.0])).layout.yaxis.range
    assert low < min(scores)
    assert high > 1.4
