from kernelsm.app import frame, navigation, start

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Which tasks help, which hurt, which interact?",
    "A model is trained on K tasks. kernelsm tries random subsets of them, learns how the outcome depends on the "
    "subset, and reads off what each task does and what pairs do **together**, with no retraining.",
    run,
)
start.result(run)
start.doors(run)
