import streamlit as st

from kernelsm.app import (
    demonstration_check,
    demonstration_estimates,
    demonstration_query,
    demonstration_record,
    demonstrations,
    frame,
    kept_checks,
    navigation,
    picking,
    session,
)
from kernelsm.outcomes.prompt_sources import find_prompts

navigation.require_entry()
texts = session.view().prompts
run = frame.current_run(needs_outcomes=False)
frame.head(
    "Demonstrations",
    "Which demonstrations go into the prompt? The surrogate predicts the loss of every choice and knows which ones "
    "work together; the language model has the last word.",
    run,
    instead=f"{session.prompts().get(texts, 'Texts for prompts')} · no outcomes yet" if texts else "",
)
if texts:
    demonstration_check.first_outcomes(texts, find_prompts(texts))
elif not run.prompts:
    demonstrations.blocked(run)
else:
    demonstration_estimates.estimates_note(run)
    p = picking.picking(run)
    left, right = st.columns([4, 3], gap="medium")
    with left:
        demonstrations.candidates(p)
    with right:
        demonstrations.slots(p)
    demonstrations.suggested(p)
    demonstrations.order_note(p)
    parts = {
        "Prompt": lambda: demonstrations.take_away(p),
        "Check": lambda: kept_checks.kept_checks(p, demonstration_check.check(p)),
        "One query": lambda: demonstration_query.one_query(p),
        "How good are choices?": lambda: demonstration_record.record(run.prompts),
        "Ask again": lambda: demonstration_check.ask_again(p),
    }
    chosen = st.segmented_control(
        "Part", list(parts), key="demo_part", default="Prompt", required=True, label_visibility="collapsed",
        persist_state="session",
    )  # fmt: skip
    parts[str(chosen)]()
    session.publish()
