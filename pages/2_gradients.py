from kernelsm.app.gradients import cache_panel, compute, first_order_checks
from kernelsm.app.gradients.pull_sweep import pull_sweep
from kernelsm.app.shell import frame, navigation

navigation.require_entry()
source = compute.source()
run = frame.current_run(needs_outcomes=False, whole=True)
frame.head(
    "Gradients",
    "Outputs and gradients of the trained network, at its weights W0, are computed once. Each subset's outcome then "
    "costs one small convex problem instead of one training.",
    run,
    run_is_aside=True,
)
if not source:
    compute.blocked(run)
else:
    settings = compute.job_settings(source)
    compute.cost_note(settings)
    compute.recompute(settings)
    if run.key == source:
        first_order_checks.show_first_order_checks(run)
        first_order_checks.projections(run)
    first_order_checks.check_again(settings)
    pull_sweep(settings)
    cache_panel.cache_panel()
