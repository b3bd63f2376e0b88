"""Prompts checked with the real model: predicted beside measured loss, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kernelsm.charts.style import BLUE, ORANGE, PLAIN_TICKS, Chart, figure, ink, name_axis, safe
from kernelsm.surrogates.wording import number, ranged


@dataclass(frozen=True)
class CheckedPrompt:
    """A prompt's predicted loss with the ends of its 90% interval, and what was measured.

    `measured_margin` is half of the interval of that, NaN where not known, and `accuracy` the share of right answers.
    """

    name: str
    predicted: float
    low: float
    high: float
    measured: float
    measured_margin: float
    accuracy: float


def checked_prompts(prompts: Sequence[CheckedPrompt], *, unit: str = "loss, nats", dark: bool = False) -> Chart:
    """Draw measured (filled) and predicted (open) loss of each prompt with their intervals; lower is better.

    Parameters
    ----------
    prompts : sequence of CheckedPrompt
        From top to bottom.
    unit : str
        For the axis.
    dark : bool
        Whether the page is dark.
    """
    rows = np.arange(len(prompts), dtype=float)
    data = []
    for kind, shift, symbol in (("predicted", -0.14, "circle-open"), ("measured", 0.14, "circle")):
        values = np.array([prompt.predicted if kind == "predicted" else prompt.measured for prompt in prompts])
        reach = np.array(
            [
                (prompt.predicted - prompt.low, prompt.high - prompt.predicted)
                if kind == "predicted"
                else (prompt.measured_margin, prompt.measured_margin)
                for prompt in prompts
            ]
        )  # to the left and to the right
        colour = ORANGE if kind == "predicted" else BLUE
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": kind, "x": values, "y": rows + shift,
                "marker": {"symbol": symbol, "size": 10, "color": colour},
                "error_x": {
                    "array": np.nan_to_num(reach[:, 1]), "arrayminus": np.nan_to_num(reach[:, 0]), "symmetric": False,
                    "color": ink(dark), "thickness": 1.5, "width": 3,
                },
                "hovertext": [
                    f"{safe(prompt.name, 60)}, {kind}: {ranged(value, value - below, value + above)}"
                    f"{f', right on {prompt.accuracy:.0%}' if kind == 'measured' else ''}"
                    for prompt, value, (below, above) in zip(prompts, values, reach, strict=True)
                ],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )  # fmt: skip
    drawn = figure(
        data, 90 + 44 * len(prompts), dark=dark, xaxis={"title": {"text": unit}, "zeroline": False, **PLAIN_TICKS},
        yaxis=name_axis(
            [f"{safe(prompt.name)} · {prompt.accuracy:.0%} right" for prompt in prompts], np.arange(len(prompts)),
            autorange="reversed",
        ),
        showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    listed = "; ".join(
        f"{prompt.name}: predicted {number(prompt.predicted)}, measured {number(prompt.measured)}"
        for prompt in prompts
    )
    return Chart(
        drawn, f"Predicted and measured loss of {len(prompts)} prompts, lower is better. {listed}.",
        lambda: pd.DataFrame(
            [
                (each.name, each.predicted, each.low, each.high, each.measured, each.measured_margin, each.accuracy)
                for each in prompts
            ],
            columns=[
                "prompt", f"predicted ({unit})", "from", "to", f"measured ({unit})", "± of measured", "share right",
            ],
        ),
    )  # fmt: skip
