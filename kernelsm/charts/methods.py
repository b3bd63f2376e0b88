"""Effects of all tasks by two methods and their difference, on one range of colours."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import Chart, diverging_scale, figure, name_axis, safe, symmetric_limit

Array = NDArray[np.float64]
MOST_ROWS = 60
_LINE = 13  # characters that fit above a column on a phone


def two_methods(
    names: Sequence[str],
    titles: tuple[str, str],
    effects: tuple[Array, Array],
    *,
    unit: str = "loss, nats",
    higher_is_better: bool = False,
    dark: bool = False,
) -> Chart:
    """Draw what two methods say each task does, and the first less the second.

    Parameters
    ----------
    names : sequence of str
        Of the K tasks, in the order of the rows; more than 60 are cut.
    titles : tuple of str
        Of the two methods.
    effects : tuple of ndarray, shape (K,) each
        F(with) - F(without), in one unit.
    unit : str
        Of the effects.
    higher_is_better : bool
        Which sign helps.
    dark : bool
        Whether the page is dark.
    """
    shown = min(len(names), MOST_ROWS)
    table = np.stack([effects[0], effects[1], effects[0] - effects[1]], axis=1)[:shown]
    limit = symmetric_limit(table)
    labels = [safe(name) for name in names[:shown]]
    columns = [safe(titles[0], 40), safe(titles[1], 40), "difference"]
    hover = [
        [f"{label}, {column}: {value:+.3g}" for column, value in zip(columns, row, strict=True)]
        for label, row in zip(labels, table, strict=True)
    ]
    positions, rows = np.arange(3), np.arange(shown)
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap", "x": positions, "y": rows, "z": table.astype(np.float32), "zmin": -limit, "zmid": 0.0,
            "zmax": limit, "colorscale": diverging_scale(dark, higher_is_better), "xgap": 2, "ygap": 2,
            "text": [[f"{value:+.2g}" for value in row] for row in table], "texttemplate": "%{text}",
            "customdata": hover, "hovertemplate": "%{customdata}<extra></extra>",
            # below the chart: beside it, it would take the room of a column on a phone
            "colorbar": {
                "title": {"text": unit, "side": "bottom"}, "thickness": 10, "len": 0.9, "orientation": "h",
                "yanchor": "top", "y": 0,
            },
        }
    ]  # fmt: skip
    chart = figure(
        data, 150 + 26 * shown, dark=dark,
        xaxis={
            "tickmode": "array", "tickvals": positions, "side": "top", "showgrid": False, "automargin": True,
            "ticktext": [_in_lines(column) for column in (*titles, "difference")], "tickangle": 0,
        },
        yaxis=name_axis(labels, rows, autorange="reversed"),
    )  # fmt: skip
    same = int((np.sign(effects[0]) == np.sign(effects[1])).sum())
    cut = f", the first {shown} shown" if shown < len(names) else ""
    return Chart(
        chart,
        f"Effects of {len(names)} tasks{cut} by {titles[0]} and by {titles[1]}, and their difference: the two have "
        f"the same sign for {same} of them.",
        lambda: pd.DataFrame(
            {
                "task": list(names),
                titles[0]: effects[0],
                titles[1] if titles[1] != titles[0] else f"{titles[1]} (second)": effects[1],
                "difference": effects[0] - effects[1],
            }
        ),
    )


def _in_lines(title: str) -> str:
    """A title in short lines, which stand upright above narrow columns."""
    return "<br>".join(safe(line) for line in wrap(title, _LINE))
