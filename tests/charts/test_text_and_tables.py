"""What all charts have: text that a room can read, in the colour of the page, and a table of the numbers drawn."""

import json

import numpy as np
import pytest

from kernelsm.charts.attribution import attribution_bars
from kernelsm.charts.calibration import calibration_plot
from kernelsm.charts.confirmation import ChangeRow, confirmation_chart
from kernelsm.charts.distortion import distortion_chart
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.charts.interactions import interaction_heatmap
from kernelsm.charts.learning import learning_curve_chart, variance_left_chart
from kernelsm.charts.lessons import dots, errors
from kernelsm.charts.methods import two_methods
from kernelsm.charts.prompts import CheckedPrompt, checked_prompts
from kernelsm.charts.pull_sweep import effects_over_pulls, fidelity_over_pulls
from kernelsm.charts.style import TEXT_SIZE, ink
from kernelsm.charts.subsets import outcome_histogram, pair_coverage
from kernelsm.charts.surface import loo_heatmap
from kernelsm.charts.sweep import gamma_sweep
from kernelsm.charts.training import training_curve

NAMES = ("a", "b", "c")
VALUES, HALF = np.array([-0.5, 0.1, 0.3]), np.array([0.2, 0.2, 0.1])
PAIRS = np.array([[0.0, 0.4, -0.2], [0.4, 0.0, 0.1], [-0.2, 0.1, 0.0]])
CLEAR = np.array([[False, True, False], [True, False, False], [False, False, False]])
LEVELS, GRID = np.array([0.5, 0.9]), np.array([0.01, 0.1, 1.0])


def all_charts(dark=False):
    """One of each kind, by the number of rows that its table must have and a number that must stand in it."""
    surface = np.arange(9.0).reshape(3, 3) + 1
    return {
        "bars": (attribution_bars(VALUES, NAMES, margin=HALF, dark=dark), 3, -0.5),
        "calibration": (calibration_plot(LEVELS, np.array([0.4, 0.88]), 50, dark=dark), 2, 0.88),
        "confirmation": (
            confirmation_chart(
                [ChangeRow("predicted", 0.1, 0.05), ChangeRow("measured", 0.2, 0.02, (0.19, 0.21))], dark=dark
            ),
            2, 0.21,
        ),
        "distortion": (distortion_chart({"sparse": [0.1, -0.2]}, {"sparse": 0.15}, 0.1, dark=dark), 2, -0.2),
        "fit": (predicted_vs_observed(VALUES, {"RBF": VALUES + 1}, dark=dark), 3, 0.5),
        "heatmap": (interaction_heatmap(PAIRS, NAMES, distinguishable=CLEAR, dark=dark), 3, -0.2),
        "learning": (
            learning_curve_chart(
                np.array([20, 40]), np.array([[0.5, 0.7], [0.2, 0.3]]),
                fitted_curve=(np.array([20.0, 80.0]), np.array([0.6, 0.1])), m=40, recommended=80, dark=dark,
            ),
            2, 0.25,
        ),
        "variance": (
            variance_left_chart(np.array([0.8, 0.7]), np.array([2]), np.array([0.75]), dark=dark), 3, 0.75,
        ),
        "lesson dots": (dots(NAMES, [("effect", VALUES, HALF)], unit="nats", dark=dark), 3, 0.3),
        "lesson errors": (
            errors(NAMES, (VALUES, HALF), (VALUES + 1, HALF), what="error", control="γ", dark=dark), 3, 1.3,
        ),
        "methods": (two_methods(NAMES, ("one", "one"), (VALUES, VALUES + 1), dark=dark), 3, 1.3),
        "prompts": (checked_prompts([CheckedPrompt("mine", 0.5, 0.45, 0.7, 0.6, 0.2, 0.75)], dark=dark), 1, 0.6),
        "pulls": (
            effects_over_pulls([0.1, 1.0], PAIRS[:, :2], CLEAR[:, :2], NAMES, dark=dark), 6, -0.2,
        ),
        "fidelity": (fidelity_over_pulls([0.1, 1.0], [0.9, 0.99], [0.3, 0.1], dark=dark), 2, 0.99),
        "histogram": (outcome_histogram(VALUES, full=0.2, dark=dark), 3, 0.3),
        "coverage": (pair_coverage(np.array([[1, 1, 0], [1, 0, 1]], dtype=bool), NAMES, dark=dark), 6, 2),
        "surface": (loo_heatmap(GRID, GRID, surface, GRID, current=(0.1, 0.1), dark=dark), 12, 9.0),
        "sweep": (gamma_sweep(VALUES, [(0.1, 0.5, VALUES, 0.8), (1.0, 0.5, VALUES, 0.9)], dark=dark), 2, 0.9),
        "training": (
            training_curve([{"epoch": 1, "train_loss": 0.7, "validation_loss": None}] * 2, dark=dark), 2, 0.7,
        ),
    }  # fmt: skip


KINDS = list(all_charts())


def fonts(part, path=()):
    """Every font that a figure names, with where it stands."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key.endswith("font") and isinstance(value, dict):
                yield (*path, key), value
            yield from fonts(value, (*path, key))
    elif isinstance(part, list):
        for at, value in enumerate(part):
            yield from fonts(value, (*path, at))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_all_text_of_a_chart_is_large_and_as_dark_as_the_page_s(kind, dark):
    chart, _, _ = all_charts(dark)[kind]
    drawn = json.loads(chart.figure.to_json())
    drawn["layout"].pop("template", None)
    found = list(fonts(drawn))
    for axis in ("xaxis", "yaxis"):  # Streamlit gives those it is not told of twelve pixels of grey
        assert drawn["layout"][axis]["tickfont"] == {"size": TEXT_SIZE, "color": ink(dark)}
        assert drawn["layout"][axis]["title"]["font"] == {"size": TEXT_SIZE, "color": ink(dark)}
    assert drawn["layout"]["font"] == {"size": TEXT_SIZE, "color": ink(dark)}
    small = [where for where, font in found if font.get("size", TEXT_SIZE) < TEXT_SIZE]
    assert not small, f"{kind}: {small}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_gives_all_its_numbers_as_a_table(kind):
    chart, rows, number = all_charts()[kind]
    table = chart.table()
    assert len(table) == rows
    numbers = table.select_dtypes("number").to_numpy(dtype=float).ravel()
    assert np.isclose(numbers, number).any(), table
    assert len(set(table.columns)) == len(table.columns)


def test_the_strongest_pair_is_the_first_row_and_says_whether_it_is_told_from_zero():
    table = all_charts()["heatmap"][0].table()
    assert table.iloc[0].tolist() == ["a", "b", 0.4, True]
    assert table.iloc[1].tolist() == ["a", "c", -0.2, False]


def test_the_alternative_text_of_few_bars_holds_every_number():
    alt = all_charts()["bars"][0].alt
    for words in ("a -0.50 ± 0.20", "b +0.10 ± 0.20", "c +0.30 ± 0.10"):
        assert words in alt


def test_names_of_many_tasks_are_thinned_out_not_made_small():
    names = tuple(f"task {i}" for i in range(40))
    layout = interaction_heatmap(np.ones((40, 40)), names).figure.layout
    written = [name for name in layout.yaxis.ticktext if name]
    assert 10 <= len(written) < 20
    assert layout.yaxis.tickfont.size == TEXT_SIZE
    few = interaction_heatmap(np.ones((12, 12)), names[:12]).figure.layout
    assert all(few.yaxis.ticktext)


def test_no_chart_can_be_moved_by_a_finger_unless_its_cells_are_too_small_to_be_seen():
    for kind in KINDS:
        layout = all_charts()[kind][0].figure.layout
        assert layout.xaxis.fixedrange, kind
        assert layout.yaxis.fixedrange, kind
        assert layout.dragmode is False, kind
    many = interaction_heatmap(np.ones((60, 60)), tuple(f"t{i}" for i in range(60))).figure.layout
    assert not many.xaxis.fixedrange


def test_cells_of_pairs_are_square():
    layout = all_charts()["heatmap"][0].figure.layout
    assert layout.yaxis.scaleanchor == "x"
    assert layout.xaxis.constrain == layout.yaxis.constrain == "domain"
