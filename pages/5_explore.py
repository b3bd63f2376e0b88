import streamlit as st

from kernelsm.app.explore import effects, task_bars
from kernelsm.app.shell import frame, navigation, weighing
from kernelsm.app.shell.prompts_note import prompts_note

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Explore",
    "Attribution is what including a task does; interaction is what two tasks do together beyond the sum of both.",
    run,
)
prompts_note(run)
effects.settings(run)
exploration = effects.explore(run)
weighing.few_samples_note(run)
# page.css lays the parts out: in the order given on a phone, side by side on a projector
with st.container(key="explore_parts"):
    with st.container(key="explore_bars_part"):
        task_bars.bars(exploration)
    if run.outcomes.K > 1:
        with st.container(key="explore_list_part"):
            effects.ranked_pairs(exploration)
    with st.container(key="explore_heat_part"):
        effects.heatmap(exploration)
        effects.truth_heatmap(exploration)
    if run.outcomes.K > 1:
        with st.container(key="explore_pair_part"):
            effects.pair_detail(exploration)
effects.sign_note(exploration)
effects.say_what_changed(exploration)
effects.what_if(run)
if run.fixed_size is None:
    st.page_link(navigation.DECIDE, label="Decide which tasks to drop, and retrain to see", icon=":material/rule:")
