"""Decide, for policies of robots: which tasks to train a target with, and what the policy then does in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.examples.catalog import load_policy_record
from kernelsm.examples.mt10.example import picture_of
from kernelsm.paper.intervals import mean_estimate
from kernelsm.policies.record import PolicyRecord
from kernelsm.runtime.near_ties import varies

_WAYS = {
    "attribution": "best effects, default surrogate", "pairwise-aware": "best group as a whole, default surrogate",
    "linear": "best effects, tuned linear", "cosine": "gradients most alike", "random": "at random",
}  # fmt: skip


def task_groups(run: Run) -> None:
    """Draw what is known of an example of policies; nothing for any other run."""
    record = load_policy_record(run.key)
    if record is None:
        return
    st.header("In the simulator")
    solved = sum(share >= 0.8 for share in record.base_success)
    st.markdown(
        f"The cloned policy W0 solves {solved} of {len(record.tasks)} tasks in 80 % of {record.base_episodes} "
        "episodes or more. For each task as the target it was fine-tuned on the target's own demonstrations and "
        f"those of three others, chosen in five ways, from {record.seeds} seeds; then it acted in the target."
    )
    with st.container(horizontal=True, gap="small"):
        for task in record.tasks:
            alt = f"A red robot arm at a table, half-way through the task {task}"
            st.image(str(picture_of(task)), caption=task, width=144, alt=alt)
    table, order = _by_way(record), ["return", "success", "loss"]
    show_table(
        table, hide_index=True, width="stretch", alt="What each way of choosing tasks reached",
        margins={name: f"± {name}" for name in order}, signed=False,
    )  # fmt: skip
    st.caption(
        f"Means over {len(record.tasks)} targets, with 90 % intervals over seeds. *Return* is the mean reward of a "
        "step, 10 where the task is solved; *success* the share of solved episodes; *loss* the squared distance to "
        "the expert's actions on demonstrations held out. Higher returns and lower losses are better."
    )
    with st.expander("Each target, and what W0 reaches"):
        alt = "Return in each target, by way of choosing"
        show_table(_by_target(record), hide_index=True, width="stretch", alt=alt)


def _by_way(record: PolicyRecord) -> pd.DataFrame:
    rows = []
    for way, reached in record.by_way().items():
        row: dict[str, object] = {"three others chosen by": _WAYS[way]}
        for name, measure in (("return", "mean_return"), ("success", "success"), ("loss", "loss")):
            found = mean_estimate(reached[measure])
            # what is the same from all seeds has no spread but rounding
            spread = found.value - found.low if varies(reached[measure]) else 0.0
            row |= {name: found.value, f"± {name}": spread}
        rows.append(row)
    return pd.DataFrame(rows)


def _by_target(record: PolicyRecord) -> pd.DataFrame:
    rows = []
    for target, earned, solved in zip(record.tasks, record.base_return, record.base_success, strict=True):
        own = [one for one in record.groups if one.target == target]
        rows.append(
            {"target": target, "return of W0": round(earned, 2), "success of W0": solved}
            | {
                _WAYS[way]: round(float(np.mean([one.mean_return for one in own if one.way == way])), 2)
                for way in _WAYS
            }
        )
    return pd.DataFrame(rows)
