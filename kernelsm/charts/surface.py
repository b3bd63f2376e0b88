"""Leave-one-out error over γ and the ridge, with a layer that can be clicked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import ORANGE, Chart, clicked_indices, figure
from kernelsm.surrogates.tuning import least_error

_LINEAR_AT = -1.6
RING = 3
"""Number of the ring's trace."""
# the least error stands out from the page
_LIGHT = [(0.0, "#0b3d75"), (0.3, "#3d8fe0"), (1.0, "#f1f4f8")]
_DARK = [(0.0, "#b5dcff"), (0.3, "#3d8fe0"), (1.0, "#1b2129")]
_TICKS = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
Array = NDArray[np.float64]


def loo_heatmap(
    gammas: Array,
    ridges: Array,
    errors: Array,
    linear: Array,
    *,
    current: tuple[float | None, float] | None = None,
    dark: bool = False,
) -> Chart:
    """Draw the leave-one-out error of every γ and ridge, the linear surrogate's in a column of its own.

    Parameters
    ----------
    gammas : ndarray, shape (G,)
    ridges : ndarray, shape (R,)
    errors : ndarray, shape (G, R)
        Relative to predicting the mean: 1 is no better than it.
    linear : ndarray, shape (R,)
        The same of the linear surrogate, with its own ridge.
    current : (float or None, float), optional
        γ and ridge in use, drawn as a ring; γ None is the linear surrogate.
    dark : bool
        Whether the page is dark.
    """
    columns, rows = np.arange(len(gammas)), np.arange(len(ridges))
    best = least_error(errors, gammas, ridges)
    everything = np.log10(np.maximum(np.concatenate([errors.ravel(), linear]), 1e-12))
    low, high = float(everything.min()), float(min(everything.max(), everything.min() + 3))
    shown = _TICKS[(np.log10(_TICKS) >= low - 0.02) & (np.log10(_TICKS) <= high + 0.02)]
    shared = {
        "type": "heatmap", "y": rows, "zmin": low, "zmax": max(high, low + 0.05), "xgap": 1, "ygap": 1,
        "colorscale": _DARK if dark else _LIGHT, "hoverinfo": "skip",
    }  # fmt: skip
    grid = np.log10(np.maximum(errors.T, 1e-12))
    linear_column = np.log10(np.maximum(linear[:, None], 1e-12))
    ring = {"symbol": "circle-open", "size": 17, "color": ORANGE, "line": {"width": 3.5}}
    ring_position = () if current is None else ring_place(gammas, ridges, *current)
    data: list[dict[str, Any]] = [
        {
            **shared, "x": columns, "z": grid.astype(np.float32),
            "colorbar": {
                "title": {"text": "error / mean's", "side": "top"}, "thickness": 10, "tickvals": np.log10(shown),
                "ticktext": [f"{tick:.3g}" for tick in shown],
            },
        },
        {**shared, "x": [_LINEAR_AT], "dx": 1, "z": linear_column.astype(np.float32), "showscale": False},
        {
            "type": "scatter", "mode": "text", "x": [best[0]], "y": [best[1]], "text": ["★"], "hoverinfo": "skip",
            "textfont": {"size": 17, "color": ORANGE},
        },
        {
            "type": "scatter", "mode": "markers", "x": ring_position[:1], "y": ring_position[1:],
            "marker": ring, "hoverinfo": "skip",
        },
        _click_layer(gammas, ridges, errors, linear),
    ]  # fmt: skip
    chart = figure(
        data,
        440,
        dark=dark,
        xaxis={
            "title": {"text": "γ"}, "tickmode": "array", "tickvals": [_LINEAR_AT, *columns[::2]], "showgrid": False,
            "ticktext": ["linear", *(f"{gamma:.2g}" for gamma in gammas[::2])], "zeroline": False,
            "range": [_LINEAR_AT - 0.6, len(gammas) - 0.5], "automargin": True,
        },
        yaxis={
            "title": {"text": "ridge"}, "tickmode": "array", "tickvals": rows[::2], "showgrid": False,
            "zeroline": False, "ticktext": [f"{ridge:g}" for ridge in ridges[::2]], "automargin": True,
            "range": [-0.5, len(ridges) - 0.5],
        },
    )  # fmt: skip
    alt = (
        f"Heatmap of the leave-one-out error over {len(gammas)} values of γ and {len(ridges)} of the ridge. Least: "
        f"{errors.min():.3g} times the mean's error at γ = {gammas[best[0]]:.3g}, ridge {ridges[best[1]]:.3g}; "
        f"linear surrogate at its best {linear.min():.3g}."
    )

    def table() -> pd.DataFrame:
        first, second = (index.ravel() for index in np.indices(errors.shape))
        of_linear = pd.DataFrame({"γ": np.nan, "ridge": ridges, "error": linear})
        of_kernel = pd.DataFrame({"γ": gammas[first], "ridge": ridges[second], "error": errors[first, second]})
        return pd.concat(
            [of_kernel.assign(surrogate="kernel"), of_linear.assign(surrogate="linear")], ignore_index=True
        )[["surrogate", "γ", "ridge", "error"]]

    return Chart(chart, alt, table)


def ring_place(gammas: Array, ridges: Array, gamma: float | None, ridge: float) -> tuple[float, float]:
    """Where the ring around a γ (None for the linear surrogate) and a ridge stands on the heatmap's axes."""
    return _LINEAR_AT if gamma is None else _axis_position(gammas, gamma), _axis_position(ridges, ridge)


def _click_layer(gammas: Array, ridges: Array, errors: Array, linear: Array) -> dict[str, Any]:
    """Invisible squares whose `customdata` is (index of γ or -1 for linear, index of the ridge)."""
    first, second = (index.ravel() for index in np.indices(errors.shape))
    rows = np.arange(len(ridges))
    column, row = np.concatenate([np.full(len(rows), -1), first]), np.concatenate([rows, second])
    text = [f"linear, ridge {ridges[j]:.3g}: {linear[j]:.3g}" for j in rows] + [
        f"γ {gammas[i]:.3g}, ridge {ridges[j]:.3g}: {errors[i, j]:.3g}" for i, j in zip(first, second, strict=True)
    ]
    return {
        "type": "scatter", "mode": "markers", "x": np.where(column < 0, _LINEAR_AT, column), "y": row,
        "marker": {"symbol": "square", "size": 20, "opacity": 0},
        "customdata": np.column_stack([column, row]).astype(np.int32), "hovertext": text,
        "hovertemplate": "%{hovertext} of the mean's error<extra></extra>",
        "selected": {"marker": {"opacity": 0}}, "unselected": {"marker": {"opacity": 0}},
    }  # fmt: skip


def clicked_point(selection: Mapping[str, Any], gammas: Array, ridges: Array) -> tuple[float | None, float] | None:
    """Return the γ (None for linear) and ridge that a Plotly selection names, or None for an empty or foreign one."""
    found = clicked_indices(selection)
    if found is None:
        return None
    i, j = found
    if not (-1 <= i < len(gammas) and 0 <= j < len(ridges)):
        return None
    return None if i < 0 else float(gammas[i]), float(ridges[j])


def _axis_position(grid: Array, value: float) -> float:
    """Position of a value on an axis of grid indices, interpolated on a logarithmic scale."""
    return float(np.interp(np.log(max(value, 1e-300)), np.log(grid), np.arange(len(grid))))
