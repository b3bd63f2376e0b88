from kernelsm.app import explore, frame, navigation

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Explore",
    "Attribution is what including a task does; interaction is what two tasks do together beyond the sum of both.",
    run,
)
explore.settings(run)
e = explore.explore(run)
explore.sign_note(e)
left, right = frame.panels()
with left:
    explore.bars(e)
    explore.truth_heatmap(e)
with right:
    explore.heatmap(e)
if run.outcomes.K > 1:
    left, right = frame.panels()
    with left:
        explore.pair_detail(e)
    with right:
        explore.ranked_pairs(e)
explore.what_if(run)
