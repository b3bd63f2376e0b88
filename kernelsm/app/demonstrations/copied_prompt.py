"""Demonstrations: the prompt as it will be sent, to copy and to take away."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import frame
from kernelsm.export.prompt_formats import chat_json, json_lines, prompt_text
from kernelsm.prompts.task import PromptTask


def take_away(choice: PromptChoice) -> None:
    """Draw the prompt as it will be sent, in three forms, each with a button that copies it."""
    task = choice.task
    left, right = frame.panels(2, 260)
    form = left.segmented_control(
        "Copy as", ["Text", "Chat JSON", "JSON lines"], key="demo_form", default="Text", required=True,
        persist_state="session",
    )  # fmt: skip
    query = right.selectbox(
        "Query", range(-1, len(task.queries)), key="demo_query",
        format_func=lambda j: "A place for your own" if j < 0 else task.queries[j].text[:80],
    )  # fmt: skip
    text, name, kind = _form(task, choice.picked, str(form), None if query is None or query < 0 else query)
    st.code(text, language=None if form == "Text" else "json", wrap_lines=True)
    st.download_button(f"Download {name}", text, name, kind, icon=":material/download:", on_click="ignore")
    if form == "Chat JSON":
        st.caption("A chat model reads this through a template of its own: its loss is not that of the plain text.")
    elif form == "JSON lines":
        st.caption("The demonstrations alone, in the order of the prompt.")
    else:
        st.caption("The label word follows after one space.")


def _form(task: PromptTask, picked: tuple[int, ...], form: str, query: int | None) -> tuple[str, str, str]:
    labelled_query = None if query is None else task.queries[query]
    if form == "Chat JSON":
        return chat_json(task, picked, labelled_query), "prompt.json", "application/json"
    if form == "JSON lines":
        return json_lines(task, picked), "demonstrations.jsonl", "application/jsonl"
    return prompt_text(task, picked, labelled_query), "prompt.txt", "text/plain"
