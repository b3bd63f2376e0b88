"""What a search for a prompt reached with how many calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kernelsm.charts.style import BLUE, NEUTRAL, Chart, figure, pale
from kernelsm.surrogates.wording import number, ranged


def search_curve(
    curve: Sequence[Sequence[float]], first: float, *, unit: str = "loss, nats", dark: bool = False
) -> Chart:
    """Draw the expected outcome of the best prompt so far against the calls, with its interval.

    Parameters
    ----------
    curve : sequence of (calls, mean, low, high)
        With growing calls; at least one.
    first : float
        Mean outcome of the random prompts at the start.
    unit : str
        For the axis.
    dark : bool
        Whether the page is dark.
    """
    calls, mean, low, high = np.array(curve, dtype=np.float64).T
    data = [
        {
            "type": "scatter", "mode": "lines", "x": [*calls, *calls[::-1]], "y": [*high, *low[::-1]],
            "fill": "toself", "fillcolor": pale(BLUE), "line": {"width": 0}, "hoverinfo": "skip",
            "name": "90% interval",
        },
        {
            "type": "scatter", "mode": "lines", "x": calls, "y": mean, "name": "best so far",
            "line": {"color": BLUE, "width": 2.5, "shape": "hv"}, "customdata": np.stack([low, high], axis=1),
            "hovertemplate": "%{x:,} calls: %{y:.3g} (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra></extra>",
        },
        {
            "type": "scatter", "mode": "lines", "x": [0, calls[-1]], "y": [first, first],
            "name": "mean random prompt", "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
        },
    ]  # fmt: skip
    chart = figure(
        data, 320, dark=dark, showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": {"text": "calls"}, "rangemode": "tozero", "automargin": True},
        yaxis={"title": {"text": unit}, "automargin": True},
    )  # fmt: skip
    alt = (
        f"The best prompt so far against the calls: {ranged(mean[0], low[0], high[0])} after {calls[0]:,.0f}, "
        f"{ranged(mean[-1], low[-1], high[-1])} after {calls[-1]:,.0f}; the mean random prompt has {number(first)}."
    )
    names = ["calls", "best so far", "low", "high"]
    return Chart(chart, alt, lambda: pd.DataFrame(dict(zip(names, (calls, mean, low, high), strict=True))))
