"""Bars of attribution: one task each, blue helps, orange hurts, pale is not told from zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import PLAIN_TICKS, Chart, effect_colours, figure, ink, name_axis, pale, safe
from kernelsm.runtime.near_ties import first_greatest, rising
from kernelsm.surrogates.results import without_rounding
from kernelsm.surrogates.verdicts import Verdicts
from kernelsm.surrogates.verdicts import verdicts as verdicts_alone
from kernelsm.surrogates.wording import Verdict, amount, effect_verdict

MOST_BARS = 60
_LETTERS = 28  # of a name beside its bar: longer ones leave no room for the bars
_ABOVE = 66  # pixels for three lines above the bars
_TOLD = 10  # tasks whose numbers the alternative text holds; more are in the table
_OUTLINE = 1.5  # pixels
_HATCHED = {"fillmode": "replace", "size": 6, "solidity": 0.45}


def attribution_bars(
    values: NDArray[np.float64],
    names: tuple[str, ...],
    *,
    unit: str = "loss, nats",
    higher_is_better: bool = False,
    order: NDArray[np.intp] | None = None,
    margin: NDArray[np.float64] | None = None,
    verdicts: Verdicts | None = None,
    measured: NDArray[np.bool_] | None = None,
    truth: NDArray[np.float64] | None = None,
    dark: bool = False,
) -> Chart:
    """Draw the attribution of each task, F(with) - F(without).

    Parameters
    ----------
    values : ndarray, shape (K,)
    names : tuple of str
    unit : str
        Unit of the values, for the axis.
    higher_is_better : bool
        Decides which sign helps.
    order : ndarray of int, optional
        Tasks to draw, from top to bottom; all as given where absent. Of more than 60 the 60 strongest are drawn, the
        clear ones first.
    margin : ndarray, shape (K,), optional
        Half-widths of intervals, drawn as whiskers. NaN where not known.
    verdicts : ndarray of int8, shape (K,), optional
        `Verdict` of each task: full bars are clear, pale ones are no effect, hatched ones are not measured well
        enough yet. Without it each bar is looked at alone: those whose interval holds zero are pale.
    measured : ndarray of bool, shape (K,), optional
        Values that are read from measured rows; hovering says so.
    truth : ndarray, shape (K,), optional
        True values, drawn as diamonds.
    dark : bool
        Whether the page is dark: text, whiskers and diamonds take the colour of its text.
    """
    half_widths = np.zeros(len(names)) if margin is None else margin
    exact = without_rounding(values, half_widths)
    known = np.isfinite(half_widths)
    if verdicts is None:
        verdicts = verdicts_alone(exact, half_widths, known & (np.abs(exact) > half_widths), None)
    shown = np.arange(len(names)) if order is None else order
    cut = len(shown) > MOST_BARS
    if cut:
        shown = drawn_bars(values, verdicts, shown)
    shown_values, shown_verdicts = exact[shown], [Verdict(code) for code in verdicts[shown]]
    # an infinite or unknown interval has no whisker
    whiskers = np.where(known, half_widths, 0.0)[shown]
    read = np.zeros(len(names), dtype=bool) if measured is None else measured
    labels = [safe(names[k], _LETTERS) for k in shown]
    rows = np.arange(len(shown))
    colours = effect_colours(np.where(verdicts[shown] == Verdict.NO_EFFECT, 0.0, shown_values), higher_is_better)
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": shown_values,
            "y": rows,
            "orientation": "h",
            "marker": {
                # pale bars are told by their outline, also where colours are washed out
                "color": [
                    colour if verdict == Verdict.CLEAR else pale(colour)
                    for colour, verdict in zip(colours, shown_verdicts, strict=True)
                ],
                "line": {"color": colours, "width": np.where(verdicts[shown] == Verdict.CLEAR, 0.0, _OUTLINE)},
                "pattern": {"shape": np.where(verdicts[shown] == Verdict.NOT_MEASURED, "/", ""), **_HATCHED},
            },
            "error_x": {
                "array": whiskers,
                "visible": bool(whiskers.any()),
                "color": ink(dark),
                "thickness": 1.5,
                "width": 3,
            },
            "hovertext": [
                f"{label}: {amount(value, half, signed=True, measured=bool(read[k]))} "
                f"({effect_verdict(verdict, value, higher_is_better)})"
                for k, label, value, half, verdict in zip(
                    shown, (safe(names[k]) for k in shown), shown_values, whiskers, shown_verdicts, strict=True
                )
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    ]
    if truth is not None:
        data.append(
            {
                "type": "scatter",
                "x": truth[shown],
                "y": rows,
                "mode": "markers",
                "marker": {"symbol": "diamond-open", "size": 10, "line": {"width": 2}, "color": ink(dark)},
                "hovertemplate": "truth %{x:+.4g}<extra></extra>",
            }
        )
    sides = "← hurts   helps →" if higher_is_better else "← helps   hurts →"
    chart = figure(
        data,
        max(220, _ABOVE + 30 + 22 * len(shown)),
        dark=dark,
        margin={"l": 8, "r": 12, "t": _ABOVE, "b": 8},
        xaxis={"zeroline": True, "automargin": True, **PLAIN_TICKS},
        yaxis=name_axis(labels, rows, autorange="reversed"),
        annotations=[
            # an axis' own title is centred below the bars, and cut where these are narrower than it is
            {
                "text": f"F(with) - F(without)<br>{unit}<br>{sides}", "x": 1, "y": 1,
                "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "bottom", "align": "right",
                "showarrow": False,
            }
        ],
    )  # fmt: skip
    alt = f"Bar chart of the attribution of {len(names)} tasks{_which(len(shown), len(names), cut)}."
    clear = np.flatnonzero(verdicts == Verdict.CLEAR)
    if len(clear):
        k = int(clear[first_greatest(np.abs(values[clear]))])
        said = amount(exact[k], half_widths[k], signed=True, measured=bool(read[k]))
        alt += f" Strongest of those told from zero: {names[k]}, {said} ({unit})."
    alt += f" {len(clear)} of {len(names)} can be told from zero."
    if len(shown) <= _TOLD:
        told = (f"{names[k]} {amount(exact[k], half_widths[k], signed=True, measured=bool(read[k]))}" for k in shown)
        alt += f" {'; '.join(told)}."

    def table() -> pd.DataFrame:
        found = {
            "task": [names[k] for k in shown],
            f"effect ({unit})": shown_values,
            "±": np.where(whiskers > 0, whiskers, np.nan),
            "verdict": [
                effect_verdict(verdict, value, higher_is_better)
                for verdict, value in zip(shown_verdicts, shown_values, strict=True)
            ],
        }
        return pd.DataFrame(found if truth is None else {**found, "truth": truth[shown]})

    return Chart(chart, alt, table)


def drawn_bars(values: NDArray[np.float64], verdicts: Verdicts, tasks: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the tasks that are drawn where these are too many: clear ones first, by size, in the order given."""
    by_size = rising(-np.abs(values))
    clear = verdicts[by_size] == Verdict.CLEAR
    wanted = set(tasks.tolist())
    first = [k for k in (*by_size[clear].tolist(), *by_size[~clear].tolist()) if k in wanted][:MOST_BARS]
    drawn = set(first)
    return np.array([k for k in tasks if k in drawn], dtype=np.intp)


def _which(shown: int, count: int, cut: bool) -> str:
    return (
        f", the {shown} strongest of those asked for drawn"
        if cut
        else f", {shown} of them drawn"
        if shown < count
        else ""
    )
