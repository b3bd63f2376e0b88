"""Demonstrations: the prompt as it will be sent, to copy and to take away."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import frame
from kernelsm.app.shell.words import plain
from kernelsm.export.prompt_formats import PROMPT_FORMS, PromptForm
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.errors import InputError


def take_away(choice: PromptChoice) -> None:
    """Draw the prompt as it will be sent, in several forms, each with a button that copies it."""
    task = choice.task
    left, right = frame.panels(2, 260)
    chosen = left.segmented_control(
        "Copy as", list(PROMPT_FORMS), key="demo_form", default="Text", required=True, wrap=True,
        persist_state="session",
    )  # fmt: skip
    j = right.selectbox(
        "Query", range(-1, len(task.queries)), key="demo_query",
        format_func=lambda j: "A place for your own" if j < 0 else task.queries[j].text[:80],
    )  # fmt: skip
    written(task, choice.picked, None if j is None or j < 0 else task.queries[j], PROMPT_FORMS[str(chosen)])
    if choice.calibrated:
        st.caption(
            "Label words of this run are calibrated: its answers need the offsets of the label words, which "
            "**Check** shows for this prompt."
        )


def written(task: PromptTask, picked: tuple[int, ...], query: Labelled | None, form: PromptForm) -> None:
    """Draw a prompt in one form, with a button that copies it and one that downloads it.

    Parameters
    ----------
    task : PromptTask
    picked : tuple of int
        Candidates, in the order of the prompt.
    query : Labelled, optional
        What is asked; a place for one where none is given.
    form : PromptForm
    """
    try:
        text = form.write(task, picked, query)
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    st.code(text, language=form.language or None, wrap_lines=True)
    st.download_button(
        f"Download {form.file}", text, form.file, form.mime, icon=":material/download:", on_click="ignore"
    )
    st.caption(form.about)
