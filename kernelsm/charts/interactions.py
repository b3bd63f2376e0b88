"""The heatmap of pairwise interactions, with a layer that can be clicked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import (
    PLAIN_TICKS,
    Chart,
    clicked_indices,
    diverging_scale,
    figure,
    name_axis,
    safe,
    symmetric_limit,
)
from kernelsm.runtime.near_ties import first_greatest, rising
from kernelsm.surrogates.results import without_rounding
from kernelsm.surrogates.wording import number

CLICKABLE_UP_TO = 50
_TEXT_UP_TO = 8  # more numbers of a size that can be read do not fit into their cells
_HEIGHT, _CELLS_HIGH = 520, 240  # pixels: of the chart, and of all its cells on a phone
_LINE = 18  # pixels
_SHORT = 16  # letters: longer names leave no room for the cells
_TOLD = 5  # pairs whose numbers the alternative text holds


def interaction_heatmap(
    values: NDArray[np.float64],
    names: tuple[str, ...],
    *,
    unit: str = "loss, nats",
    higher_is_better: bool = False,
    order: NDArray[np.intp] | None = None,
    distinguishable: NDArray[np.bool_] | None = None,
    measured: NDArray[np.bool_] | None = None,
    focus: tuple[int, int] | None = None,
    dark: bool = False,
    clickable: bool = True,
    limit: float | None = None,
) -> Chart:
    """Draw second differences of every pair.

    Parameters
    ----------
    values : ndarray, shape (K, K)
        Symmetric; the diagonal is left blank.
    names : tuple of str
    unit : str
        Unit of the values.
    higher_is_better : bool
        Decides which side of the scale is the helping one (synergy, blue).
    order : ndarray of int, optional
        Tasks from left to right and top to bottom.
    distinguishable : ndarray of bool, shape (K, K), optional
        Pairs that can be told from zero; the other cells are veiled.
    measured : ndarray of bool, shape (K, K), optional
        Values that are read from measured rows; hovering says so.
    focus : (int, int), optional
        The pair to outline, as task indices; outlines are part of the clickable layer.
    dark : bool
        Whether the page is dark: zero takes the page's neutral tone.
    clickable : bool
        Lay an invisible marker over each cell, whose `customdata` is (j, k): Streamlit reports clicks on markers but
        not on heatmaps. A clicked marker shows as an outline at once, in the browser. Up to 50 tasks.
    limit : float, optional
        Symmetric range of the colours; the largest magnitude where not given.
    """
    K = len(names)
    order = np.arange(K) if order is None else order
    cells = values[np.ix_(order, order)].astype(np.float32)
    np.fill_diagonal(cells, np.nan)
    colour_limit = limit or symmetric_limit(values)
    labels = [safe(names[k], 24) for k in order]
    positions = np.arange(K)
    heatmap: dict[str, Any] = {
        "type": "heatmap",
        "z": cells,
        "x": positions,
        "y": positions,
        "zmid": 0,
        "zmin": -colour_limit,
        "zmax": colour_limit,
        "colorscale": diverging_scale(dark, higher_is_better),
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "texttemplate": "%{text}" if K <= _TEXT_UP_TO else None,
        # above the cells: beside them it would take their room on a narrow page
        "colorbar": {
            "title": {"text": unit, "side": "right"},
            "thickness": 10,
            "ypad": 2,
            "len": 0.9,
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "tickvals": _few_ticks(colour_limit),
            "tickangle": 0,
            **PLAIN_TICKS,
        },
        "hovertemplate": "%{y} × %{x}: %{z:+.3~g}<extra></extra>",
    }
    read = np.zeros((K, K), dtype=bool) if measured is None else measured[np.ix_(order, order)]
    if K <= _TEXT_UP_TO:
        written = without_rounding(values, np.abs(values).max(initial=0.0))[np.ix_(order, order)]
        heatmap["text"] = [["" if i == j else number(written[i, j], digits=2) for j in range(K)] for i in range(K)]
    elif read.any() and K > CLICKABLE_UP_TO:
        heatmap |= {
            "text": np.where(read, ", measured", ""), "hovertemplate": "%{y} × %{x}: %{z:+.3~g}%{text}<extra></extra>"
        }  # fmt: skip
    data = [heatmap]
    if distinguishable is not None and not distinguishable[np.triu_indices(K, k=1)].all():
        data.append(_veil(distinguishable[np.ix_(order, order)], dark))
    if clickable and K <= CLICKABLE_UP_TO:
        heatmap |= {"hoverinfo": "skip", "hovertemplate": None}
        data.append(_click_layer(cells, read, labels, order, focus, dark))
    elif K <= CLICKABLE_UP_TO:  # not by the ticks, of which some are left out
        heatmap |= {"hovertext": _told(cells, read, labels), "hovertemplate": "%{hovertext}<extra></extra>"}
    more: dict[str, Any] = {"zeroline": False}
    # zooming would be a trap for fingers, and is of use only where cells are too small to be told apart
    more |= {} if K <= CLICKABLE_UP_TO else {"showticklabels": False, "fixedrange": False}
    # names of cells lower than a line would overlap: then every second or third is written, and hovering tells all
    every = -(-_LINE * K // _CELLS_HIGH) if K <= CLICKABLE_UP_TO else 1
    ticks = [safe(names[k], _SHORT) if at % every == 0 else "" for at, k in enumerate(order)]
    chart = figure(
        data,
        _HEIGHT,
        dark=dark,
        margin={"l": 8, "r": 8, "t": 0, "b": 8},
        xaxis=name_axis(
            ticks, positions, tickangle=-90, range=[-0.5, K - 0.5], constrain="domain", constraintoward="left", **more
        ),
        # cells are square on every screen
        yaxis=name_axis(
            ticks,
            positions,
            range=[K - 0.5, -0.5],
            scaleanchor="x",
            constrain="domain",
            constraintoward="top",
            **more,
        ),
    )
    return Chart(
        chart, _alt(values, names, unit, distinguishable), lambda: _table(values, names, unit, distinguishable)
    )


def _few_ticks(limit: float) -> list[float]:
    """Zero and the largest round number either side of it: more would stand on end on a narrow page."""
    power = 10.0 ** np.floor(np.log10(limit))
    largest = max(step * power for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9))
    return [-largest, 0.0, largest]


def _table(
    values: NDArray[np.float64], names: tuple[str, ...], unit: str, distinguishable: NDArray[np.bool_] | None
) -> pd.DataFrame:
    """A row each pair, the strongest first."""
    first, second = np.triu_indices(len(names), k=1)
    by_strength = rising(-np.abs(values[first, second]))
    first, second = first[by_strength], second[by_strength]
    found = pd.DataFrame(
        {
            "first": [names[j] for j in first], "second": [names[k] for k in second],
            f"interaction ({unit})": values[first, second],
        }
    )  # fmt: skip
    return found if distinguishable is None else found.assign(**{"told from zero": distinguishable[first, second]})


def _veil(distinguishable: NDArray[np.bool_], dark: bool) -> dict[str, Any]:
    """A layer of the page's own tone over the cells that cannot be told from zero."""
    K = len(distinguishable)
    veiled = np.where(distinguishable | np.eye(K, dtype=bool), np.nan, 1.0).astype(np.float32)
    tone = "rgba(18,22,28,0.72)" if dark else "rgba(255,255,255,0.72)"
    return {
        "type": "heatmap", "z": veiled, "x": np.arange(K), "y": np.arange(K), "zmin": 0, "zmax": 1,
        "colorscale": [(0.0, tone), (1.0, tone)], "showscale": False, "hoverinfo": "skip",
    }  # fmt: skip


def _click_layer(
    cells: NDArray[np.float32],
    read: NDArray[np.bool_],
    labels: list[str],
    order: NDArray[np.intp],
    focus: tuple[int, int] | None,
    dark: bool,
) -> dict[str, Any]:
    """Square markers over the cells off the diagonal, visible only where selected."""
    K = len(labels)
    row, column = (grid.ravel() for grid in np.meshgrid(np.arange(K), np.arange(K), indexing="ij"))
    off_diagonal = row != column
    row, column = row[off_diagonal], column[off_diagonal]
    first, second = order[row], order[column]
    told = _told(cells, read, labels)
    in_focus = (np.minimum(first, second) == focus[0]) & (np.maximum(first, second) == focus[1]) if focus else []
    return {
        "type": "scatter",
        "x": column,
        "y": row,
        "mode": "markers",
        "marker": {
            "symbol": "square-open",
            "size": max(7, 230 / K),
            "color": "#ffffff" if dark else "#111827",
            "line": {"width": 2.5},
            "opacity": 0,
        },
        "selectedpoints": np.flatnonzero(in_focus).tolist() or None,
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 0}},
        "customdata": np.column_stack([first, second]).astype(np.int32),
        "hovertext": [told[i][j] for i, j in zip(row.tolist(), column.tolist(), strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _told(cells: NDArray[np.float32], read: NDArray[np.bool_], labels: list[str]) -> list[list[str]]:
    """What hovering over each cell says."""
    known, shown = read.tolist(), cells.tolist()
    return [
        [
            "" if i == j else f"{first} × {second}: {number(shown[i][j], signed=True)}"
            f"{', measured' if known[i][j] else ''}"
            for j, second in enumerate(labels)
        ]
        for i, first in enumerate(labels)
    ]  # fmt: skip


def clicked_pair(selection: Mapping[str, Any], K: int) -> tuple[int, int] | None:
    """Return the pair of tasks that a Plotly selection event names, or None for an empty or foreign one."""
    found = clicked_indices(selection)
    if found is None:
        return None
    j, k = found
    return (min(j, k), max(j, k)) if j != k and 0 <= j < K and 0 <= k < K else None


def _alt(
    values: NDArray[np.float64], names: tuple[str, ...], unit: str, distinguishable: NDArray[np.bool_] | None
) -> str:
    first, second = np.triu_indices(len(names), k=1)
    head = f"Heatmap of the interactions of {len(names)} tasks."
    if not len(first):
        return head
    strengths = np.abs(values[first, second])
    if not strengths.any():
        return f"{head} Every pair is exactly zero."
    if distinguishable is None:
        return f"{head} Strongest pair: {_said(values, names, unit, first, second)}."
    clear = distinguishable[first, second]
    if clear.any():
        head += f" Strongest pair of those told from zero: {_said(values, names, unit, first[clear], second[clear])}."
    following = _next(values, names, first[clear], second[clear])
    return f"{head} {int(clear.sum())} of {len(first)} can be told from zero.{following}"


def _next(
    values: NDArray[np.float64], names: tuple[str, ...], first: NDArray[np.intp], second: NDArray[np.intp]
) -> str:
    """The pairs that follow the strongest one."""
    following = rising(-np.abs(values[first, second]))[1:_TOLD]
    told = [
        f"{names[first[i]]} and {names[second[i]]}, {number(float(values[first[i], second[i]]), signed=True)}"
        for i in following
    ]
    return f" Next: {'; '.join(told)}." if told else ""


def _said(
    values: NDArray[np.float64],
    names: tuple[str, ...],
    unit: str,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> str:
    """The strongest of these pairs, its value and the unit."""
    best = first_greatest(np.abs(values[first, second]))
    j, k = first[best], second[best]
    return f"{names[j]} and {names[k]}, {number(float(values[j, k]), signed=True)} ({unit})"
