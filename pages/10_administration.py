from kernelsm.app.administration import access, all_jobs
from kernelsm.app.shell import frame, navigation

navigation.require_entry()
frame.head(
    "Administration",
    "Every job of this server, and of all others that use the same cache.",
    frame.current_run(needs_outcomes=False, whole=True),
    instead="For whoever runs the server.",
)
if access.asked():
    all_jobs.all_jobs()
