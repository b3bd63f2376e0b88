"""Charts of lessons: dots with whiskers, and the two errors of a surrogate; nothing to pan or zoom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, NEUTRAL, ORANGE, PLAIN_TICKS, Chart, figure, ink, name_axis, safe
from kernelsm.surrogates.wording import amount

Array = NDArray[np.float64]
_FEW = 12
_SYMBOLS = ("circle", "square")


def dots(
    rows: Sequence[str],
    series: Sequence[tuple[str, Array, Array]],
    *,
    unit: str,
    truth: Array | None = None,
    axis: tuple[float, float] | None = None,
    signed: bool = True,
    dark: bool = False,
) -> Chart:
    """Draw numbers with their intervals, a row each.

    Parameters
    ----------
    rows : sequence of str, length n
        What stands at the left, from top to bottom.
    series : sequence of (str, ndarray, ndarray)
        Name, values and half-widths of intervals, shape (n,) each; NaN is not drawn.
    unit : str
        For the axis.
    truth : ndarray, shape (n,), optional
        Drawn as diamonds; NaN is not drawn.
    axis : (float, float), optional
        Ends of the axis.
    signed : bool
        Whether zero is marked, and one series is blue below it, orange above it and grey where its interval holds it.
    dark : bool
        Whether the page is dark.
    """
    at = np.arange(len(rows), dtype=np.float64)
    data: list[dict[str, Any]] = []
    for i, (name, values, margins) in enumerate(series):
        shift = 0.0 if len(series) == 1 else (-0.17, 0.17)[i % 2]
        for colour, chosen in _coloured(values, margins, (BLUE, ORANGE)[i % 2], signed and len(series) == 1):
            if not chosen.any():
                continue
            data.append({
                "type": "scatter", "mode": "markers", "name": name, "x": values[chosen], "y": (at + shift)[chosen],
                "marker": {"size": 9 if len(series) == 1 else 7, "color": colour, "symbol": _SYMBOLS[i % 2]},
                "error_x": {"array": np.nan_to_num(margins[chosen]), "color": colour, "thickness": 2.5, "width": 5},
                "showlegend": len(series) > 1 and not any(trace["name"] == name for trace in data),
                "hovertext": [
                    f"{safe(row)}: {amount(value, margin, signed=signed)}"
                    for row, value, margin, drawn in zip(rows, values, margins, chosen, strict=True)
                    if drawn
                ],
                "hovertemplate": "%{hovertext}<extra></extra>",
            })  # fmt: skip
    if truth is not None:
        data.append({
            "type": "scatter", "mode": "markers", "name": "truth", "x": truth, "y": at, "showlegend": True,
            "marker": {"symbol": "diamond-open", "size": 15, "line": {"width": 2}, "color": ink(dark)},
            "hovertemplate": "truth %{x:.3g}<extra></extra>",
        })  # fmt: skip
    chart = figure(
        data,
        max(200, 100 + 24 * len(rows)) if len(rows) <= _FEW else 100 + 19 * len(rows),
        dark=dark,
        xaxis={
            "title": {"text": unit}, "zeroline": signed, "zerolinewidth": 2,
            "automargin": True, **PLAIN_TICKS, **({"range": list(axis)} if axis else {}),
        },
        yaxis=name_axis(
            [safe(row) for row in rows], at.astype(np.intp), range=[len(rows) - 0.5, -0.5], zeroline=False,
        ),
        showlegend=len(series) > 1 or truth is not None,
        legend=_LEGEND,
    )  # fmt: skip

    def table() -> pd.DataFrame:
        found: dict[str, Any] = {"of": list(rows)}
        for name, values, margins in series:
            found |= {f"{name} ({_in_a_line(unit)})": values, f"± of {name}": margins}
        return pd.DataFrame(found if truth is None else {**found, "truth": truth})

    return Chart(chart, _dots_alt(rows, series, truth, unit), table)


def errors(
    labels: Sequence[str],
    training: tuple[Array, Array],
    held_out: tuple[Array, Array],
    *,
    what: str,
    control: str,
    dark: bool = False,
) -> Chart:
    """Draw the error on fitted subsets beside that on held-out ones, over the positions of a control.

    Parameters
    ----------
    labels : sequence of str, length n
        Positions, from left to right.
    training, held_out : (ndarray, ndarray)
        Errors and half-widths of their intervals, shape (n,) each; NaN is not drawn.
    what, control : str
        Titles of the two axes.
    dark : bool
        Whether the page is dark.
    """
    at = np.arange(len(labels))
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": at, "y": values,
            "line": {"color": colour, "width": 3, "dash": dash}, "marker": {"size": 10, "symbol": symbol},
            "error_y": {"array": np.nan_to_num(margins), "color": colour, "thickness": 1.5, "width": 4},
            "hovertemplate": "%{y:.3g}<extra>" + name + "</extra>",
        }
        for name, (values, margins), colour, dash, symbol in (
            ("fitted subsets", training, BLUE, "dot", "circle"),
            ("held-out subsets", held_out, ORANGE, "solid", "square"),
        )
    ]  # fmt: skip
    chart = figure(
        data,
        330,
        dark=dark,
        xaxis={
            **name_axis([safe(label) for label in labels], at.astype(np.intp), range=[-0.4, len(labels) - 0.6]),
            "title": {"text": control},
        },
        yaxis={
            "title": {"text": what}, "range": [0, 1.35],
            "automargin": True, **PLAIN_TICKS,
        },
        showlegend=True,
        legend=_LEGEND,
    )  # fmt: skip
    told = "; ".join(
        f"{control} = {label}: {training[0][i]:.3g} on fitted, {held_out[0][i]:.3g} on held-out subsets"
        for i, label in enumerate(labels)
        if np.isfinite(held_out[0][i])
    )

    def table() -> pd.DataFrame:
        return pd.DataFrame(
            {
                control: list(labels), f"{what}, fitted subsets": training[0], "± of fitted": training[1],
                f"{what}, held-out subsets": held_out[0], "± of held-out": held_out[1],
            }
        )  # fmt: skip

    return Chart(chart, f"Two lines, {what}. {told}.", table)


_LEGEND = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"}


def _coloured(values: Array, margins: Array, colour: str, by_sign: bool) -> list[tuple[str, NDArray[np.bool_]]]:
    """Colours, and the rows that each is that of."""
    known = np.isfinite(values)
    if not by_sign:
        return [(colour, known)]
    clear = known & (np.abs(values) > np.nan_to_num(margins))
    return [(BLUE, clear & (values < 0)), (ORANGE, clear & (values > 0)), (NEUTRAL, known & ~clear)]


def _dots_alt(rows: Sequence[str], series: Sequence[tuple[str, Array, Array]], truth: Array | None, unit: str) -> str:
    told = []
    for k, row in enumerate(rows):
        found = [
            f"{name} {amount(values[k], margins[k])}" for name, values, margins in series if np.isfinite(values[k])
        ]
        if truth is not None and np.isfinite(truth[k]):
            found.append(f"truth {truth[k]:.3g}")
        if found:
            told.append(f"{row}: {', '.join(found)}")
    return f"Dots with 90 % intervals, {_in_a_line(unit)}. {'; '.join(told)}."


def _in_a_line(title: str) -> str:
    return title.replace("<br>", ", ")
