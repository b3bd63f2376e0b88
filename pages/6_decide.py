from kernelsm.app.decide import confirm, dropping, task_groups
from kernelsm.app.shell import frame, navigation

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Decide",
    "Which tasks to leave out, what that is expected to change, and whether it really does: retrain with and without "
    "them.",
    run,
)
drop = dropping.advice(run)
confirm.confirm(run, drop)
task_groups.task_groups(run)
