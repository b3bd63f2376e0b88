"""Predicted against observed outcomes, surrogates side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, NEUTRAL, PLAIN_TICKS, Chart, figure


def predicted_vs_observed(
    observed: NDArray[np.float64],
    predicted: Mapping[str, NDArray[np.float64]],
    *,
    unit: str = "loss, nats",
    dark: bool = False,
) -> Chart:
    """Draw one panel per surrogate with equal axes; a perfect prediction lies on the diagonal.

    Parameters
    ----------
    observed : ndarray, shape (m,)
        Outcomes of held-out subsets.
    predicted : mapping of str to ndarray, shape (m,)
        Title of each panel and its predictions.
    unit : str
    dark : bool
        Whether the page is dark.
    """
    everything = np.concatenate([observed, *predicted.values()])
    low, high = float(everything.min()), float(everything.max())
    room = 0.04 * (high - low) or 0.5
    limits = [low - room, high + room]
    count = len(predicted)
    data: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    titles = []
    for panel, (title, guess) in enumerate(predicted.items()):
        number = "" if panel == 0 else str(panel + 1)
        on = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}"}
        data += [
            {
                **on, "x": limits, "y": limits, "mode": "lines", "hoverinfo": "skip",
                "line": {"color": NEUTRAL, "dash": "dot", "width": 1.5},
            },
            {
                **on, "x": observed, "y": guess, "mode": "markers",
                "marker": {"size": 7, "opacity": 0.65, "color": BLUE},
                "hovertemplate": "observed %{x:.4g}<br>predicted %{y:.4g}<extra></extra>",
            },
        ]  # fmt: skip
        left, right = panel / count, (panel + 1) / count - (0.04 if panel < count - 1 else 0)
        axes[f"xaxis{number}"] = {
            "domain": [left, right], "anchor": f"y{number}", "range": limits,
            "title": {"text": f"observed ({unit})"}, **PLAIN_TICKS,
        }  # fmt: skip
        axes[f"yaxis{number}"] = {
            "anchor": f"x{number}", "range": limits, "showticklabels": panel == 0,
            "title": {"text": f"predicted ({unit})" if panel == 0 else ""}, **PLAIN_TICKS,
        }  # fmt: skip
        titles.append(
            {
                "text": title, "x": (left + right) / 2, "y": 1, "xref": "paper", "yref": "paper", "yanchor": "bottom",
                "showarrow": False,
            }
        )  # fmt: skip
    errors = ", ".join(
        f"{title}: mean absolute error {np.abs(guess - observed).mean():.3g}" for title, guess in predicted.items()
    )
    chart = figure(data, 420, dark=dark, annotations=titles, margin={"l": 60, "r": 8, "t": 28, "b": 50}, **axes)
    return Chart(
        chart, f"Predicted against observed outcomes of {len(observed)} subsets. {errors}.",
        lambda: pd.DataFrame(
            {"observed": observed, **{f"predicted, {title}": guess for title, guess in predicted.items()}}
        ),
    )  # fmt: skip
