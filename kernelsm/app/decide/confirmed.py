"""Decide: what retraining measured beside what is predicted, and the list of all that was confirmed."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.shell import frame, rights, session
from kernelsm.app.shell.fits import fitted
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.charts.confirmation import ChangeRow, confirmation_chart
from kernelsm.evaluation.confirmation import ANEW, FINE_TUNED, Confirmation, MeasureName, PairedChange
from kernelsm.examples.catalog import EXAMPLES
from kernelsm.runtime.errors import InputError
from kernelsm.selection.dropping import Drop
from kernelsm.surrogates.results import interval_quantile
from kernelsm.surrogates.wording import amount, number
from kernelsm.workspace.confirmations import CONFIRMATIONS, confirmations_of
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES, source_of

WAY_NAMES = {FINE_TUNED: "Fine-tuned from W0", ANEW: "Trained anew"}
_LAST = "decide_confirmed_last"
_MOST_LISTED = 12


def shown_last(key: str) -> None:
    """Show this one first when the results are drawn, unless the user asked for another."""
    st.session_state[_LAST] = key


def results(run: Run, drop: Drop | None) -> None:
    """Draw one confirmation in full, and list the others of the same data."""
    # of all that were made of this data here: this session's own, and what links showed it
    found = {
        key: one for key, one in (confirmations_of(run.computed_from) if run.computed_from else {}).items()
        if key in session.titles(CONFIRMATIONS) or rights.owns(CONFIRMATIONS, key)
    }  # fmt: skip
    chosen = session.view().confirmed
    if chosen and chosen not in found:
        try:
            found = {chosen: CONFIRMATIONS.load(chosen), **found}
        except InputError as error:
            st.info(plain(str(error)), icon=":material/info:")
    if not found:
        return
    last = st.session_state.get(_LAST)
    first = chosen if chosen in found else last if last in found else next(iter(found))
    st.header("Retrained so far")
    with st.container(border=True):
        _in_full(run, first, found[first], drop)
    others = [key for key in found if key != first][:_MOST_LISTED]
    for key in others:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            title = session.titles(CONFIRMATIONS).get(key, found[key].title)
            st.markdown(f"{plain(title)} · {_in_short(found[key])}")
            st.button("Show", key=f"confirmed_show_{key}", on_click=session.update, kwargs={"confirmed": key})
    st.caption(
        "Kept on this server and found again with the same data in this browser; Data & model lists those of this "
        "visit, to rename, delete, or take along in a session file."
    )


def open_confirmed(key: str) -> None:
    """Turn to a confirmation and, where it is here, to a run of its data; call it in callbacks."""
    source = CONFIRMATIONS.load(key).source if CONFIRMATIONS.opens(key) else ""
    runs = [source] if source in EXAMPLES else [
        run for run in reversed(session.titles(TABLES)) if TABLES.opens(run) and source_of(TABLES.load(run)) == source
    ]  # fmt: skip
    if runs:
        session.look_at(runs[0])
    session.open_kept(CONFIRMATIONS, key)


def _in_full(run: Run, key: str, found: Confirmation, drop: Drop | None) -> None:
    """Draw a confirmation: verdicts, chart, and all measures as a table."""
    names = ", ".join(f"**{plain(found.task_names[k])}**" for k in found.left_out)
    st.markdown(f"Without {names}")
    same = found.source == run.computed_from and found.task_names == run.outcomes.task_names
    target = session.view().target if same and session.view().target in found.target_names else ""
    loss = _measure_of(found, run.word if same else "")
    measured = {way: found.change(way, loss.name, target) for way in found.values}
    rows = []
    if same and loss.higher_is_better == run.outcomes.higher_is_better and loss.name in (run.word, "loss"):
        change, margin = _predicted(run, found, drop)
        rows.append(ChangeRow("Predicted", change, margin))
    for way, one in measured.items():
        rows.append(ChangeRow(f"{WAY_NAMES[way]}, {_seeds(found)}", one.mean, one.margin, one.by_seed))
    left, right = frame.panels()
    with left:
        for way, one in measured.items():
            st.markdown(verdict(WAY_NAMES[way], one, loss.name, loss.unit, loss.higher_is_better))
        if rows and not rows[0].is_measured and FINE_TUNED in measured:
            st.markdown(agreement(rows[0], measured[FINE_TUNED]))
        if not same:
            st.caption(f"Of other data than the run shown: {_source_title(found.source)}.")
        elif target:
            st.caption(f"On the target {plain(target)}.")
    with right:
        chart = confirmation_chart(
            rows, unit=f"{loss.name}, {loss.unit}", higher_is_better=loss.higher_is_better, dark=frame.is_dark()
        )
        frame.show(chart, f"confirmed_{key}", toolbar=False)
    table = _table(found, target)
    show_table(table, hide_index=True, key=f"confirmed_table_{key}", alt="All measures with all tasks and without")
    many = "several" if len(found.seeds) > 1 else "one"
    st.caption(
        f"Means over {_seeds(found)}; ± is half of the 90% interval, paired by seed. Fine-tuned with a pull of "
        f"{found.ridge:g} towards W0, the weights of the trained network." if many == "several" else
        f"One training each: no interval. Fine-tuned with a pull of {found.ridge:g} towards W0, the weights of the "
        "trained network."
    )  # fmt: skip


def _measure_of(found: Confirmation, word: str) -> MeasureName:
    """The measure that a run's outcomes are, where it was taken; else the loss."""
    return next((one for one in found.measures if one.name == word), found.measures[0])


def verdict(way: str, change: PairedChange, measure: str, unit: str, higher_is_better: bool) -> str:
    """Say whether leaving the tasks out really pays."""
    side = "lower" if change.mean < 0 else "higher"
    size = amount(abs(change.mean), None if math.isnan(change.margin) else change.margin)
    means = f"{number(change.with_all, digits=4)} → {number(change.without, digits=4)}"
    told = f"the {plain(measure)} is {side} by {size} {plain(unit)}, {means}"
    if math.isnan(change.margin):
        word = "Measured"
    elif not abs(change.mean) > change.margin:
        return f"{way}: **not settled**. Without them {told}: it cannot be told from no change. More seeds narrow it."
    else:
        better = (change.mean > 0) == higher_is_better
        word = "Confirmed" if better else "Refuted"
    return f"{way}: **{word.lower()}**. Without them {told}."


def agreement(predicted: ChangeRow, measured: PairedChange) -> str:
    """Say whether the measured change lies where it was predicted."""
    margins = [margin for margin in (predicted.margin, measured.margin) if math.isfinite(margin)]
    expected = amount(predicted.change, predicted.margin if math.isfinite(predicted.margin) else None)
    if not margins:
        return f"Predicted was a change of {expected}."
    within = abs(predicted.change - measured.mean) <= math.hypot(*margins)
    word = "agrees with" if within else "**lies beyond**"
    return f"What was measured {word} the prediction of {expected}."


def _predicted(run: Run, found: Confirmation, drop: Drop | None) -> tuple[float, float]:
    """What the surrogate of the view predicts for the same tasks, and half of its interval."""
    if drop is not None and found.left_out == drop.tasks:
        return drop.change, drop.margin
    view = session.view()
    surrogate = fitted(run.fits, view.target, *view.surrogate)
    everything = np.ones(run.outcomes.K)
    change, std = surrogate.predict_change(found.kept[None].astype(float), everything)
    return float(change.ravel()[0]), interval_quantile(surrogate.degrees_of_freedom_) * float(std.ravel()[0])


def _in_short(found: Confirmation) -> str:
    loss = found.measures[0]
    parts = []
    for way in found.values:
        one = found.change(way, loss.name)
        size = amount(abs(one.mean), None if math.isnan(one.margin) else one.margin)
        parts.append(f"{WAY_NAMES[way].lower()} {'-' if one.mean < 0 else '+'}{size}")
    return f"{plain(loss.name)}: {', '.join(parts)} ({_seeds(found)})"


def _table(found: Confirmation, target: str) -> pd.DataFrame:
    """Every measure in every way; of one target, or of the mean over targets."""
    rows = []
    for way in found.values:
        for measure in found.measures:
            one = found.change(way, measure.name, target)
            rows.append(
                {
                    "how": WAY_NAMES[way], "measure": f"{measure.name}, {measure.unit}", "all tasks": one.with_all,
                    "without": one.without, "change": one.mean, "±": one.margin,
                }
            )  # fmt: skip
    table = pd.DataFrame(rows).round(5)
    return table.drop(columns="±") if table["±"].isna().all() else table


def _seeds(found: Confirmation) -> str:
    return f"{len(found.seeds)} seeds" if len(found.seeds) > 1 else "1 seed"


def _source_title(source: str) -> str:
    if source in EXAMPLES:
        return plain(EXAMPLES[source].title)
    if rights.owns(PROJECTS, source) and PROJECTS.opens(source):
        return plain(PROJECTS.title(source))
    return "a project that is not yours, or not here any more"
