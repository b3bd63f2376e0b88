"""What leaving tasks out was predicted to change, above what retraining measured, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kernelsm.charts.style import NEUTRAL, Chart, effect_colours, figure, ink, name_axis, safe
from kernelsm.surrogates.wording import amount

_DOT_SHIFT = 0.22  # below the interval that they belong to
_ROOM = 0.2


@dataclass(frozen=True)
class ChangeRow:
    """One change of the outcome.

    Parameters
    ----------
    label : str
        How it is known.
    change, margin : float
        In the outcome's unit; half its 90 % interval, NaN where there is none.
    by_seed : sequence of float
        The change of every seed; empty for a prediction.
    """

    label: str
    change: float
    margin: float
    by_seed: Sequence[float] = ()

    @property
    def is_measured(self) -> bool:
        """Whether it was measured, not predicted."""
        return len(self.by_seed) > 0


def confirmation_chart(
    rows: Sequence[ChangeRow], *, unit: str = "loss, nats", higher_is_better: bool = False, dark: bool = False
) -> Chart:
    """Draw changes with their intervals on one scale; predictions are diamonds, measurements have a dot a seed.

    Parameters
    ----------
    rows : sequence of ChangeRow
        From top to bottom.
    unit : str
        Unit of the changes, for the axis.
    higher_is_better : bool
        Decides which sign is better.
    dark : bool
        Whether the page is dark.
    """
    heights, changes = np.arange(len(rows)), np.array([row.change for row in rows])
    margins = np.nan_to_num(np.array([row.margin for row in rows]), nan=0.0, posinf=0.0)
    # without tasks minus with all: better is what helps
    colours = [
        colour if row.is_measured else NEUTRAL
        for colour, row in zip(effect_colours(changes, higher_is_better), rows, strict=True)
    ]
    words = [
        f"{safe(row.label, 60)}: {amount(float(change), float(margin) or None)}"
        for row, change, margin in zip(rows, changes, margins, strict=True)
    ]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "markers", "x": changes, "y": heights, "hovertext": words,
            "hovertemplate": "%{hovertext}<extra></extra>",
            "marker": {
                "size": 11, "color": colours,
                "symbol": ["circle" if row.is_measured else "diamond" for row in rows],
            },
            "error_x": {"array": margins, "color": ink(dark), "thickness": 1.5, "width": 5},
        }
    ]  # fmt: skip
    seeds = [(value, height + _DOT_SHIFT, number)
             for height, row in enumerate(rows) for number, value in enumerate(row.by_seed)
             if len(row.by_seed) > 1]  # fmt: skip
    if seeds:
        data.append(
            {
                "type": "scatter", "mode": "markers", "x": [seed[0] for seed in seeds],
                "y": [seed[1] for seed in seeds], "marker": {"size": 5, "color": NEUTRAL, "opacity": 0.7},
                "hovertext": [f"seed {seed[2]}: {seed[0]:+.4g}" for seed in seeds],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )  # fmt: skip
    ends = np.concatenate([[0.0], changes - margins, changes + margins, *(np.array(row.by_seed) for row in rows)])
    low, high = float(ends.min()), float(ends.max())
    room = _ROOM * ((high - low) or 1.0)  # for the words on both sides of zero
    sides = ("← worse", "better →") if higher_is_better else ("← better", "worse →")
    chart = figure(
        data, 90 + 52 * len(rows), dark=dark, margin={"l": 8, "r": 24, "t": 28, "b": 8},
        xaxis={
            "title": {"text": f"F(without these) - F(all), {safe(unit, 60)}"}, "zeroline": True, "automargin": True,
            "range": [low - room, high + room],
        },
        yaxis=name_axis([safe(row.label, 44) for row in rows], heights, range=[len(rows) - 0.4, -0.6]),
        annotations=[
            {
                "text": text, "x": 0, "y": 1, "xref": "x", "yref": "paper", "xanchor": anchor, "yanchor": "bottom",
                "xshift": shift, "showarrow": False,
            }
            for text, anchor, shift in zip(sides, ("right", "left"), (-8, 8), strict=True)
        ],
    )  # fmt: skip
    listed = "; ".join(
        f"{row.label} {amount(row.change, row.margin if np.isfinite(row.margin) else None)}" for row in rows
    )

    def table() -> pd.DataFrame:
        seeds = max(len(row.by_seed) for row in rows)
        by_seed = [[*row.by_seed, *[np.nan] * (seeds - len(row.by_seed))] for row in rows]
        return pd.DataFrame(
            {
                "of": [row.label for row in rows], f"change ({unit})": changes, "±": [row.margin for row in rows],
                **{f"seed {i}": [values[i] for values in by_seed] for i in range(seeds)},
            }
        )  # fmt: skip

    return Chart(chart, f"Change of the outcome without the tasks left out ({unit}). {listed}.", table)
