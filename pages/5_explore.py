from kernelsm.app.explore import effects
from kernelsm.app.shell import frame, navigation

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Explore",
    "Attribution is what including a task does; interaction is what two tasks do together beyond the sum of both.",
    run,
)
effects.settings(run)
e = effects.explore(run)
effects.sign_note(e)
left, right = frame.panels()
with left:
    effects.bars(e)
    effects.truth_heatmap(e)
with right:
    effects.heatmap(e)
if run.outcomes.K > 1:
    left, right = frame.panels()
    with left:
        effects.pair_detail(e)
    with right:
        effects.ranked_pairs(e)
effects.what_if(run)
