"""Two of the compared methods side by side on one range of colours, with their difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.shell import controls, frame, session, spoken
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.charts.methods import two_methods
from kernelsm.runtime.near_ties import rising, tolerance_of
from kernelsm.surrogates.reading import MEAN_TARGET


def side_by_side(run: Run, result: dict[str, Any]) -> None:
    """Draw the choice of two methods, their effects and the difference."""
    effects: dict[str, Any] = result["effects"]
    if len(effects) < 2:
        return
    st.header("Two methods side by side")
    titles = {name: result["methods"][name]["title"] for name in result["methods"]}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        first, second = controls.beside_pickers(titles)
        controls.target_picker(run)
        scaled = controls.scaled_toggle()
    target = session.view().target if session.view().target in run.outcomes.target_names else ""
    pair = _column(run, effects[first], target, scaled), _column(run, effects[second], target, scaled)
    order = rising(-np.abs(pair[0]), tolerance=tolerance_of(pair[0]))
    tasks = [run.outcomes.task_names[k] for k in order]
    unit = "share of the strongest" if scaled else run.unit
    chart = two_methods(
        tasks, (titles[first], titles[second]), (pair[0][order], pair[1][order]), unit=unit,
        higher_is_better=run.outcomes.higher_is_better, dark=frame.is_dark(),
    )  # fmt: skip
    frame.show(chart, "compare_pair")
    spoken.say(plain(chart.alt), "compare")
    st.caption(f"Effects on {plain(target or MEAN_TARGET)}: blue helps, orange hurts. {plain(chart.alt)}")
    with st.expander("Table"):
        rows = pd.DataFrame({"task": tasks, titles[first]: pair[0][order]})
        rows[titles[second] if second != first else f"{titles[second]} (second)"] = pair[1][order]
        rows["difference"] = (pair[0] - pair[1])[order]
        show_table(rows, hide_index=True, key="compare_pair_table", alt=chart.alt)


def _column(run: Run, effects: list[list[float]], target: str, scaled: bool) -> NDArray[np.float64]:
    """Effects on one target, or on the mean over targets, shape (K,)."""
    table = np.asarray(effects, dtype=np.float64)
    if target:
        found = table[:, run.outcomes.target_names.index(target)]
    else:
        found = np.average(table, axis=1, weights=run.outcomes.target_weights)
    largest = float(np.abs(found).max(initial=0.0))
    return np.asarray(found / largest) if scaled and largest > 0 else np.asarray(found)
