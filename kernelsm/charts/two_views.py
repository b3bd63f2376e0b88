"""Two views side by side: the difference of the effects, and ranks against ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, NEUTRAL, ORANGE, PLAIN_TICKS, Chart, figure, ink, name_axis, pale, safe
from kernelsm.surrogates.results import without_rounding
from kernelsm.surrogates.verdicts import Verdicts
from kernelsm.surrogates.wording import NOT_MEASURED, Verdict, amount

Array = NDArray[np.float64]
_OUTLINE = 1.5  # pixels
_HATCHED = {"fillmode": "replace", "size": 6, "solidity": 0.45}
_NAMED_UP_TO = 12
_SAID = {
    Verdict.CLEAR: "they differ",
    Verdict.NO_EFFECT: "no difference that would matter",
    Verdict.NOT_MEASURED: NOT_MEASURED,
    Verdict.UNCLEAR: "cannot be told from zero",
}


def difference_said(code: int) -> str:
    """What lists say of a difference, by its `Verdict`."""
    return _SAID[Verdict(code)]


def difference_bars(
    values: Array,
    names: Sequence[str],
    *,
    margin: Array,
    verdicts: Verdicts,
    unit: str = "loss, nats",
    limit: float | None = None,
    dark: bool = False,
) -> Chart:
    """Draw the effects of the first view less those of the second.

    Parameters
    ----------
    values : ndarray, shape (n,)
    names : sequence of str
        Of the tasks, from top to bottom.
    margin : ndarray, shape (n,)
        Half-widths of the intervals; NaN where not known.
    verdicts : ndarray of int8, shape (n,)
        `Verdict` of each difference: full bars differ, pale ones differ by less than would matter, hatched ones are
        not measured well enough yet.
    unit : str
        Of the values.
    limit : float, optional
        Symmetric range of the axis.
    dark : bool
        Whether the page is dark.
    """
    exact = without_rounding(values, margin)
    whiskers = np.where(np.isfinite(margin), margin, 0.0)
    labels, rows = [safe(name) for name in names], np.arange(len(names))
    flat = np.where(verdicts == Verdict.NO_EFFECT, 0.0, exact)
    colours = np.where(flat > 0, ORANGE, np.where(flat < 0, BLUE, NEUTRAL)).tolist()
    data: list[dict[str, Any]] = [
        {
            "type": "bar", "x": exact, "y": rows, "orientation": "h",
            "marker": {
                "color": [
                    colour if code == Verdict.CLEAR else pale(colour)
                    for colour, code in zip(colours, verdicts, strict=True)
                ],
                "line": {"color": colours, "width": np.where(verdicts == Verdict.CLEAR, 0.0, _OUTLINE)},
                "pattern": {"shape": np.where(verdicts == Verdict.NOT_MEASURED, "/", ""), **_HATCHED},
            },
            "error_x": {
                "array": whiskers, "visible": bool(whiskers.any()), "color": ink(dark), "thickness": 1.5, "width": 3
            },
            "hovertext": [
                f"{label}: {amount(float(value), float(half), signed=True)} ({difference_said(code)})"
                for label, value, half, code in zip(labels, exact, margin, verdicts, strict=True)
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    ]  # fmt: skip
    chart = figure(
        data, max(220, 70 + 21 * len(labels)), dark=dark,
        xaxis={
            "title": {"text": f"first - second, {unit}"}, "zeroline": True, "automargin": True, **PLAIN_TICKS,
            **({} if limit is None else {"range": [-limit, limit]}),
        },
        yaxis=name_axis(labels, rows, autorange="reversed"),
        annotations=[
            {
                "text": text, "x": 0, "y": 1, "xref": "x", "yref": "paper", "xanchor": anchor, "yanchor": "bottom",
                "xshift": shift, "showarrow": False,
            }
            for text, anchor, shift in (("← first lower", "right", -8), ("first higher →", "left", 8))
        ],
    )  # fmt: skip
    clear = int((verdicts == Verdict.CLEAR).sum())
    return Chart(
        chart,
        f"Bar chart of the effects of {len(names)} tasks in the first view less those in the second, with 90 % "
        f"intervals: {clear} of them can be told from zero.",
        lambda: pd.DataFrame(
            {
                "task": list(names), f"first - second ({unit})": exact,
                "±": np.where(np.isfinite(margin), margin, np.nan),
                "told": [difference_said(code) for code in verdicts],
            }
        ),
    )  # fmt: skip


def rank_scatter(
    ranks: tuple[Array, Array],
    names: Sequence[str],
    titles: tuple[str, str],
    *,
    correlation: float,
    dark: bool = False,
) -> Chart:
    """Draw the ranks of tasks in two views against each other; 1 is the task that helps most.

    Parameters
    ----------
    ranks : (ndarray, ndarray), shape (n,) each
    names : sequence of str
        Of the tasks.
    titles : (str, str)
        Of the views.
    correlation : float
        Of the ranks, for the alternative text; NaN where there is none.
    dark : bool
        Whether the page is dark.
    """
    n = len(names)
    labels = [safe(name) for name in names]
    ends = [0.3, n + 0.7]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "x": ends, "y": ends, "mode": "lines", "hoverinfo": "skip",
            "line": {"color": NEUTRAL, "width": 1, "dash": "dot"},
        },
        {
            "type": "scatter", "x": ranks[0], "y": ranks[1],
            "mode": "markers+text" if n <= _NAMED_UP_TO else "markers",
            "marker": {"color": BLUE, "size": 9, "line": {"color": ink(dark), "width": 1}},
            "text": [safe(name, 18) for name in names] if n <= _NAMED_UP_TO else None,
            # names stay inside the chart: left of the dots in its right half
            "textposition": ["middle left" if rank > n / 2 else "middle right" for rank in ranks[0]],
            "hovertext": [
                f"{label}: {first:g} and {second:g}"
                for label, first, second in zip(labels, *(side.tolist() for side in ranks), strict=True)
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        },
    ]  # fmt: skip
    axis = {"range": ends, "tickformat": "d", "automargin": True, "nticks": min(n, 10) + 1, "zeroline": False}
    chart = figure(
        data, 380, dark=dark,
        xaxis={**axis, "title": {"text": f"rank in {safe(titles[0], 40)}"}},
        yaxis={**axis, "title": {"text": f"rank in {safe(titles[1], 40)}"}},
    )  # fmt: skip
    told = "one of the two has no order" if np.isnan(correlation) else f"they correlate by {correlation:.2f}"
    return Chart(
        chart,
        f"Ranks of {n} tasks in the two views against each other, 1 helps most: {told}.",
        lambda: pd.DataFrame({"task": list(names), "rank in the first": ranks[0], "rank in the second": ranks[1]}),
    )
