"""Which methods are compared, the job that runs them, and how they did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.compare.side_by_side import side_by_side
from kernelsm.app.shell import rights
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.words import duration, plain
from kernelsm.attributors.catalog import METHODS
from kernelsm.pipelines.compare import CompareSettings, expected_seconds, possible_for
from kernelsm.runtime.errors import InputError

_FIRST = ("linear", "datamodels", "influence_exact", "trak")
_LOOKS_AT = {"outcomes": "the outcomes", "features": "gradients", "network": "the network"}


def compare(run: Run) -> None:
    """Draw the choice of methods with what they cost, the job, and its result."""
    source = run.key if run.example else run.source
    table = "" if run.example else run.key
    possible = [name for name in possible_for(source) if name != "default"]
    titles = {name: METHODS[name].title for name in possible}
    chosen = st.multiselect(
        "Methods beside the default surrogate", possible, default=[name for name in _FIRST if name in possible],
        format_func=titles.__getitem__, key=f"compare_methods_{run.key}", persist_state="session",
    )  # fmt: skip
    if run.source_is_not_yours:
        rights.say_not_yours("Methods that look at gradients need the samples and the network of these outcomes")
    elif not source:
        st.caption(
            "There are outcomes here and no network: methods that look at gradients need one. Bring samples and a "
            "network on *Data & model* to have them, too."
        )
    try:
        settings = CompareSettings(source, tuple(chosen), table)
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    seconds = {name: expected_seconds(name, source, run.outcomes) for name in settings.methods}
    _costs(seconds)
    spec = settings.job()
    job_panel(spec, sum(seconds.values()), "", start="Compare them", cancel="Cancel the comparison", key="compare")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _results(run, status.result)


def _costs(seconds: dict[str, float]) -> None:
    rows = pd.DataFrame(
        {
            "method": [METHODS[name].title for name in seconds],
            "looks at": [_LOOKS_AT[METHODS[name].needs] for name in seconds],
            "takes about": [duration(max(value, 1.0)) for value in seconds.values()],
        }
    )
    with st.expander(f"What they cost: {duration(max(sum(seconds.values()), 1.0))} in all when nothing is cached"):
        st.dataframe(rows, hide_index=True, key="compare_costs", alt="Expected time of every chosen method")


def _results(run: Run, result: dict[str, Any]) -> None:
    st.subheader("Who predicts best")
    st.markdown(plain(result["verdict"]))
    scores = result["methods"]
    gains = {key: [_interval(one[key]) for one in scores.values()] for key in ("lds_gain", "leave_one_out_gain")}
    rows = pd.DataFrame(
        {
            "method": [one["title"] for one in scores.values()],
            "LDS": [one["lds"] for one in scores.values()],
            "with leave-one-out": [one["leave_one_out"] for one in scores.values()],
            "top 5": [one["top5"] for one in scores.values()],
            "seconds": [np.nan if one["seconds"] is None else one["seconds"] for one in scores.values()],
            "LDS less the default's": gains["lds_gain"],
            "leave-one-out less the default's": gains["leave_one_out_gain"],
            "cannot say": [one["cannot_say"] for one in scores.values()],
        }
    )
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in ("LDS", "with leave-one-out")}
    st.dataframe(
        rows, hide_index=True, key="compare_scores",
        column_config={
            **numbers, "top 5": st.column_config.NumberColumn(format="percent"),
            "seconds": st.column_config.NumberColumn(format="%.1f"),
        },
        alt=f"Scores of {len(rows)} methods, best LDS first",
    )  # fmt: skip
    measured = any(one["leave_one_out"] is not None for one in scores.values())
    agreement = (
        "With leave-one-out: correlation of effects with those that retraining without each task gave, mean over "
        "targets; top 5: share of each target's five strongest tasks that the method names, too."
        if measured
        else "No leave-one-out was measured for this run: choose that method to have the comparison."
    )
    st.caption(
        f"LDS: rank correlation of predicted and true outcomes on {result['truth_subsets']} {result['truth']}, mean "
        f"over targets. {agreement} Intervals hold 90 % and are paired: both methods are scored on the same subsets "
        "and tasks. Seconds are those of one processor core, without the outcomes or gradients that are looked at."
    )
    for name, why in result["refused"].items():
        st.warning(f"{METHODS[name].title}: {plain(why)}", icon=":material/warning:")
    side_by_side(run, result)


def _interval(gain: list[float] | None) -> str:
    if gain is None:
        return ""
    middle, low, high = gain
    if np.isnan(low):
        return f"{middle:+.3f}"
    return f"{middle:+.3f} ({low:+.3f} to {high:+.3f})"
