"""Read the indices that a click on a chart's invisible markers selects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def clicked_indices(selection: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the two numbers in the `customdata` of a selected point, or None for an empty or foreign selection."""
    points = selection.get("points")
    if not isinstance(points, Sequence) or not points:
        return None
    data = points[0].get("customdata")
    values = list(data.values()) if isinstance(data, Mapping) else list(data or [])
    return (int(values[0]), int(values[1])) if len(values) >= 2 else None
