import streamlit as st

from kernelsm.app.demonstrations import check, estimates, one_query, past_checks, picking, record, slots
from kernelsm.app.shell import frame, navigation, session
from kernelsm.workspace.prompt_projects import PROMPTS, find_prompts

navigation.require_entry()
texts = session.view().prompts
run = frame.current_run(needs_outcomes=False)
frame.head(
    "Demonstrations",
    "Which demonstrations go into the prompt? The surrogate predicts the loss of every choice and knows which ones "
    "work together; the language model has the last word.",
    run,
    instead=f"{session.titles(PROMPTS).get(texts, 'Texts for prompts')} · no outcomes yet" if texts else "",
)
if texts:
    check.first_outcomes(texts, find_prompts(texts))
elif not run.prompts:
    slots.blocked(run)
else:
    estimates.estimates_note(run)
    p = picking.picking(run)
    left, right = st.columns([4, 3], gap="medium")
    with left:
        slots.candidates(p)
    with right:
        slots.slots(p)
    slots.suggested(p)
    slots.order_note(p)
    parts = {
        "Prompt": lambda: slots.take_away(p),
        "Check": lambda: past_checks.kept_checks(p, check.check(p)),
        "One query": lambda: one_query.one_query(p),
        "How good are choices?": lambda: record.record(run.prompts),
        "Ask again": lambda: check.ask_again(p),
    }
    chosen = st.segmented_control(
        "Part", list(parts), key="demo_part", default="Prompt", required=True, label_visibility="collapsed",
        persist_state="session",
    )  # fmt: skip
    parts[str(chosen)]()
    session.publish()
