"""The part of the Subsets page that says whether effects at all tasks are measured, near the data, or far from it."""

from __future__ import annotations

import math

import streamlit as st

from kernelsm.app.shell import session
from kernelsm.app.shell.job_panel import job_panel
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.view import MOST_SUBSETS
from kernelsm.app.subsets.next_subsets import continued, is_noisy, subsets_csv
from kernelsm.outcomes.anchor import AnchorSupport, anchor_support, missing_leave_outs
from kernelsm.outcomes.designs import affordable_number
from kernelsm.pipelines.run_settings import estimate_cost, seconds_a_subset
from kernelsm.workspace.tables import TABLES


def effects_at_all_tasks(run: Run) -> None:
    """Say where leave-one-out and second differences come from, and offer the subsets that measure them."""
    if run.fixed_size:
        return  # the readout says that it leaves the data
    support = anchor_support(run.outcomes.masks)
    st.header("Effects at all tasks: measured or guessed?")
    noisy = support.holds_leave_one_out and is_noisy(run)
    st.markdown(f"{support_sentence(support)}{' Outcomes are noisy here, and so are these.' if noisy else ''}")
    if not support.holds_pairs:
        _offer(run, support)


def support_sentence(support: AnchorSupport) -> str:
    """Say whether effects at all tasks are in the table, predicted from nearby, or extrapolated."""
    K, pairs = support.tasks, math.comb(support.tasks, 2)
    without_one = "the one without any" if K == 1 else f"all {K:,} without one"
    if support.holds_pairs:
        two = f", and all {pairs:,} without two" if pairs else ""
        return (
            f"**Measured.** The table holds all tasks together, {without_one}{two}: every leave-one-out effect and "
            "every second difference is a difference of its rows."
        )
    if support.holds_leave_one_out:
        two = f"{support.out[2] or 'none'} of the {pairs:,} without two"
        return (
            f"**Leave-one-out is measured.** The table holds all tasks together and {without_one}, but {two}: second "
            "differences are predicted where it lacks them."
        )
    compared = (
        "Leave-one-out and second differences compare all tasks together with subsets that lack one or two of them."
    )
    effects = f"{K:,} effects" if K > 1 else "one effect"
    numbers = f"the {K + 1:,} numbers to be found there (the outcome of all tasks together and {effects})"
    if not support.is_extrapolation:
        have = f"{support.near:,} of the {support.subsets:,} different subsets lack so few"
        return f"**Predicted from nearby.** {compared} {have}, enough for {numbers}."
    nearest = f"The nearest lacks {support.nearest:,}, so the surrogate extrapolates."
    if support.near == 0:
        return f"**Guessed from afar.** {compared} None of the {support.subsets:,} subsets lacks so few. {nearest}"
    have = f"Only {support.near:,} of the {support.subsets:,} different subsets lack so few"
    return f"**Guessed from afar.** {compared} {have}, fewer than {numbers}: the surrogate extrapolates."


def _offer(run: Run, support: AnchorSupport) -> None:
    """Draw the job that adds what is missing, or the file to measure it from."""
    m, masks = run.outcomes.m, run.outcomes.masks
    missing = missing_leave_outs(masks)
    singles = missing_leave_outs(masks, 1)
    settings = continued(run, missing[:1])
    room = m + len(missing) <= MOST_SUBSETS
    chosen = missing if room else singles
    if room and 0 < len(singles) < len(missing):
        quick = settings is not None and len(missing) <= affordable_number(m, seconds_a_subset(settings))
        both = st.toggle(
            f"Those without two tasks too ({len(missing) - len(singles):,} subsets)", quick, key="leave_outs_pairs",
            help="Second differences at all tasks are read from them.",
        )  # fmt: skip
        chosen = missing if both else singles
    if not len(chosen):
        return
    settings = continued(run, chosen, design="leave_outs")
    count = f"{len(chosen):,} subset{'s' if len(chosen) > 1 else ''}"
    if settings is None:
        st.download_button(
            f"Download the {count} that would measure them (CSV)", subsets_csv(chosen, run.outcomes.task_names),
            "leave-outs.csv", "text/csv", icon=":material/download:",
        )  # fmt: skip
        return
    name = run.title or session.titles(TABLES).get(run.key, "table")
    job_panel(
        settings.job(), estimate_cost(settings).seconds, f"{name} + {count} near all tasks",
        start=f"Measure the {count} that are missing", key="leave_outs",
    )  # fmt: skip
