"""The effect of γ: predicted against observed outcomes for a series of γ, animated in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, NEUTRAL, PLAIN_TICKS, Chart, figure
from kernelsm.runtime.near_ties import first_greatest

Array = NDArray[np.float64]


def gamma_sweep(
    observed: Array,
    steps: Sequence[tuple[float, float, Array, float]],
    *,
    unit: str = "loss, nats",
    dark: bool = False,
) -> Chart:
    """Draw an animation with a slider over γ; it needs no server while it plays.

    Parameters
    ----------
    observed : ndarray, shape (m,)
        Outcomes of held-out subsets.
    steps : sequence of (γ, ridge, predictions of shape (m,), rank correlation)
    unit : str
    dark : bool
        Whether the page is dark.
    """
    everything = np.concatenate([observed, *(predicted for _, _, predicted, _ in steps)])
    low, high = float(everything.min()), float(everything.max())
    room = 0.04 * (high - low) or 0.5
    limits = [low - room, high + room]
    start = first_greatest([score for *_, score in steps])
    frames = [
        {
            "name": f"{gamma:.4g}",
            "data": [{"y": predicted.astype(np.float32)}, {"text": [_note(gamma, ridge, score)]}],
            "traces": [1, 2],
        }
        for gamma, ridge, predicted, score in steps
    ]
    jump = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    play = {"mode": "immediate", "fromcurrent": False, "frame": {"duration": 350, "redraw": False},
            "transition": {"duration": 250}}  # fmt: skip
    slider = {
        "active": start, "pad": {"t": 46}, "currentvalue": {"prefix": "γ = "},
        "steps": [
            {"label": frame["name"], "method": "animate", "args": [[frame["name"]], jump]} for frame in frames
        ],
    }  # fmt: skip
    button = {
        "type": "buttons", "direction": "left", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom",
        "pad": {"r": 8, "t": 0}, "showactive": False,
        "buttons": [{"label": "▶ Play γ", "method": "animate", "args": [None, play]}],
    }  # fmt: skip
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "x": limits, "y": limits, "mode": "lines", "hoverinfo": "skip",
            "line": {"color": NEUTRAL, "dash": "dot", "width": 1.5},
        },
        {
            "type": "scatter", "x": observed, "y": steps[start][2], "mode": "markers",
            "marker": {"size": 7, "opacity": 0.65, "color": BLUE},
            "hovertemplate": "observed %{x:.4g}<br>predicted %{y:.4g}<extra></extra>",
        },
        {  # an annotation would stand still while the points move
            "type": "scatter", "mode": "text", "x": limits[:1], "y": limits[1:], "hoverinfo": "skip",
            "text": [_note(*steps[start][:2], steps[start][3])], "textposition": "bottom right",
            "textfont": {"size": 15}, "cliponaxis": False,
        },
    ]  # fmt: skip
    chart = figure(
        data, 520, dark=dark, margin={"l": 60, "r": 8, "t": 48, "b": 8}, sliders=[slider], updatemenus=[button],
        xaxis={"title": {"text": f"observed ({unit})"}, "range": limits, "automargin": True, **PLAIN_TICKS},
        yaxis={"title": {"text": f"predicted ({unit})"}, "range": limits, "automargin": True, **PLAIN_TICKS},
    )  # fmt: skip
    chart.frames = frames
    gammas = [gamma for gamma, *_ in steps]
    return Chart(
        chart,
        f"Animation of predicted against observed outcomes for {len(steps)} values of γ from {min(gammas):.2g} to "
        f"{max(gammas):.2g}. Best rank correlation {steps[start][3]:.3f} at γ = {steps[start][0]:.3g}.",
        lambda: pd.DataFrame(
            [(gamma, ridge, score) for gamma, ridge, _, score in steps], columns=["γ", "ridge", "rank correlation"]
        ),
    )


def _note(gamma: float, ridge: float, score: float) -> str:
    return f"  γ = {gamma:.3g}, ridge {ridge:g}: rank correlation {score:.3f}"
