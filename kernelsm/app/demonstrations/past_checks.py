"""Demonstrations: the checks of these texts, to watch, cancel and compare them after the slots have changed."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.demonstrations import prompt_choice, work_under_way
from kernelsm.app.demonstrations.measured_prompts import in_words
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import disk
from kernelsm.app.shell.job_panel import cancel_button, progress, registry, started
from kernelsm.app.shell.owner import owner
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import plain
from kernelsm.pipelines.ask_model import CheckSettings
from kernelsm.prompts.agreement import measured_mean
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.job import JobStatus, read_spec
from kernelsm.surrogates.wording import amount, number

_CHECK, _ASKED = "ask_model:check", "kernelsm_checks"
CALIBRATED = "label words calibrated"
_MOST = 8
_LONGEST_NAME = 28
MeasuredCheck = NDArray[np.float64]
"""Loss and accuracy of every fresh query after a prompt, shape (2, fresh)."""


def kept_checks(choice: PromptChoice, offered: CheckSettings | None) -> None:
    """Draw the checks of these texts that this browser started, the newest first, also after it was closed.

    Parameters
    ----------
    choice : PromptChoice
    offered : CheckSettings, optional
        The check that the page offers or shows already.
    """
    asked: dict[str, CheckSettings] = st.session_state.setdefault(_ASKED, {})
    offered_key = offered.job().key if offered else ""
    if offered is not None:
        asked[offered_key] = offered
    rows = [
        (key, settings, status)
        for key, settings, status in _checks(choice.run.prompts, asked)
        if not (key == offered_key and status.active)
    ]
    if not rows:
        return
    st.markdown("### Checks so far")
    for key, settings, status in rows[:_MOST]:
        with st.container(border=True):
            work_under_way.drawn(key)
            _row(choice, key, settings, status)
    st.caption(
        f"At most {_MOST}, the newest first. Predicted: from the prompts measured by now. Measured: on the fresh "
        "queries. 90% intervals."
    )


def _checks(source: str, asked: dict[str, CheckSettings]) -> list[tuple[str, CheckSettings, JobStatus]]:
    """The checks of some texts on this visitor's list of jobs: each key, what was asked, and how far it is.

    `asked` are those that were on offer since the page was opened.
    """
    found = []
    for job in started().of(owner()):
        if job.kind.partition(" ")[0].endswith(_CHECK) and (status := registry().status(job.key)):
            settings = asked.get(job.key) or _settings(job.key)
            if settings is not None and settings.source == source:
                found.append((job.key, settings, status))
    return found


def measured_checks(source: str) -> dict[tuple[int, ...], MeasuredCheck]:
    """Return what this visitor's checks measured of prompts in their own order, the newest first."""
    found: dict[tuple[int, ...], MeasuredCheck] = {}
    for _, settings, status in _checks(source, {}):
        if status.state == "done" and status.result:
            for prompt, values in zip(settings.prompts, status.result["values"], strict=True):
                found.setdefault(prompt, np.array(values[0], dtype=float))
    return found


def _settings(job: str) -> CheckSettings | None:
    spec = read_spec(registry().folder(job))
    try:
        return None if spec is None else CheckSettings(**spec.arguments)
    except (InputError, TypeError):  # of texts that are here no more, or written by another version
        return None


def _row(choice: PromptChoice, key: str, settings: CheckSettings, status: JobStatus) -> None:
    prompt = settings.prompts[0]
    is_picked = prompt == choice.picked
    comparable = len(prompt) == choice.size and settings.calibrated == choice.calibrated
    predicted = choice.in_order(prompt) if comparable else None
    shown = " · ".join(_short(choice, k) for k in prompt)
    said = f"predicted **{in_words(predicted)}** · " if predicted else ""
    words = f"{CALIBRATED}: " if settings.calibrated and not choice.calibrated else ""
    st.markdown(f"{shown}  \n{said}{words}{_outcome(status)}")
    if status.active:
        st.fragment(disk.telling(_running), run_every=visitors().refresh())(key)
    with st.container(horizontal=True):
        st.button(
            "Taken" if is_picked else "Take", key=f"demo_again_{key}",
            disabled=is_picked or len(prompt) > choice.size, on_click=prompt_choice.pick, args=(prompt,),
            help="Put this prompt into the slots",
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
        losses, right = np.array(status.result["values"][0], dtype=float).swapaxes(0, 1)  # (orders, q) each
        measured, other_orders = measured_mean(losses[:1], 1), len(losses) - 1
        sentence = (
            f"measured **{amount(measured.mean, measured.margin)}** in this order, right on **{right[0].mean():.0%}**"
        )
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
