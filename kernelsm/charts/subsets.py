"""Charts of sampled subsets: how often each pair was together, and the distribution of outcomes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, ORANGE, PLAIN_TICKS, Chart, figure, name_axis, safe

_LINE, _CELLS_HIGH = 18, 240  # pixels: of a name, and of all cells on a phone
_NAMED = 60


def outcome_histogram(
    values: NDArray[np.float64],
    *,
    full: float | None = None,
    measured: bool = False,
    unit: str = "loss, nats",
    dark: bool = False,
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
    dark : bool
        Whether the page is dark.
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
        dark=dark,
        shapes=[{**line, "line": {"dash": "dash", "width": 2, "color": ORANGE}}] if marked else [],
        annotations=[note] if marked else [],
        xaxis={"title": {"text": f"F(s), {unit}"}, "automargin": True, **PLAIN_TICKS},
        yaxis={"title": {"text": "subsets"}, "automargin": True},
    )
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    alt = (
        f"Histogram of {len(values)} outcomes from {values.min():.3g} to {values.max():.3g} ({unit}); half of them "
        f"between {low:.3g} and {high:.3g}, the median {middle:.3g}."
    )
    if marked:
        alt += f" With all tasks {full:.3g}, {'measured' if measured else 'predicted'}."
    return Chart(chart, alt, lambda: pd.DataFrame({"subset": np.arange(len(values)), f"F(s) ({unit})": values}))


def pair_coverage(masks: NDArray[np.bool_], names: tuple[str, ...], *, dark: bool = False) -> Chart:
    """Draw in how many subsets each pair of tasks was together; the diagonal counts single tasks.

    Parameters
    ----------
    masks : ndarray of bool, shape (m, K)
    names : tuple of str
    dark : bool
        Whether the page is dark.
    """
    included = masks.astype(np.float32)
    together = included.T @ included
    # all names of many tasks would overlap: some are written, of very many none, and hovering tells all
    few = len(names) <= _NAMED
    every = -(-_LINE * len(names) // _CELLS_HIGH) if few else 1
    labels = [safe(name, 16) if at % every == 0 else "" for at, name in enumerate(names)]
    hover = [[f"{safe(first, 24)} and {safe(second, 24)}" for second in names] for first in names] if few else None
    positions, pair = np.arange(len(names)), "%{text}" if few else "%{y} and %{x}"
    hide = {} if few else {"showticklabels": False}
    square = {"constrain": "domain", **hide}
    pair = "%{text}" if few else "%{y} and %{x}"
    chart = figure(
        [
            {
                "type": "heatmap", "z": together, "x": positions, "y": positions, "colorscale": "Blues", "zmin": 0,
                "xgap": 1, "ygap": 1, "text": hover,
                # above the cells: beside them it would take their room on a narrow page
                "colorbar": {
                    "title": {"text": "subsets", "side": "right"}, "thickness": 10, "len": 0.9, "orientation": "h",
                    "y": 1.0, "yanchor": "bottom",
                },
                "hovertemplate": f"{pair}: together in %{{z}} subsets<extra></extra>",
            }
        ],
        520,
        dark=dark,
        xaxis=name_axis(labels, positions, tickangle=-90, constraintoward="left", **square),
        yaxis=name_axis(
            labels, positions, autorange="reversed", scaleanchor="x", constraintoward="top", **square
        ),
    )  # fmt: skip
    pair_counts = together[~np.eye(len(names), dtype=bool)]
    rarest = f" The rarest pair was together in {int(pair_counts.min())} of them." if len(pair_counts) else ""
    if len(pair_counts):
        most = int(pair_counts.max())
        rarest += f" On average a pair was in {pair_counts.mean():.0f} of them, the most frequent one in {most}."

    def table() -> pd.DataFrame:
        first, second = np.triu_indices(len(names))
        return pd.DataFrame(
            {
                "first": [names[j] for j in first], "second": [names[k] for k in second],
                "subsets with both": together[first, second].astype(int),
            }
        )  # fmt: skip

    return Chart(chart, f"Heatmap of how often pairs of {len(names)} tasks were together.{rarest}", table)
