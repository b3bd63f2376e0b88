import streamlit as st

from kernelsm.app.fit import workbench
from kernelsm.app.shell import frame, navigation
from kernelsm.app.shell.prompts_note import prompts_note

navigation.require_entry()
run = frame.current_run(whole=True)
frame.head(
    "Fit",
    "A surrogate g(s) learns from the sampled subsets the outcome of others. Choose a kernel, move γ and the ridge, "
    "and watch how well it predicts subsets it has not seen, beside a tuned linear surrogate.",
    run,
    says_used=False,
)
prompts_note(run)
workbench.workbench(run)
st.page_link(navigation.EXPLORE, label="Read the surrogate off on Explore", icon=":material/hub:")
