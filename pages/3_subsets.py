from kernelsm.app import frame, navigation, session, subsets
from kernelsm.app.enough import enough

navigation.require_entry()
project = session.view().project
run = frame.current_run(needs_outcomes=not project)
frame.head(
    "Subsets",
    "Each subset of tasks is one row of the surrogate's training data. To tell what a pair does together, both tasks "
    "must have been in, out, and in one at a time, often enough.",
    run,
    run_is_aside=True,
)
if project:
    subsets.first_draw(project)
else:
    subsets.sampled(run)
    enough(run)
    subsets.next_draw(run)
