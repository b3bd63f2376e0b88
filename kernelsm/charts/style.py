"""What all charts share: colours, the size of text, the Chart value, safe names, and what a click means."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from kernelsm.surrogates.wording import effect_word

# blue and orange stay apart for every common kind of colour blindness; red and green do not
BLUE, ORANGE = "#2a78c8", "#dd7a1f"
NEUTRAL = "#8a94a3"
PLAIN_TICKS = {"tickformat": "~g"}
"""For axes of outcomes and effects: 0.00002, which Plotly would write as 20μ."""
TEXT_SIZE = 14
"""Pixels of all text in charts: a room reads it off a projector."""


@dataclass(frozen=True)
class Chart:
    """A figure, and what it shows for those who cannot see it.

    Parameters
    ----------
    figure : Figure
    alt : str
        A sentence or two with the numbers that matter.
    table : callable
        Returns all numbers drawn, one row each; made when it is asked for.
    """

    figure: go.Figure
    alt: str
    table: Callable[[], pd.DataFrame]


def ink(dark: bool) -> str:
    """Colour of what must be read on every bar, as dark or light as the page's text."""
    return "#e6eaf0" if dark else "#1c2430"


def safe(name: str, limit: int = 34) -> str:
    """Return a name that Plotly shows as it is: its pseudo-HTML escaped, and cut where it is long."""
    return html.escape(name if len(name) <= limit else name[: limit - 1] + "…", quote=False)


def effect_colours(values: NDArray[np.float64], higher_is_better: bool) -> list[str]:
    """Blue where a value helps, orange where it hurts, grey where it does nothing."""
    colours = {"helps": BLUE, "hurts": ORANGE, "no effect": NEUTRAL}
    return [colours[effect_word(value, higher_is_better)] for value in values]


def pale(colour: str) -> str:
    """A third of a colour: of what cannot be told from zero."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.35)"


def diverging_scale(dark: bool, higher_is_better: bool) -> list[tuple[float, str]]:
    """Colour scale of signed values with zero in the page's own neutral tone; blue is the helping side."""
    middle = "#262d37" if dark else "#f3f4f6"
    low = ["#8cc4ff", "#3d8fe0"] if dark else ["#0f4c8f", "#4f97dc"]
    high = ["#ef9a4a", "#ffd0a0"] if dark else ["#ec9a4c", "#a94e05"]
    scale = [(0.0, low[0]), (0.25, low[1]), (0.5, middle), (0.75, high[0]), (1.0, high[1])]
    return [(1 - position, colour) for position, colour in reversed(scale)] if higher_is_better else scale


def symmetric_limit(values: NDArray[np.float64]) -> float:
    """Largest magnitude, or 1 where everything is zero: the range of a signed colour scale."""
    largest = float(np.abs(values).max(initial=0.0))
    return largest if largest > 0 else 1.0


def figure(data: list[dict[str, Any]], height: int, *, dark: bool = False, **layout: Any) -> go.Figure:
    """Build a figure in one call: each later update costs milliseconds, a slider redraws all of it.

    All text has one size and the colour of the page's text; what a chart says of a font of its own goes first.
    """
    text = {"size": TEXT_SIZE, "color": ink(dark)}
    shared = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
        "showlegend": False,
        "font": text,
        "hoverlabel": {"namelength": -1, "font": {"size": TEXT_SIZE}},
        "dragmode": False,
    }
    for name, part in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            # Streamlit's own fonts of axes are smaller and paler than those of the rest
            layout[name] = {"fixedrange": True, **part, **_fonts(part, text)}
        elif name == "legend":
            layout[name] = {**part, "font": {**text, **part.get("font", {})}}
    for trace in data:
        if bar := trace.get("colorbar"):
            trace["colorbar"] = {**bar, **_fonts(bar, text)}
    return go.Figure(data=data, layout={**shared, **layout})


def _fonts(part: Mapping[str, Any], text: dict[str, Any]) -> dict[str, Any]:
    """Fonts of the ticks and the title of an axis or a colour bar."""
    title = part.get("title", {})
    return {
        "tickfont": {**text, **part.get("tickfont", {})},
        "title": {**title, "font": {**text, **title.get("font", {})}},
    }


def name_axis(labels: list[str], positions: NDArray[np.intp], **more: Any) -> dict[str, Any]:
    """Axis with task names as tick labels."""
    return {
        "tickmode": "array",
        "tickvals": positions,
        "ticktext": labels,
        "showgrid": False,
        "automargin": True,
        **more,
    }


def clicked_indices(selection: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the two numbers in the `customdata` of a selected point, or None for an empty or foreign selection."""
    points = selection.get("points")
    if not isinstance(points, Sequence) or not points:
        return None
    data = points[0].get("customdata")
    values = list(data.values()) if isinstance(data, Mapping) else list(data or [])
    return (int(values[0]), int(values[1])) if len(values) >= 2 else None
