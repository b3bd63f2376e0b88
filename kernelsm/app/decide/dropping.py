"""Decide: which tasks are worth dropping by the surrogate, and what each does where the others are as chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.decide.costs import TaskCosts, task_costs
from kernelsm.app.shell import controls, frame, navigation, session, spoken
from kernelsm.app.shell.fits import fitted
from kernelsm.app.shell.open_runs import Run, open_run, target_outcomes
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.charts.attribution import attribution_bars
from kernelsm.selection.dropping import Drop, best_drop
from kernelsm.surrogates.wording import Verdict, amount, effect_verdict, number

_CURSE = (
    "The best of many predictions looks better than it is (the winner's curse): the expected change is moved towards "
    "none, and its 90% interval is wider than that of a subset that was not chosen. Both were measured on games with "
    "a known truth. Only retraining tells for sure."
)


@st.cache_resource(max_entries=16, show_spinner="Looking for the best subset of tasks ...")
def _drop(
    key: str, target: str, surrogate: tuple[str, float | None, float], costs: tuple[float, ...] | None, price: float
) -> Drop:
    outcomes = target_outcomes(open_run(key), target)
    return best_drop(outcomes, fitted(key, target, *surrogate), costs=costs, price=price)


def advice(run: Run) -> Drop | None:
    """Draw what to drop and what to expect; returns it, or None where subsets of one size cannot say."""
    st.header("Which tasks are worth dropping?")
    if run.fixed_size:
        _one_size(run)
        return None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        controls.kernel_picker()
        controls.target_picker(run)
        controls.used_slider(run, width=260)
    left, right = frame.panels()
    with right:
        costs = task_costs(run)
    view = session.view()
    drop = _drop(run.fits, view.target, view.surrogate, costs.costs, costs.price)
    with left:
        _sentence(run, drop, costs)
    _effects(run, drop, costs)
    return drop


def _sentence(run: Run, drop: Drop, costs: TaskCosts) -> None:
    names = tuple(f"**{plain(name)}**" for name in drop.task_names)
    unit = str(run.outcomes.meta.get("unit") or "")[:24]
    st.markdown(drop.sentence(plain(unit), names))
    spoken.say(drop.sentence(plain(unit), names), "decide")
    if drop.tasks:
        if drop.price:
            worth = drop.price * drop.saved
            st.markdown(
                f"The saved cost of {drop.saved:,.6g}{f' {costs.unit}' if costs.unit else ''} is worth {worth:.3g}: "
                f"together a gain of {amount(drop.gain, drop.margin)}."
            )
        measured = measured_change(run, drop)
        both = (
            ""
            if measured is None
            else f" Both subsets were measured; their outcomes differ by {number(measured, signed=True)}."
        )
        st.caption(f"Predicted with all tasks: {number(drop.all_tasks, digits=4)}.{both}")
        if not drop.is_worth_it and drop.gain > 0:
            st.caption(
                "To settle it, retrain below with and without, or measure more subsets that lack few tasks (Next "
                "best on Subsets)."
            )
        st.caption(_CURSE)


def measured_change(run: Run, drop: Drop) -> float | None:
    """Measured outcome without the tasks minus that of all, where the table holds both subsets."""
    outcomes = target_outcomes(run, session.view().target)
    rows = [(outcomes.masks == mask).all(axis=1) for mask in (drop.kept, np.ones(outcomes.K, dtype=np.bool_))]
    if not all(found.any() for found in rows):
        return None
    kept, everything = (float(outcomes.values[found, 0].mean()) for found in rows)
    return kept - everything


def _effects(run: Run, drop: Drop, costs: TaskCosts) -> None:
    """Draw the effect of every task with the others as chosen, as bars and as a table."""
    st.markdown("### What each task does where the others are as chosen")
    values, margin, verdicts = drop.effects.values[:, 0], drop.effects.margin()[:, 0], drop.effects.verdicts()
    order = drop.effects.strongest(len(values))
    dropped = set(drop.tasks) if drop.is_worth_it else set()
    bars, table = frame.panels()
    with bars:
        chart = attribution_bars(
            values, tuple(f"drop: {name}" if k in dropped else name for k, name in enumerate(drop.task_names)),
            unit=run.unit, higher_is_better=drop.higher_is_better, order=order, margin=margin, verdicts=verdicts,
            measured=drop.effects.measured, dark=frame.is_dark(),
        )  # fmt: skip
        frame.show(chart, "decide_bars")
    with table:
        rows = pd.DataFrame(
            {
                "task": drop.task_names,
                "advice": ["drop" if k in dropped else "keep" for k in range(len(drop.task_names))],
                "effect": values, "±": np.where(margin > 0, margin, np.nan),
                "verdict": [
                    effect_verdict(Verdict(code), float(value), drop.higher_is_better)
                    for code, value in zip(verdicts, values, strict=True)
                ],
            }
        )  # fmt: skip
        if costs.costs is not None:
            rows["cost"] = costs.costs
        show_table(
            rows.iloc[order], hide_index=True, height=420, key="decide_table", margins={"effect": "±"},
            column_config={
                "effect": st.column_config.NumberColumn(run.unit, help="F(with) - F(without)"),
                "±": st.column_config.NumberColumn("±", help="Half of the 90% interval"),
            },
            alt=f"Effect of each of {len(rows)} tasks with the others as chosen, and whether to drop it",
        )  # fmt: skip
        st.caption(
            "Tasks are dropped that surely cost more than they give, each by itself; where no single one does, the "
            "fewest that do together. What has no effect stays, unless it has a price."
        )


def _one_size(run: Run) -> None:
    """Say why nothing can be said of smaller subsets."""
    st.info(
        f"Every subset measured holds {run.fixed_size} of {run.outcomes.K} tasks: what fewer would do was never "
        "measured.",
        icon=":material/info:",
    )
    if run.prompts:
        st.page_link(
            navigation.DEMONSTRATIONS, label="Choose which demonstrations to take on Demonstrations",
            icon=":material/format_list_numbered:",
        )  # fmt: skip
    else:
        st.page_link(
            navigation.SUBSETS, label="Draw subsets of several sizes (Bernoulli) on Subsets",
            icon=":material/grid_on:",
        )  # fmt: skip
