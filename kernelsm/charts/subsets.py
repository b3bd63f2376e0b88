"""Charts of sampled subsets: how often each pair was together, and the distribution of outcomes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, ORANGE, PLAIN_TICKS, Chart, figure, name_axis, safe


def outcome_histogram(
    values: NDArray[np.float64], *, full: float | None = None, measured: bool = False, unit: str = "loss, nats"
) -> Chart:
    """Draw how the outcomes of the sampled subsets spread.

    Parameters
    ----------
    values : ndarray, shape (m,)
    full : float, optional
        Outcome of all tasks together, drawn as a line.
    measured : bool
        Whether that was measured; else it is predicted.
    unit : str
    """
    line = {"type": "line", "x0": full, "x1": full, "y0": 0, "y1": 1, "yref": "paper"}
    note = {
        "x": full,
        "y": 1,
        "yref": "paper",
        "text": f"all tasks ({'measured' if measured else 'predicted'})",
        "showarrow": False,
        "yanchor": "bottom",
    }
    marked = full is not None
    chart = figure(
        [{"type": "histogram", "x": values, "nbinsx": 40, "marker": {"color": BLUE}}],
        360,
        shapes=[{**line, "line": {"dash": "dash", "width": 2, "color": ORANGE}}] if marked else [],
        annotations=[note] if marked else [],
        xaxis={"title": {"text": f"F(s), {unit}"}, "automargin": True, **PLAIN_TICKS},
        yaxis={"title": {"text": "subsets"}, "automargin": True},
    )
    alt = f"Histogram of {len(values)} outcomes from {values.min():.3g} to {values.max():.3g} ({unit})."
    return Chart(chart, alt)


def pair_coverage(masks: NDArray[np.bool_], names: tuple[str, ...]) -> Chart:
    """Draw in how many subsets each pair of tasks was together; the diagonal counts single tasks.

    Parameters
    ----------
    masks : ndarray of bool, shape (m, K)
    names : tuple of str
    """
    included = masks.astype(np.float32)
    together = included.T @ included
    labels = [safe(name, 24) for name in names]
    positions = np.arange(len(names))
    # more names would overlap; hovering still shows them
    hide = {} if len(names) <= 32 else {"showticklabels": False}
    chart = figure(
        [
            {
                "type": "heatmap", "z": together, "x": positions, "y": positions, "colorscale": "Blues", "zmin": 0,
                "xgap": 1, "ygap": 1, "colorbar": {"title": {"text": "subsets", "side": "top"}, "thickness": 10},
                "hovertemplate": "%{y} and %{x}: together in %{z} subsets<extra></extra>",
            }
        ],
        520,
        xaxis=name_axis(labels, positions, tickangle=-90, **hide),
        yaxis=name_axis(labels, positions, autorange="reversed", **hide),
    )  # fmt: skip
    pair_counts = together[~np.eye(len(names), dtype=bool)]
    rarest = f" The rarest pair was together in {int(pair_counts.min())} of them." if len(pair_counts) else ""
    return Chart(chart, f"Heatmap of how often pairs of {len(names)} tasks were together.{rarest}")
