"""The part of the Explore page that shows each task: bars, and of many tasks a search and a table of all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.explore.effects import Exploration
from kernelsm.app.shell import findings, frame
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.charts.attribution import MOST_BARS, attribution_bars
from kernelsm.export.csv_text import csv_text
from kernelsm.outcomes.names import natural_order
from kernelsm.surrogates.results import without_rounding
from kernelsm.surrogates.wording import Verdict, effect_verdict

FIND_KEY, TABLE_KEY = "explore_find", "explore_table"
_ROWS_HIGH = 420  # pixels


def bars(exploration: Exploration) -> None:
    """Draw the attribution of each task; of more than can be drawn, those that are looked for."""
    readout, names = exploration.readout, exploration.names
    st.header("What each task does")
    st.markdown(findings.tasks_headline(readout))
    shown = exploration.order
    if len(names) > MOST_BARS:
        shown = _looked_for(names, shown)
        if not len(shown):
            st.info("No task has this in its name.", icon=":material/search_off:")
            return
        if len(shown) > MOST_BARS:
            st.caption(
                f"Drawn are the {MOST_BARS} strongest of {len(shown):,} tasks, those told from zero first. The table "
                "below has all."
            )
    truth = exploration.game.attribution() if exploration.game else None
    chart = attribution_bars(
        readout.attribution.values[:, 0], names, unit=exploration.run.unit,
        higher_is_better=exploration.higher_is_better, order=shown, margin=readout.attribution.margin()[:, 0],
        verdicts=readout.task_verdicts, measured=readout.attribution.measured, truth=truth, dark=frame.is_dark(),
    )  # fmt: skip
    frame.show(chart, "explore_bars")
    st.caption(
        findings.tasks_caption(readout, estimated=exploration.run.estimated)
        + (" Diamonds: the true effects." if truth is not None else "")
        + _swap_note(exploration),
        help=findings.WHAT_MATTERS,
    )
    if len(names) > MOST_BARS:
        _table(exploration, shown)
        return
    with st.expander("Table of all tasks", icon=":material/table:", key=TABLE_KEY, on_change="rerun") as table:
        if table.open:  # else each change of the page would wait for it
            _table(exploration, shown)


def _looked_for(names: tuple[str, ...], order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Tasks whose names hold what was typed, in the order shown."""
    text = st.text_input(
        f"Find among {len(names):,} tasks", key=FIND_KEY, placeholder="part of a name", persist_state="session"
    )
    return np.array([k for k in order if text.strip().casefold() in names[k].casefold()], dtype=np.intp)


def _swap_note(exploration: Exploration) -> str:
    """Say what an effect means with subsets of one size, where adding a task removes another one."""
    size = exploration.run.fixed_size if exploration.kind == "inclusion" else None
    return f" Each subset holds {size} tasks: one that is in takes the place of another." if size else ""


def _table(exploration: Exploration, shown: NDArray[np.intp]) -> None:
    """Draw the tasks shown as a table, in their order, and offer all of them as a file."""
    table = task_table(exploration)
    show_table(
        table.iloc[shown][["task", "effect", "±", "verdict"]], margins={"effect": "±"}, hide_index=True,
        placeholder="",
        height=_ROWS_HIGH if len(shown) > 10 else "content", alt=f"The effects of {len(shown)} tasks",
        column_config={
            "effect": st.column_config.NumberColumn(exploration.run.unit, width=90),
            "±": st.column_config.NumberColumn(width=70, help="Half of the 90% interval"),
        },
    )  # fmt: skip
    st.download_button(
        "Download all tasks (CSV)", csv_text(table.iloc[natural_order(exploration.names)]).encode(),
        "effects.csv", "text/csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def task_table(exploration: Exploration) -> pd.DataFrame:
    """Return one row per task: its effect, half of its interval (none where it is exact), and what is said of it."""
    effects, better = exploration.readout.attribution, exploration.higher_is_better
    margin = effects.margin()[:, 0]
    values = without_rounding(effects.values[:, 0], margin)
    measured = np.zeros(len(values), dtype=bool) if effects.measured is None else effects.measured
    verdicts = [
        effect_verdict(Verdict(code), float(value), better) + (", measured" if read else "")
        for code, value, read in zip(exploration.readout.task_verdicts, values, measured, strict=True)
    ]
    return pd.DataFrame(
        {
            "task": exploration.names,
            "effect": values,
            "±": np.where(np.isfinite(margin) & (margin > 0), margin, np.nan),
            "verdict": verdicts,
            "measured": measured,
        }
    )
