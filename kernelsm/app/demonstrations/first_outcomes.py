"""Demonstrations: texts of which the model was not asked yet, and the ways to ask it."""

from __future__ import annotations

import math

import streamlit as st

from kernelsm.app.demonstrations.answers import answers_sentence
from kernelsm.app.demonstrations.baselines import ask_zero_shot, zero_shot
from kernelsm.app.demonstrations.check import ask
from kernelsm.app.demonstrations.search_panel import search_panel
from kernelsm.app.demonstrations.templates import templates
from kernelsm.surrogates.wording import number
from kernelsm.workspace.prompt_projects import PromptSource


def first_outcomes(source: str, prompt_source: PromptSource) -> None:
    """Show texts that have no outcomes yet, and offer to ask the model with them."""
    task = prompt_source.task
    st.markdown(
        f"{task.K} candidates, {len(task.queries)} queries to choose by, {len(task.fresh)} fresh ones to check with, "
        f"{task.k} demonstrations in a prompt. {answers_sentence(task, bold=True)} "
        "Next the language model is asked with random prompts; the surrogate learns from them."
    )
    empty = zero_shot(source)
    if empty is not None:
        C = len(task.labels)
        guessing = f"; guessing costs {math.log(C):.3f} and is right on {1 / C:.0%}" if C else ""
        st.markdown(
            f"Without demonstrations the loss is **{number(empty.loss)}**, and **{empty.accuracy:.0%}** of the "
            f"answers are right{guessing}."
        )
    ask(source, prompt_source, start="Ask the model")
    ask_zero_shot(source)
    with st.expander("Or find a good prompt at once", icon=":material/search:"):
        search_panel(source, prompt_source)
    templates(source)
