from kernelsm.app.shell import frame, navigation
from kernelsm.app.start import finished_result

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Which tasks help, which hurt, which interact?",
    "A model is trained on K tasks. kernelsm tries random subsets of them, learns how the outcome depends on the "
    "subset, and reads off what each task does and what pairs do **together**, with no retraining.",
    run,
)
finished_result.result(run)
finished_result.doors(run)
