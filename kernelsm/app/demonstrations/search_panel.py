"""Demonstrations: the search for a better prompt, its budget, how far it is, and what it found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from kernelsm.app.demonstrations import model_choice, prompt_choice, work_under_way
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import frame, rights, session
from kernelsm.app.shell.job_panel import job_panel, registry, start_in_panel
from kernelsm.app.shell.words import plain
from kernelsm.charts.prompt_search import search_curve
from kernelsm.export.prompt_formats import prompt_text
from kernelsm.pipelines.ask_model import START_SECONDS
from kernelsm.pipelines.search_prompts import (
    BUDGET,
    MOST_CALLS,
    MOST_MINUTES,
    NOTHING_LEFT,
    TIME,
    SearchSettings,
    fewest_calls,
    new_queries,
)
from kernelsm.prompts.prompt_search import FoundPrompt
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.wording import number, ranged
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource

_KEY = "demo_search"
_USUAL_PROMPTS = 50
_OBJECTIVES = {"Loss": "loss", "Right answers": "accuracy"}
_ENDED = {
    BUDGET: "Its calls are spent.", TIME: "Its time is over.",
    NOTHING_LEFT: "It ended by itself: no other prompt promised more.",
}  # fmt: skip


def search_panel(source: str, prompt_source: PromptSource, choice: PromptChoice | None = None) -> None:
    """Offer to search, and show what was found.

    Parameters
    ----------
    source : str
        Of the texts.
    prompt_source : PromptSource
    choice : PromptChoice, optional
        Whose slots take what was found; without it prompts are shown to be copied.
    """
    if not rights.may_ask(source):
        rights.say_not_yours("The texts", "the language model is not asked about them here")
        return
    task = prompt_source.task
    q = len(task.queries)
    st.markdown(
        "Looks for a better prompt by asking the model: new prompts about a few queries each, those that do badly "
        "are dropped, and those that do well are asked about more. A call is one query after one prompt."
    )
    if choice is not None and choice.calibrated:
        st.caption("It asks without calibration of label words: its losses are not to be compared with this run's.")
    usual = max(_USUAL_PROMPTS * q, fewest_calls(task))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        calls = int(
            st.number_input(
                "Calls at most", fewest_calls(task), MOST_CALLS, usual, key=_calls_key(source), step=q,
                persist_state="session", width=160,
                help=f"One prompt on all queries takes {q:,}. What was asked in a search before is not asked again.",
            )
        )  # fmt: skip
        minutes = int(
            st.number_input(
                "Minutes at most", 1, MOST_MINUTES, 60, key="demo_search_minutes", persist_state="session", width=160
            )
        )
        objective = _OBJECTIVES[
            str(
                st.segmented_control(
                    "Sought", list(_OBJECTIVES), key="demo_search_objective", default="Loss", required=True,
                    persist_state="session",
                    help="The least mean loss of the queries, or the most right answers. The loss tells prompts "
                    "apart that answer the same right.",
                )
            )
        ]  # fmt: skip
    limits = model_choice.endpoint_limits(prompt_source, "demo_search_endpoint")
    try:
        settings = SearchSettings(source, calls, minutes, objective, limits=limits)
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    model_choice.say_cost(settings.cost(), limits)
    spec = settings.job()
    work_under_way.drawn(spec.key)
    title = session.titles(PROMPTS).get(source, prompt_source.title)
    job_panel(spec, settings.seconds(), title, start="Find a better prompt", cancel="Stop the search", key=_KEY)
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _found(status.result, task, choice)
    elif status and status.state == "cancelled" and status.total == calls and status.done >= fewest_calls(task):
        st.button(
            "Show what it has found", icon=":material/visibility:", key="demo_search_so_far", on_click=_end_here,
            args=(replace(settings, calls=status.done), title), help=f"Ends this search at {status.done:,} calls. "
            "Their answers are kept: the model is loaded again, and asked nothing or little.",
        )  # fmt: skip


def _end_here(settings: SearchSettings, title: str) -> None:
    """Search with what a stopped search has spent: the same questions, whose answers are kept."""
    st.session_state[_calls_key(settings.source)] = settings.calls
    start_in_panel(settings.job(), _KEY, title, START_SECONDS)


def _calls_key(source: str) -> str:
    return f"demo_search_calls_{source}"


def _found(result: dict[str, Any], task: PromptTask, choice: PromptChoice | None) -> None:
    found = [FoundPrompt(**{**one, "order": tuple(one["order"])}) for one in result["found"]]
    unit = _unit(result)
    count = new_queries(task)
    new = f"{count:,} new quer{'y' if count == 1 else 'ies'}"
    st.markdown(
        f"{_ENDED[result['ended']]} {result['calls']:,} calls went to {result['prompts']:,} prompts. "
        f"{unit[0].upper()}{unit[1:]}: **{number(result['first'])}** in the mean of the random prompts at the start; "
        f"of the best prompt expect **{ranged(found[0].mean, *found[0].on_fresh(count))}** on {new}."
    )
    for place, (panel, one) in enumerate(zip(frame.panels(len(found), 210, border=True), found, strict=True)):
        with panel:
            _card(place, one, task, choice)
    frame.show(search_curve(result["curve"], result["first"], unit=unit, dark=frame.is_dark()), "demo_search_curve")
    st.caption(
        f"{unit[0].upper()}{unit[1:]}, of prompts in their order, with 90% intervals of the mean over {new}. "
        "That the best was chosen is allowed for: the number is what all answers say of it, not its own "
        "best. Only fresh queries prove it: take it, and check it."
    )


def _unit(result: dict[str, Any]) -> str:
    if result["wrong"]:
        return "share of wrong answers"
    return "loss, nats" if result["objective"] == "loss" else "share of right answers"


def _card(place: int, found: FoundPrompt, task: PromptTask, choice: PromptChoice | None) -> None:
    st.markdown(f"**{place + 1}** · **{ranged(found.mean, *found.on_fresh(new_queries(task)))}**")
    labels = " · ".join(plain(task.candidates[k].label[:40]) for k in found.order)
    st.caption(f"{labels}  \nasked about {found.asked:,} of {found.queries:,} queries: {number(found.measured)}")
    if choice is None:
        with st.popover("The prompt", key=f"demo_found_{place}"):
            st.code(prompt_text(task, found.order), language=None, wrap_lines=True)
        return
    taken = found.order == choice.picked
    st.button(
        "Taken" if taken else "Take", key=f"demo_search_take_{place}", disabled=taken, on_click=prompt_choice.pick,
        args=(found.order,), help="\n".join(f"- {choice.name(k)}" for k in found.order),
    )  # fmt: skip
