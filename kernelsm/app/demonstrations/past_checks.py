"""Demonstrations: the checks of this session, to watch, cancel and compare them after the slots have changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from kernelsm.app.demonstrations import prompt_choice
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import disk
from kernelsm.app.shell.job_panel import cancel_button, progress, registry
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import plain
from kernelsm.pipelines.ask_model import CheckSettings
from kernelsm.prompts.agreement import measured_mean
from kernelsm.runtime.job import JobStatus
from kernelsm.surrogates.wording import amount, number

_KEPT = "kernelsm_checks"
_MOST = 8
_LONGEST_NAME = 28


@dataclass(frozen=True)
class KeptCheck:
    """A check that was started, and what was predicted then: a loss and half of its 90% interval.

    `in_order`: in the order shown, else over all orders.
    """

    settings: CheckSettings
    predicted: float
    margin: float
    in_order: bool


def kept_checks(choice: PromptChoice, offered: CheckSettings | None) -> None:
    """Draw the checks of this run, the newest first, and keep the one on offer as soon as it was started.

    Parameters
    ----------
    choice : PromptChoice
    offered : CheckSettings, optional
        The check that the page offers or shows already.
    """
    of_runs: dict[str, dict[str, KeptCheck]] = st.session_state.setdefault(_KEPT, {})
    checks = of_runs.setdefault(choice.run.key, {})
    offered_key = offered.job().key if offered else ""
    if offered and offered_key not in checks and registry().status(offered_key):
        of_order = choice.in_order(choice.picked)
        checks[offered_key] = KeptCheck(
            offered, *(of_order or choice.expected(choice.picked)), in_order=of_order is not None
        )
    statuses = {key: status for key in checks if (status := registry().status(key))}
    ended = [key for key in checks if key not in statuses or not statuses[key].active]
    for key in ended[: max(0, len(checks) - _MOST)]:
        del checks[key]
    rows = {
        key: statuses[key]
        for key in reversed(checks)
        if key in statuses and not (key == offered_key and statuses[key].active)
    }
    if not rows:
        return
    st.markdown("### Checks so far")
    for key, status in rows.items():
        with st.container(border=True):
            _row(choice, key, checks[key], status)
    st.caption(
        f"Of this visit, at most {_MOST}, the newest first. Predicted: when it was asked. Measured: on the fresh "
        "queries. 90% intervals."
    )


def _row(choice: PromptChoice, key: str, check: KeptCheck, status: JobStatus) -> None:
    prompt = check.settings.prompts[0]
    is_picked = prompt == choice.picked
    predicted = amount(check.predicted, check.margin)
    shown = " · ".join(_short(choice, k) for k in prompt)
    orders = "in this order" if check.in_order else "over all orders"
    st.markdown(f"{shown}  \npredicted **{predicted}** {orders} · {_outcome(status)}")
    if status.active:
        st.fragment(disk.telling(_running), run_every=visitors().refresh())(key)
    with st.container(horizontal=True):
        st.button(
            "Taken" if is_picked else "Take", key=f"demo_again_{key}", disabled=is_picked,
            on_click=prompt_choice.pick, args=(prompt,), help="Put this prompt into the slots",
        )  # fmt: skip
        if status.active:
            cancel_button("Cancel", key, running=True, key=f"demo_stop_{key}")


def _running(key: str) -> None:
    status = registry().status(key)
    if status is None or not status.active:
        st.rerun()  # reruns the whole page, which shows the result in place of the progress
    progress(status, key)


def _outcome(status: JobStatus) -> str:
    if status.state == "done" and status.result:
        losses = np.array(status.result["values"][0], dtype=float)[:, 0]  # (orders, q)
        measured, other_orders = measured_mean(losses[:1], 1), len(losses) - 1
        sentence = f"measured **{amount(measured.mean, measured.margin)}** in this order"
        return (
            f"{sentence}, {number(losses[1:].mean())} in {other_orders} other{'s' if other_orders > 1 else ''}"
            if other_orders
            else sentence
        )
    return "the model is being asked" if status.active else f"not measured: {status.state}"


def _short(choice: PromptChoice, k: int) -> str:
    name = choice.run.outcomes.task_names[k]
    cut = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"
    return f"{plain(cut)} → **{plain(choice.task.candidates[k].label)}**"
