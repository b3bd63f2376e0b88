"""How much projections distort gradients: errors of inner products, projection by projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kernelsm.charts.style import BLUE, NEUTRAL, Chart, figure


def distortion_chart(
    errors: Mapping[str, Sequence[float]], sizes: Mapping[str, float], expected: float, *, dark: bool = False
) -> Chart:
    """Draw the errors of inner products of pairs of gradients, with the size a dense Gaussian is expected to have.

    Parameters
    ----------
    errors : mapping of str to sequence of float
        Projection -> errors of <Pg, Ph> in units of |g| |h|.
    sizes : mapping of str to float
        Root mean square of all errors of each.
    expected : float
        Theoretical root mean square of a dense Gaussian projection; lines mark ± this.
    dark : bool
        Whether the page is dark.
    """
    data: list[dict[str, Any]] = [
        {
            "type": "box", "x": list(values), "name": name, "orientation": "h", "boxpoints": "outliers",
            "marker": {"color": BLUE, "size": 3, "opacity": 0.5}, "line": {"width": 1.5},
            "hovertemplate": "%{x:.3f}<extra>" + name + "</extra>",
        }
        for name, values in errors.items()
    ]  # fmt: skip
    lines = [
        {
            "type": "line", "x0": position, "x1": position, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        }
        for position in (-expected, expected)
    ]  # fmt: skip
    chart = figure(
        data, 60 + 62 * len(errors), dark=dark, shapes=lines, margin={"l": 8, "r": 8, "t": 8, "b": 48},
        xaxis={"title": {"text": "error of inner products, in units of |g| |h|"}, "zeroline": True},
        yaxis={"automargin": True, "autorange": "reversed"},
    )  # fmt: skip
    listed = ", ".join(f"{name} {size:.3f}" for name, size in sizes.items())
    return Chart(
        chart,
        f"Root mean square error of inner products: {listed}; a dense Gaussian in theory {expected:.3f}.",
        lambda: pd.DataFrame(
            [(name, error) for name, values in errors.items() for error in values], columns=["projection", "error"]
        ),
    )
