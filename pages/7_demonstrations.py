import streamlit as st

from kernelsm.app.demonstrations import (
    candidates,
    estimates,
    first_outcomes,
    parts,
    prompt_choice,
    slots,
    suggestion_cards,
    work_under_way,
)
from kernelsm.app.shell import controls, frame, navigation, session
from kernelsm.workspace.prompt_projects import PROMPTS, find_prompts

navigation.require_entry()
texts = session.view().prompts
run = frame.current_run(needs_outcomes=False)
frame.head(
    "Demonstrations",
    "Which demonstrations go into the prompt, and in which order? The surrogate predicts the loss of every choice; "
    "the language model has the last word.",
    run,
    instead=f"{session.titles(PROMPTS).get(texts, 'Texts for prompts')} · no outcomes yet" if texts else "",
)
under_way = work_under_way.begin()
if texts:
    first_outcomes.first_outcomes(texts, find_prompts(texts))
    work_under_way.show(under_way, texts)
elif not run.prompts:
    candidates.blocked(run)
else:
    estimates.estimates_note(run)
    controls.used_slider(run, width=260)
    choice = prompt_choice.prompt_choice(run)
    with st.container(key="demo_parts"):  # page.css: one below the other where a column would be too narrow
        left, right = st.columns([4, 3], gap="medium")
    with left:
        candidates.candidates(choice)
    with right:
        slots.slots(choice)
    suggestion_cards.suggested(choice)
    parts.parts(choice)
    work_under_way.show(under_way, run.prompts, run.key)
    session.publish()
