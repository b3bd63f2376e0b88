"""What was sampled: how often each pair was together, and how the outcomes spread."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kernelsm.charts.style import Chart, compact, safe


def outcome_histogram(values: NDArray[np.float64], *, full: float | None = None, unit: str = "loss, nats") -> Chart:
    """Draw how the outcomes of the sampled subsets spread.

    Parameters
    ----------
    values : ndarray, shape (m,)
    full : float, optional
        Outcome predicted for all tasks together, drawn as a line.
    unit : str
    """
    figure = go.Figure(go.Histogram(x=values, nbinsx=40, marker={"color": "#2a78c8"}))
    if full is not None:
        figure.add_vline(x=full, line={"dash": "dash", "width": 2, "color": "#dd7a1f"}, annotation_text="all tasks")
    figure.update_xaxes(title=f"F(s), {unit}")
    figure.update_yaxes(title="subsets")
    alt = f"Histogram of {len(values)} outcomes from {values.min():.3g} to {values.max():.3g} ({unit})."
    return Chart(compact(figure, 360), alt)


def pair_coverage(masks: NDArray[np.bool_], names: tuple[str, ...]) -> Chart:
    """Draw in how many subsets each pair of tasks was together; the diagonal counts single tasks.

    Parameters
    ----------
    masks : ndarray of bool, shape (m, K)
    names : tuple of str
    """
    s = masks.astype(np.float32)
    together = s.T @ s
    labels = [safe(name, 24) for name in names]
    ticks = (
        {"tickmode": "array", "tickvals": labels, "showgrid": False}
        if len(names) <= 50
        else {"showticklabels": False}
    )
    figure = go.Figure(
        go.Heatmap(
            z=together, x=labels, y=labels, colorscale="Blues", zmin=0, xgap=1, ygap=1,
            colorbar={"title": {"text": "subsets", "side": "top"}, "thickness": 10},
            hovertemplate="%{y} and %{x}: together in %{z} subsets<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", **ticks)
    figure.update_xaxes(tickangle=-90, **ticks)
    off = together[~np.eye(len(names), dtype=bool)]
    rarest = f" The rarest pair was together in {int(off.min())} of them." if len(off) else ""
    return Chart(compact(figure, 520), f"Heatmap of how often pairs of {len(names)} tasks were together.{rarest}")
