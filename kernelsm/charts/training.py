"""The training curve of the base model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kernelsm.charts.style import BLUE, ORANGE, PLAIN_TICKS, Chart, figure


def training_curve(rows: Sequence[dict[str, Any]], *, unit: str = "nats", dark: bool = False) -> Chart:
    """Draw the loss of each epoch, on the samples trained on and on those held out.

    Parameters
    ----------
    rows : sequence of dict
        `epoch`, `train_loss` and `validation_loss` (None where no samples were held out).
    unit : str
        Of the losses.
    dark : bool
        Whether the page is dark.
    """
    epochs, trained = [row["epoch"] for row in rows], [row["train_loss"] for row in rows]
    data = [_line("trained on", BLUE, epochs, trained)]
    alt = f"Training loss over {len(rows)} epochs, from {trained[0]:.3g} to {trained[-1]:.3g} {unit}."
    if rows[0]["validation_loss"] is not None:
        held_out = [row["validation_loss"] for row in rows]
        low = min(range(len(rows)), key=held_out.__getitem__)
        data.append(_line("held out", ORANGE, epochs, held_out))
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": "kept", "x": [epochs[low]], "y": [held_out[low]],
                "marker": {"size": 10, "color": ORANGE}, "hovertemplate": "kept: epoch %{x}, %{y:.3g}<extra></extra>",
            }
        )  # fmt: skip
        alt += f" Held-out loss is lowest, {held_out[low]:.3g}, after epoch {epochs[low]}: its weights are kept."
    chart = figure(
        data, 300, dark=dark, showlegend=True, legend={"orientation": "h", "y": 1.12},
        xaxis={"title": {"text": "epoch"}},
        yaxis={"title": {"text": f"loss, {unit}"}, "rangemode": "tozero", **PLAIN_TICKS},
    )  # fmt: skip
    return Chart(
        chart, alt, lambda: pd.DataFrame(rows)[["epoch", "train_loss", "validation_loss"]].dropna(axis=1, how="all")
    )


def _line(name: str, colour: str, epochs: list[int], losses: list[float]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": epochs, "y": losses,
        "line": {"color": colour, "width": 2}, "hovertemplate": f"{name}: epoch %{{x}}, %{{y:.3g}}<extra></extra>",
    }  # fmt: skip
