"""Demonstrations: the suggestions of a run, found once and kept."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.demonstrations.prompt_choice import PromptChoice, effects_of, known_prediction, run_of
from kernelsm.prompts.suggestions import Suggestion, suggest
from kernelsm.workspace.prompt_projects import find_prompts

BALANCE = "demo_balance"
"""Key of the toggle that asks for as many demonstrations of each label."""


def chosen_suggestions(choice: PromptChoice) -> tuple[Suggestion, ...]:
    """Return what to try: the best measured prompt alone, where too few were measured to choose by prediction."""
    if choice.prediction is None:
        return ()
    return suggestions(choice.key, bool(st.session_state.get(BALANCE, False)), choice.more_to_ask == 0)


@st.cache_data(max_entries=32, show_spinner="Searching prompts ...")
def suggestions(key: str, balance: bool, by_prediction: bool = True) -> tuple[Suggestion, ...]:
    """Return at most four prompts to try of a `PromptChoice.key`; see `suggest`."""
    run = run_of(key)
    labels = [candidate.label for candidate in find_prompts(run.prompts).task.candidates]
    likeness = run.outcomes.meta.get("likeness")
    return suggest(
        known_prediction(key), run.outcomes, effects_of(key), labels, balance=balance,
        likeness=likeness if isinstance(likeness, list) else None, by_prediction=by_prediction,
    )  # fmt: skip
