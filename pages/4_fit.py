import streamlit as st

from kernelsm.app import controls, fit, frame, navigation

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Fit",
    "A surrogate g(s) learns the outcome of any subset from the sampled ones. Move γ and λ and watch how well it "
    "predicts subsets it has not seen, beside a linear surrogate with the same λ.",
    run,
)
with st.container(horizontal=True, gap="medium"):
    controls.kernel_picker()
    controls.target_picker(run)
gamma, ridge = frame.panels(narrowest=260)
with gamma:
    controls.gamma_slider(run.outcomes.K)
with ridge:
    controls.ridge_slider()
result = fit.test(run, fit.against_truth(run))
fit.scores(result)
fit.scatter(run, result)
st.page_link(navigation.EXPLORE, label="Read the surrogate off on Explore", icon=":material/hub:")
