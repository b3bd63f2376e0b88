"""Calibration of intervals: the share of held-out outcomes inside, against the level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, NEUTRAL, Chart, figure

Array = NDArray[np.float64]


def calibration_plot(levels: Array, covered: Array, count: int, *, dark: bool = False) -> Chart:
    """Draw the share of outcomes inside their intervals against the intervals' level.

    Parameters
    ----------
    levels : ndarray, shape (L,)
        Between 0 and 1.
    covered : ndarray, shape (L,)
        Share of held-out outcomes inside.
    count : int
        Number of held-out subsets: the band is where 90 % of calibrated curves would lie at each level.
    dark : bool
        Whether the page is dark.
    """
    band = 1.645 * np.sqrt(levels * (1 - levels) / max(count, 1))
    outline = np.concatenate([levels + band, (levels - band)[::-1]]).clip(0, 1)
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "x": np.concatenate([levels, levels[::-1]]), "y": outline, "mode": "lines",
            "fill": "toself", "fillcolor": "rgba(138,148,163,0.22)", "line": {"width": 0}, "hoverinfo": "skip",
        },
        {
            "type": "scatter", "x": [0, 1], "y": [0, 1], "mode": "lines", "hoverinfo": "skip",
            "line": {"color": NEUTRAL, "dash": "dot", "width": 1.5},
        },
        {
            "type": "scatter", "x": levels, "y": covered, "mode": "lines+markers", "marker": {"size": 7},
            "line": {"color": BLUE, "width": 2.5},
            "hovertemplate": "%{x:.0%} intervals hold %{y:.1%}<extra></extra>",
        },
    ]  # fmt: skip
    axis = {"range": [0, 1.02], "tickformat": ".0%", "automargin": True}
    chart = figure(
        data, 440, dark=dark, xaxis={**axis, "title": {"text": "level of the interval"}},
        yaxis={**axis, "title": {"text": "held-out outcomes inside"}},
    )  # fmt: skip
    nearest = int(np.argmin(np.abs(levels - 0.9)))
    return Chart(
        chart,
        f"Calibration curve: {levels[nearest]:.0%} intervals hold {covered[nearest]:.1%} of held-out outcomes.",
        lambda: pd.DataFrame(
            {
                "level": levels, "share of outcomes inside": covered,
                "lowest if calibrated": (levels - band).clip(0, 1),
                "highest if calibrated": (levels + band).clip(0, 1),
            }
        ),
    )  # fmt: skip
