from kernelsm.app.compare import methods
from kernelsm.app.shell import frame, navigation

navigation.require_entry()
run = frame.current_run(whole=True)
frame.head(
    "Compare",
    "Other attribution methods on the run at hand: which one predicts best what was not measured, how near "
    "leave-one-out its effects are, and what it costs.",
    run,
)
methods.compare(run)
