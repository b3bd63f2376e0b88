"""Where the marks of a chart lie, as plain numbers: what a script in the browser needs to move them by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

_DIGITS = 5
_STYLES = ("mode", "marker", "line", "xaxis", "yaxis")


def places(values: ArrayLike) -> list[float | None]:
    """Return numbers to five significant digits of the largest, with None for those that are not known.

    Parameters
    ----------
    values : array-like, shape (n,)

    Returns
    -------
    list of float or None
        Each off by at most 5e-6 of the largest magnitude: a fiftieth of a pixel on the widest screen.

    Examples
    --------
    >>> from kernelsm.charts.marks import places
    >>> places([1.23456789, float("nan"), 0.5])
    [1.23457, None, 0.5]
    """
    found: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    known = np.isfinite(found)
    largest = float(np.abs(found[known]).max(initial=0.0))
    decimals = _DIGITS - int(np.floor(np.log10(largest))) if largest > 0 else 0
    rounded = np.round(found, decimals).tolist()
    return [value if there else None for value, there in zip(rounded, known.tolist(), strict=True)]


def marks_of(figure: go.Figure) -> list[dict[str, Any]]:
    """Return the scatter traces of a figure: their places, error bars and looks, without what the pointer shows.

    Examples
    --------
    >>> import plotly.graph_objects as go
    >>> from kernelsm.charts.marks import marks_of
    >>> trace = {"type": "scatter", "x": [1, 2], "y": [3.0, 4.0], "mode": "lines", "hovertext": ["a", "b"]}
    >>> marks_of(go.Figure([trace]))
    [{'x': [1.0, 2.0], 'y': [3.0, 4.0], 'mode': 'lines'}]
    """
    found = []
    for trace in figure.data:
        described = trace.to_plotly_json()
        if described["type"] != "scatter":
            continue
        mark: dict[str, Any] = {letter: places(described[letter]) for letter in ("x", "y")}
        mark |= {name: described[name] for name in _STYLES if name in described}
        for name in ("error_x", "error_y"):
            if name in described:
                mark[name] = {**described[name], "array": places(described[name]["array"])}
        found.append(mark)
    return found
