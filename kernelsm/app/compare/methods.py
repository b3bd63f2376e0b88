"""Which methods are compared, the job that runs them, and how they did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.compare.side_by_side import side_by_side
from kernelsm.app.shell import controls, rights
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import duration, plain
from kernelsm.pipelines.compare import CompareSettings
from kernelsm.pipelines.method_sources import ALL_METHODS, expected_seconds, own_seconds, possible_for
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import first_least
from kernelsm.surrogates.wording import ranged

SENTENCE = (
    "Other attribution methods on the run at hand: which one predicts best what was not measured, how near "
    "leave-one-out its effects are, and what it costs."
)
_FIRST = ("linear", "datamodels", "influence_exact", "trak")
_ON_PROMPTS = ("linear", "datamodels")  # those that ask the language model take a quarter of an hour
_LOOKS_AT = {
    "outcomes": "the outcomes",
    "features": "gradients",
    "network": "the network",
    "prompts": "the language model",
}


def compare(run: Run) -> None:
    """Draw the choice of methods with what they cost, the job, and its result."""
    texts = run.prompts if rights.may_ask(run.prompts) else ""
    source = run.key if run.example else texts or run.source
    table = "" if run.example else run.key
    possible = [name for name in possible_for(source) if name != "default"]
    titles = {name: ALL_METHODS[name].title for name in possible}
    chosen = controls.methods_picker(titles, _ON_PROMPTS if texts else _FIRST, always="default")
    if texts != run.prompts:
        rights.say_not_yours("The texts", "methods that ask the language model are not offered")
    elif run.source_is_not_yours:
        rights.say_not_yours("The samples and the network", "methods that look at gradients are not offered")
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
    together = sum(own_seconds(seconds).values())
    _costs(seconds, together)
    spec = settings.job()
    job_panel(spec, together, "", start="Compare them", cancel="Cancel the comparison", key="compare")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _results(run, status.result, could_retrain="leave_one_out" in possible)


def _costs(seconds: dict[str, float], together: float) -> None:
    rows = pd.DataFrame(
        {
            "method": [ALL_METHODS[name].title for name in seconds],
            "looks at": [_LOOKS_AT[ALL_METHODS[name].needs] for name in seconds],
            "takes about": [duration(max(value, 1.0)) for value in seconds.values()],
        }
    )
    with st.expander(f"What they cost: {duration(max(together, 1.0))} in all when nothing is cached"):
        show_table(rows, hide_index=True, key="compare_costs", alt="Expected time of every chosen method")


def _results(run: Run, result: dict[str, Any], *, could_retrain: bool) -> None:
    st.header("Who predicts best")
    st.markdown(plain(result["verdict"]))
    scores = result["methods"]
    measured = any(one["leave_one_out"] is not None for one in scores.values())
    columns = {"LDS": [f"{one['lds']:.3f}{_beside(one['lds_gain'])}" for one in scores.values()]}
    if measured:
        columns["with leave-one-out"] = [
            _number(one["leave_one_out"]) + _beside(one["leave_one_out_gain"]) for one in scores.values()
        ]
        columns["top 5"] = ["" if one["top5"] is None else f"{one['top5']:.0%}" for one in scores.values()]
    columns["seconds"] = [_number(one["seconds"], "{:.1f}") for one in scores.values()]
    columns["cannot say"] = [one["cannot_say"] for one in scores.values()]
    # a table of text: its lines wrap, so that no column is out of sight on a narrow page
    st.table(pd.DataFrame(columns, index=pd.Index([one["title"] for one in scores.values()], name="method")))
    agreement = ""
    if measured:
        agreement = (
            "With leave-one-out: correlation of effects with those that retraining without each task gave, mean over "
            "targets; top 5: share of each target's five strongest tasks that the method names, too. "
        )
    elif could_retrain:
        agreement = "No leave-one-out was measured for this run: choose that method to have the comparison. "
    st.caption(
        f"LDS: rank correlation of predicted and true outcomes on {result['truth_subsets']} {result['truth']}, mean "
        f"over targets. {agreement}In brackets: how much more than the default surrogate's, with a 90 % interval; "
        "it is paired, as both methods are scored on the same subsets and tasks. Seconds are those of one processor "
        "core, without the outcomes or gradients that are looked at."
    )
    _agreement(run, result)
    for name, why in result["refused"].items():
        st.warning(f"{ALL_METHODS[name].title}: {plain(why)}", icon=":material/warning:")
    side_by_side(run, result)


def _agreement(run: Run, result: dict[str, Any]) -> None:
    """Draw how far each method agrees with leave-one-out: in the mean over targets, at worst, and in the mean."""
    rows = {one["title"]: found for one in result["methods"].values() if (found := one.get("agreement"))}
    if not rows:
        return
    with st.expander("With leave-one-out, target by target"):
        st.table(
            pd.DataFrame(
                {
                    "mean over targets": [_with_interval(found) for found in rows.values()],
                    "lowest": [_lowest(run, found["per_target"]) for found in rows.values()],
                    "of the mean target": [_number(found["of_mean"]) for found in rows.values()],
                },
                index=pd.Index(list(rows), name="method"),
            )
        )
        st.caption(
            "Correlation over tasks of the method's effects with measured leave-one-out. The interval holds 90 % and "
            "says how far the mean depends on which tasks there are. Of the mean target: effects on the mean over "
            "targets, in which what single targets have of their own cancels."
        )


def _with_interval(found: dict[str, Any]) -> str:
    if found["low"] is None:
        return _number(found["mean"])
    return ranged(found["mean"], found["low"], found["high"])


def _lowest(run: Run, per_target: list[float | None]) -> str:
    known = {j: value for j, value in enumerate(per_target) if value is not None}
    if not known:
        return ""
    places, values = list(known), list(known.values())
    least = places[first_least(values)]
    return f"{known[least]:.3f} for {plain(run.outcomes.target_names[least])}"


def _number(value: float | None, form: str = "{:.3f}") -> str:
    return "" if value is None else form.format(value)


def _beside(gain: list[float] | None) -> str:
    """What a score gains on the default's, with the interval; "" for the default itself."""
    if gain is None:
        return ""
    middle, low, high = gain
    return f" ({middle:+.3f})" if np.isnan(low) else f" ({middle:+.3f}; {low:+.3f} to {high:+.3f})"
