"""How much projections distort gradients: errors of inner products, projection by projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kernelsm.charts.style import BLUE, NEUTRAL, Chart, figure


def distortion_chart(errors: Mapping[str, Sequence[float]], dim: int) -> Chart:
    """Draw the errors of inner products of pairs of gradients, with the size a dense Gaussian is expected to have.

    Parameters
    ----------
    errors : mapping of str to sequence of float
        Projection -> errors of <Pg, Ph> in units of |g| |h|.
    dim : int
        k; one standard deviation of a dense Gaussian is 1/√k for gradients at right angles.
    """
    data: list[dict[str, Any]] = [
        {
            "type": "box", "x": list(values), "name": name, "orientation": "h", "boxpoints": "outliers",
            "marker": {"color": BLUE, "size": 3, "opacity": 0.5}, "line": {"width": 1.5},
            "hovertemplate": "%{x:.3f}<extra>" + name + "</extra>",
        }
        for name, values in errors.items()
    ]  # fmt: skip
    band = 1 / np.sqrt(dim)
    lines = [
        {
            "type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        }
        for at in (-band, band)
    ]  # fmt: skip
    chart = figure(
        data, 60 + 62 * len(errors), shapes=lines, margin={"l": 8, "r": 8, "t": 8, "b": 48},
        xaxis={"title": {"text": "error of inner products, in units of |g| |h|"}, "zeroline": True},
        yaxis={"automargin": True, "autorange": "reversed"},
    )  # fmt: skip
    sizes = ", ".join(f"{name} {np.sqrt(np.mean(np.square(values))):.3f}" for name, values in errors.items())
    return Chart(chart, f"Root mean square error of inner products: {sizes}; 1/√k is {band:.3f}.")
