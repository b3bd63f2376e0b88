"""Predicted against observed outcomes, surrogates side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from kernelsm.charts.style import NEUTRAL, Chart, compact


def predicted_vs_observed(
    observed: NDArray[np.float64], predicted: Mapping[str, NDArray[np.float64]], *, unit: str = "loss, nats"
) -> Chart:
    """Draw one panel per surrogate with equal axes; a perfect prediction lies on the diagonal.

    Parameters
    ----------
    observed : ndarray, shape (m,)
        Outcomes of held-out subsets.
    predicted : mapping of str to ndarray, shape (m,)
        Title of each panel and its predictions.
    unit : str
    """
    everything = np.concatenate([observed, *predicted.values()])
    low, high = float(everything.min()), float(everything.max())
    room = 0.04 * (high - low) or 0.5
    limits = [low - room, high + room]
    figure = make_subplots(
        rows=1, cols=len(predicted), subplot_titles=list(predicted), shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, guess in enumerate(predicted.values(), start=1):
        figure.add_scatter(
            x=limits, y=limits, mode="lines", line={"color": NEUTRAL, "dash": "dot", "width": 1.5},
            hoverinfo="skip", row=1, col=column,
        )  # fmt: skip
        figure.add_scatter(
            x=observed, y=guess, mode="markers", marker={"size": 7, "opacity": 0.65, "color": "#2a78c8"},
            hovertemplate="observed %{x:.4g}<br>predicted %{y:.4g}<extra></extra>", row=1, col=column,
        )  # fmt: skip
        figure.update_xaxes(title=f"observed ({unit})", range=limits, row=1, col=column)
        figure.update_yaxes(range=limits, row=1, col=column)
    figure.update_yaxes(title=f"predicted ({unit})", row=1, col=1)
    errors = ", ".join(
        f"{title}: mean absolute error {np.abs(guess - observed).mean():.3g}" for title, guess in predicted.items()
    )
    return Chart(compact(figure, 420), f"Predicted against observed outcomes of {len(observed)} subsets. {errors}.")
