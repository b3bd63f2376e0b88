"""What keeping a task costs, and what that is worth: nothing, its samples, or numbers typed in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.shell import controls, session
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.shown_tables import edit_table
from kernelsm.app.shell.weighing import tasks_of
from kernelsm.app.shell.words import plain
from kernelsm.examples.catalog import RECIPES
from kernelsm.runtime.errors import InputError
from kernelsm.workspace.projects import find_recipe

_KIND, _OWN = "decide_cost_kind", "decide_costs"
_NAMES = {"": "Nothing", "samples": "Its samples", "own": "My numbers"}


@dataclass(frozen=True)
class TaskCosts:
    """Cost of each task, in its unit, and the price of a unit in the outcome's."""

    costs: tuple[float, ...] | None
    price: float
    unit: str


def task_costs(run: Run) -> TaskCosts:
    """Draw the controls and return what was chosen."""
    sizes = task_sizes(run)
    offered = [kind for kind in _NAMES if kind != "samples" or sizes]
    view = session.view()
    own = st.session_state.get(_OWN) == run.key
    shown = "samples" if view.cost == "samples" and sizes else "own" if own else ""
    st.segmented_control(
        "What does keeping a task cost?", offered, default=shown, format_func=_NAMES.__getitem__, required=True,
        key=f"{_KIND}_{run.key}", on_change=_take_kind, args=(run.key,),
        help="Labels that have to be bought, licences, time to train. With a price, a task is dropped where it helps "
        "by less than it costs.",
    )  # fmt: skip
    if not shown:
        return TaskCosts(None, 0.0, "")
    unit = "sample" if shown == "samples" else "unit of cost"
    measured_in = str(run.outcomes.meta.get("unit") or run.word)
    controls.price_input(f"Price of one {unit}, in {plain(measured_in[:24])}")
    if shown == "samples":
        assert sizes is not None
        return TaskCosts(tuple(float(size) for size in sizes), view.price, "samples")
    return TaskCosts(_typed(run), view.price, "")


def _typed(run: Run) -> tuple[float, ...]:
    """Costs that the user types into a table; those of before where one is missing."""
    frame = pd.DataFrame({"task": run.outcomes.task_names, "cost": np.ones(run.outcomes.K)})
    edited = edit_table(
        frame, hide_index=True, disabled=["task"], key=f"{_OWN}_{run.key}", height=min(300, 40 + 35 * len(frame)),
        column_config={"cost": st.column_config.NumberColumn(min_value=0.0, required=True, width=90)},
        alt="Cost of keeping each task",
    )  # fmt: skip
    found = pd.to_numeric(edited["cost"], errors="coerce").to_numpy(dtype=float)
    return tuple(np.where(np.isfinite(found) & (found >= 0), found, 1.0).tolist())


def _take_kind(run: str) -> None:
    kind = st.session_state[f"{_KIND}_{run}"]
    st.session_state[_OWN] = run if kind == "own" else ""
    session.update(cost="samples" if kind == "samples" else "", price=session.view().price if kind else 0.0)


@st.cache_data(max_entries=32, show_spinner=False)
def _suite_sizes(source: str) -> tuple[int, ...] | None:
    """Training samples of each task of a source; None where counting them takes a while."""
    recipe = find_recipe(source)
    if source in RECIPES and recipe.rates.inputs:
        return None
    return recipe.suite().tasks.sizes


def task_sizes(run: Run) -> tuple[int, ...] | None:
    """Training samples of each task of a run, where they are known."""
    if groups := tasks_of(run.outcomes):
        return groups.sizes
    try:
        return _suite_sizes(run.source) if run.source else None
    except InputError:  # a project whose samples are damaged: its jobs report that
        return None
