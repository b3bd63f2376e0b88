from kernelsm.app.shell import frame, navigation, session
from kernelsm.app.shell.prompts_note import prompts_note
from kernelsm.app.subsets import sampling
from kernelsm.app.subsets.learning_curve import show_learning_curve
from kernelsm.app.subsets.leave_outs import effects_at_all_tasks

navigation.require_entry()
project = session.view().project
run = frame.current_run(needs_outcomes=not project, whole=True)
frame.head(
    "Subsets",
    "Each subset of tasks is one row of the surrogate's training data. To tell what a pair does together, both tasks "
    "must have been in, out, and in one at a time, often enough.",
    run,
    run_is_aside=True,
)
if project:
    sampling.first_draw(project)
else:
    prompts_note(run)
    sampling.sampled(run)
    effects_at_all_tasks(run)
    show_learning_curve(run)
    sampling.next_draw(run)
