"""What more subsets bring: a lower error on subsets not fitted, and narrower error bars of what is read off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, NEUTRAL, ORANGE, Chart, figure

Array = NDArray[np.float64]
_LEAST_ERROR = 1e-6
_NEIGHBOUR_RATIO = 1.5
_TICK_STEPS = ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0))


def learning_curve_chart(
    sizes: NDArray[np.intp],
    errors: Array,
    *,
    fitted_curve: tuple[Array, Array],
    m: int,
    recommended: int,
    dark: bool = False,
) -> Chart:
    """Draw the held-out error against the number of fitted subsets, both on logarithmic scales.

    Parameters
    ----------
    sizes : ndarray of int, shape (S,)
        Numbers of fitted subsets, growing.
    errors : ndarray, shape (S, repeats)
        Share of variance left unexplained on held-out subsets, one column per random split.
    fitted_curve : (ndarray, ndarray), shape (L,) each
        Numbers of subsets, growing, and the error that the fitted curve expects there; dashed beyond `sizes`.
    m : int
        Number of subsets there are; marked.
    recommended : int
        Number that would be enough; marked where `fitted_curve` reaches it.
    dark : bool
        Whether the page is dark.
    """
    shown = np.maximum(errors, _LEAST_ERROR)
    mean, numbers, expected = shown.mean(axis=1), fitted_curve[0], np.maximum(fitted_curve[1], _LEAST_ERROR)
    measured = numbers <= sizes[-1]
    # the dashed part begins where the solid one ends
    beyond = ~measured | (numbers == numbers[measured].max(initial=0))
    low, high = _padded_range(float(min(shown.min(), expected.min())), float(max(shown.max(), expected.max())))
    line: dict[str, Any] = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}
    data = [
        {**line, "x": numbers[part], "y": expected[part], "line": {"color": BLUE, "width": 2, "dash": dash}}
        for part, dash in ((measured, "solid"), (beyond, "dash"))
    ]
    data.append(
        {
            "type": "scatter", "mode": "markers", "x": sizes, "y": mean, "marker": {"size": 9, "color": BLUE},
            "error_y": {
                "type": "data", "symmetric": False, "array": shown.max(axis=1) - mean,
                "arrayminus": mean - shown.min(axis=1), "color": NEUTRAL, "thickness": 1.5, "width": 4,
            },
            "hovertemplate": "%{x} subsets fitted: %{y:.1%} unexplained<extra></extra>",
        }
    )  # fmt: skip
    marks = [(m, f"now: {m:,}", NEUTRAL)]
    if recommended != m and sizes[0] <= recommended <= numbers[-1]:
        marks.append((recommended, f"enough: {recommended:,}", ORANGE))
    leftmost, rightmost = min(place for place, _, _ in marks), max(place for place, _, _ in marks)
    neighbours = leftmost < rightmost < _NEIGHBOUR_RATIO * leftmost
    for place, label, colour in marks:
        # labels of neighbouring lines grow away from each other; others to the left, where there is always room
        side = "right" if place > leftmost and neighbours else "left"
        # one line higher: on a phone it would reach to the label of the first
        label += "<br>\u00a0" if place > leftmost and not neighbours else ""
        # a point on the very edge is not drawn, nor is its text
        data.append(
            {
                **line, "mode": "lines+text", "x": [place, place], "y": [low, 0.97 * high], "cliponaxis": False,
                "line": {"color": colour, "width": 1.5, "dash": "dot"}, "text": ["", label],
                "textposition": f"top {side}",
            }
        )  # fmt: skip
    x_range = (float(min(sizes[0], leftmost)) * 0.85, float(numbers[-1]) * 1.1)
    chart = figure(
        data, 380, dark=dark,
        margin={"l": 8, "r": 56 if neighbours else 8, "t": 56, "b": 8},  # a label to the right needs room on a phone
        xaxis={"title": {"text": "subsets fitted"}, **_log_axis(*x_range, lambda value: f"{value:,.0f}")},
        yaxis={
            "title": {"text": "share of variance left unexplained<br>on held-out subsets"},
            **_log_axis(low, high, lambda value: f"{100 * value:g}%"),
        },
    )  # fmt: skip
    alt = (
        f"Held-out error against the number of fitted subsets: {mean[0]:.1%} of the variance is unexplained with "
        f"{sizes[0]} subsets, {mean[-1]:.1%} with {sizes[-1]}; the fitted law expects {expected[-1]:.1%} with "
        f"{numbers[-1]:,.0f}."
    )
    return Chart(
        chart, alt,
        lambda: pd.DataFrame(
            {
                "subsets fitted": sizes, "share unexplained": mean, "least of the splits": shown.min(axis=1),
                "most of the splits": shown.max(axis=1), "fitted law": np.interp(sizes, numbers, expected),
            }
        ),
    )  # fmt: skip


def variance_left_chart(
    chosen: Array, random_counts: NDArray[np.intp], random: Array, *, dark: bool = False
) -> Chart:
    """Draw how much of a readout's variance is expected to be left after each new subset, chosen and random.

    Parameters
    ----------
    chosen : ndarray, shape (count,)
        Share left after 1, 2, ... chosen subsets.
    random_counts : ndarray of int, shape (R,)
        Numbers of random subsets.
    random : ndarray, shape (R,)
        Share left after as many random subsets.
    dark : bool
        Whether the page is dark.
    """
    counts = np.arange(len(chosen) + 1)
    data = [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": x, "y": [1.0, *y],
            "line": {"color": colour, "width": 2.5, "dash": dash},
            "hovertemplate": "%{x} new subsets: %{y:.1%} left<extra></extra>",
        }
        for name, x, y, colour, dash in (
            ("Next best", counts, chosen, BLUE, "solid"), ("Random", [0, *random_counts], random, NEUTRAL, "dash"),
        )
    ]  # fmt: skip
    chart = figure(
        data, 320, dark=dark, showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": {"text": "new subsets"}, "rangemode": "tozero", "automargin": True},
        yaxis={
            "title": {"text": "variance left"}, "tickformat": ".0%", "range": [0, 1.03], "automargin": True,
        },
    )  # fmt: skip
    alt = (
        f"Variance left against the number of new subsets: after {len(chosen)}, {chosen[-1]:.1%} with the next best "
        f"and {random[-1]:.1%} with random ones."
    )

    def table() -> pd.DataFrame:
        left = pd.DataFrame({"new subsets": counts, "left, next best": [1.0, *chosen]})
        drawn = pd.DataFrame({"new subsets": [0, *random_counts], "left, random": [1.0, *random]})
        return left.merge(drawn, on="new subsets", how="outer")

    return Chart(chart, alt, table)


def _padded_range(low: float, high: float) -> tuple[float, float]:
    """Range of a logarithmic axis with a margin, spanning at least a factor of three."""
    low, high = low / 1.25, high * 1.25
    middle, half = np.sqrt(low * high), max(np.sqrt(high / low), np.sqrt(3.0))
    return float(middle / half), float(middle * half)


def _log_axis(low: float, high: float, format_tick: Callable[[float], str]) -> dict[str, Any]:
    """Logarithmic axis with round numbers written out (Plotly's own ticks say 2 and 5 for 20 and 50)."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in _TICK_STEPS:
        ticks = np.outer(powers, steps).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) >= 3:
            break
    return {
        "type": "log", "range": [float(np.log10(low)), float(np.log10(high))], "tickmode": "array",
        "tickvals": ticks, "ticktext": [format_tick(value) for value in ticks], "automargin": True,
    }  # fmt: skip
