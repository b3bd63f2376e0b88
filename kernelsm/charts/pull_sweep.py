"""Which effects survive over pulls towards W0, and how near retraining each pull's estimates are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.charts.style import BLUE, NEUTRAL, ORANGE, Chart, diverging_scale, figure, name_axis, safe

Array = NDArray[np.float64]
MOST_ROWS = 40


def effects_over_pulls(
    pulls: Sequence[float],
    effects: Array,
    clear: NDArray[np.bool_],
    names: Sequence[str],
    *,
    unit: str = "loss, nats",
    higher_is_better: bool = False,
    dark: bool = False,
    usual: float | None = None,
) -> Chart:
    """Draw the effect of every task with every pull, coloured by its share of the strongest with that pull.

    A stronger pull makes all effects smaller, so colours compare tasks within a column, and signs along a row.

    Parameters
    ----------
    pulls : sequence of float
        Rising.
    effects : ndarray, shape (K, P)
        F(with) - F(without).
    clear : ndarray of bool, shape (K, P)
        Which can be told from zero; the others are not coloured, and their numbers stand in brackets.
    names : sequence of str
        Of the K tasks, in the order of the rows; more than 40 are cut.
    unit : str
        Of the effects.
    higher_is_better : bool
        Which sign helps.
    dark : bool
        Whether the page is dark.
    usual : float, optional
        A pull to mark in the axis.
    """
    shown = min(len(names), MOST_ROWS)
    largest = np.abs(effects).max(axis=0, initial=0.0)
    shares = np.where(clear, effects / np.where(largest > 0, largest, 1.0), 0.0)[:shown]
    numbers = [
        [f"{value:+.2g}" if sure else f"({value:+.2g})" for value, sure in zip(row, sure_row, strict=True)]
        for row, sure_row in zip(effects[:shown], clear[:shown], strict=True)
    ]
    labels = [safe(name) for name in names[:shown]]
    hover = [
        [f"{label}, pull {pull:g}: {value:+.3g}{'' if sure else ', not told from zero'}"
         for pull, value, sure in zip(pulls, row, sure_row, strict=True)]
        for label, row, sure_row in zip(labels, effects[:shown], clear[:shown], strict=True)
    ]  # fmt: skip
    columns, rows = np.arange(len(pulls)), np.arange(shown)
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap", "x": columns, "y": rows, "z": shares.astype(np.float32), "zmin": -1.0, "zmid": 0.0,
            "zmax": 1.0, "colorscale": diverging_scale(dark, higher_is_better), "showscale": False, "xgap": 2,
            "ygap": 2, "text": numbers, "texttemplate": "%{text}", "customdata": hover,
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    ]  # fmt: skip
    ticks = [f"{pull:g}" + (" (usual)" if pull == usual else "") for pull in pulls]
    chart = figure(
        data, 90 + 26 * shown, dark=dark,
        xaxis={
            "title": {"text": f"pull towards W0 → stronger (effects: {unit})"}, "tickmode": "array",
            "tickvals": columns, "ticktext": ticks, "side": "bottom", "showgrid": False, "automargin": True,
        },
        yaxis=name_axis(labels, rows, autorange="reversed"),
    )  # fmt: skip
    always = int(clear.all(axis=1).sum())
    cut = f", the first {shown} shown" if shown < len(names) else ""
    return Chart(
        chart,
        f"Effects of {len(names)} tasks{cut} with {len(pulls)} pulls towards W0, {pulls[0]:g} to {pulls[-1]:g}: "
        f"{always} can be told from zero with every pull.",
        lambda: pd.DataFrame(
            [
                (name, pull, effects[k, p], bool(clear[k, p]))
                for k, name in enumerate(names)
                for p, pull in enumerate(pulls)
            ],
            columns=["task", "pull", f"effect ({unit})", "told from zero"],
        ),
    )


def fidelity_over_pulls(
    pulls: Sequence[float], lds: Sequence[float], missed: Sequence[float], *, dark: bool = False
) -> Chart:
    """Draw how near retraining the estimates of each pull are.

    Parameters
    ----------
    pulls : sequence of float
        Rising; those that were checked.
    lds : sequence of float
        Mean over targets of the rank correlation of estimated and retrained outcomes: 1 is perfect.
    missed : sequence of float
        Share of the logits' change that the first order misses: 0 is perfect.
    dark : bool
        Whether the page is dark.
    """
    columns = np.arange(len(pulls))
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": columns, "y": list(values),
            "line": {"color": colour, "width": 2, "dash": dash}, "marker": {"size": 8},
            "customdata": [f"{pull:g}" for pull in pulls],
            "hovertemplate": name + ", pull %{customdata}: %{y:.3f}<extra></extra>",
        }
        for name, values, colour, dash in (
            ("LDS against retraining (1 is best)", lds, BLUE, "solid"),
            ("share of the change missed (0 is best)", missed, ORANGE, "dot"),
        )
    ]  # fmt: skip
    low = min([0.0, *lds])
    chart = figure(
        data, 300, dark=dark, showlegend=True, legend={"orientation": "h", "y": 1.2},
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        xaxis={
            "title": {"text": "pull towards W0 → stronger"}, "tickmode": "array", "tickvals": columns,
            "ticktext": [f"{pull:g}" for pull in pulls], "automargin": True,
        },
        yaxis={"range": [low - 0.05, max([1.0, *missed]) + 0.05], "zeroline": True, "zerolinecolor": NEUTRAL},
    )  # fmt: skip
    said = "; ".join(
        f"pull {pull:g}: LDS {score:.3f}, {share:.0%} missed"
        for pull, score, share in zip(pulls, lds, missed, strict=True)
    )
    return Chart(
        chart, f"Estimates against retraining with each pull towards W0. {said}.",
        lambda: pd.DataFrame({"pull": list(pulls), "LDS": list(lds), "share missed": list(missed)}),
    )  # fmt: skip
