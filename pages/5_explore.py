import streamlit as st

from kernelsm.app.explore import effects, task_bars
from kernelsm.app.shell import frame, navigation, weighing

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Explore",
    "Attribution is what including a task does; interaction is what two tasks do together beyond the sum of both.",
    run,
)
effects.settings(run)
exploration = effects.explore(run)
weighing.few_samples_note(run)
# side by side also beside the sidebar of a small screen, where the cells stay large enough to be hit
left, right = frame.panels(narrowest=effects.narrowest(run))
with left:
    task_bars.bars(exploration)
    effects.truth_heatmap(exploration)
with right:
    effects.heatmap(exploration)
effects.sign_note(exploration)
if run.outcomes.K > 1:
    left, right = frame.panels()
    with left:
        effects.pair_detail(exploration)
    with right:
        effects.ranked_pairs(exploration)
effects.what_if(run)
if run.fixed_size is None:
    st.page_link(navigation.DECIDE, label="Decide which tasks to drop, and retrain to see", icon=":material/rule:")
