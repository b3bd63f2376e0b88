from kernelsm.app import controls, enough, frame, navigation, subsets

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Subsets",
    "Each subset of tasks is one row of the surrogate's training data. To tell what a pair does together, both tasks "
    "must have been in, out, and in one at a time, often enough.",
    run,
)
controls.target_picker(run)
subsets.sampled(run)
enough.enough(run)
subsets.next_draw(run)
