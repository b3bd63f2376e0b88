from kernelsm.app.paper import claims
from kernelsm.app.shell import frame, navigation

navigation.require_entry()
frame.head(
    "Paper",
    "What the paper says, beside what comes out here: its number, ours with a 90 % interval, and a verdict that "
    "follows from them.",
    frame.current_run(needs_outcomes=False, whole=True),
    instead=claims.tally(),
)
claims.overview()
claims.one_claim()
