"""Demonstrations: what is below slots and suggestions, one part at a time."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.demonstrations import (
    check,
    copied_prompt,
    nearest_panel,
    one_query,
    past_checks,
    prediction_record,
    search_panel,
    templates,
)
from kernelsm.app.demonstrations.prompt_choice import PromptChoice


def parts(choice: PromptChoice) -> None:
    """Draw the part that is chosen."""
    run = choice.run
    known = {
        "Prompt": lambda: copied_prompt.take_away(choice),
        "Check": lambda: past_checks.kept_checks(choice, check.check(choice)),
        "Find a better prompt": lambda: search_panel.search_panel(run.prompts, choice.source, choice),
        "Nearest for each query": lambda: nearest_panel.nearest_panel(choice),
        "One query": lambda: one_query.one_query(choice),
        "How good are predictions?": lambda: prediction_record.record(choice),
        "Templates": lambda: templates.templates(run.prompts, run.key),
        "Ask again": lambda: check.ask_again(choice),
    }
    chosen = st.segmented_control(
        "Part", list(known), key="demo_part", default="Prompt", required=True, label_visibility="collapsed",
        persist_state="session",
    )  # fmt: skip
    known[str(chosen)]()
