"""Bars of attribution: one task each, blue helps, orange hurts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.charts.style import NEUTRAL, Chart, effect_colours, figure, name_axis, safe
from kernelsm.runtime.near_ties import first_greatest, rising
from kernelsm.surrogates.results import without_rounding
from kernelsm.surrogates.wording import amount, effect_word

MOST_BARS = 60
_PALE = 0.4


def attribution_bars(
    values: NDArray[np.float64],
    names: tuple[str, ...],
    *,
    unit: str = "loss, nats",
    higher_is_better: bool = False,
    order: NDArray[np.intp] | None = None,
    margin: NDArray[np.float64] | None = None,
    truth: NDArray[np.float64] | None = None,
) -> Chart:
    """Draw the attribution of each task, F(with) - F(without).

    Parameters
    ----------
    values : ndarray, shape (K,)
    names : tuple of str
    unit : str
        Unit of the values, for the axis.
    higher_is_better : bool
        Decides which sign helps.
    order : ndarray of int, optional
        Tasks from top to bottom; as given where absent. More than 60 tasks show the 60 strongest.
    margin : ndarray, shape (K,), optional
        Half-widths of intervals, drawn as whiskers; bars whose interval holds zero are pale. NaN where not known.
    truth : ndarray, shape (K,), optional
        True values, drawn as diamonds.
    """
    shown = np.arange(len(names)) if order is None else order
    cut = len(shown) > MOST_BARS
    if cut:
        strongest = set(rising(-np.abs(values))[:MOST_BARS].tolist())
        shown = np.array([k for k in shown if k in strongest])
    half_width = np.zeros(len(shown)) if margin is None else margin[shown]
    shown_values = without_rounding(values[shown], half_width)
    # bars with an infinite or unknown interval cannot be told from zero, and have no whisker
    whiskers = np.where(np.isfinite(half_width), half_width, 0.0)
    distinguishable = np.abs(shown_values) > np.where(np.isfinite(half_width), half_width, np.inf)
    labels = [safe(names[k]) for k in shown]
    rows = np.arange(len(shown))
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": shown_values,
            "y": rows,
            "orientation": "h",
            "marker": {
                "color": effect_colours(shown_values, higher_is_better),
                "opacity": np.where(distinguishable, 1.0, _PALE),
            },
            "error_x": {
                "array": whiskers,
                "visible": bool(whiskers.any()),
                "color": NEUTRAL,
                "thickness": 1.5,
                "width": 3,
            },
            "hovertext": [
                f"{label}: {amount(value, half or None, '+.4g')} ({effect_word(value, higher_is_better)})"
                for label, value, half in zip(labels, shown_values, whiskers, strict=True)
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    ]
    if truth is not None:
        data.append(
            {
                "type": "scatter",
                "x": truth[shown],
                "y": rows,
                "mode": "markers",
                "marker": {"symbol": "diamond-open", "size": 10, "line": {"width": 2}, "color": NEUTRAL},
                "hovertemplate": "truth %{x:+.4g}<extra></extra>",
            }
        )
    sides = ("← hurts", "helps →") if higher_is_better else ("← helps", "hurts →")
    chart = figure(
        data,
        max(220, 70 + 21 * len(shown)),
        xaxis={"title": {"text": f"F(with) - F(without), {unit}"}, "zeroline": True, "automargin": True},
        yaxis=name_axis(labels, rows, autorange="reversed"),
        annotations=[
            {
                "text": text, "x": 0, "y": 1, "xref": "x", "yref": "paper", "xanchor": anchor, "yanchor": "bottom",
                "xshift": shift, "showarrow": False,
            }
            for text, anchor, shift in zip(sides, ("right", "left"), (-8, 8), strict=True)
        ],
    )  # fmt: skip
    strongest_task = first_greatest(np.abs(values))
    alt = (
        f"Bar chart of the attribution of {len(names)} tasks"
        + (f", the {MOST_BARS} strongest shown" if cut else "")
        + f". Strongest: {names[strongest_task]}, {values[strongest_task]:+.3g} ({unit})."
        + (f" {int(distinguishable.sum())} bars can be told from zero." if whiskers.any() else "")
    )
    return Chart(chart, alt)
