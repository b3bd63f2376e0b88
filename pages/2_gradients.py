from kernelsm.app import cache_panel, frame, gradients, navigation, trust

navigation.require_entry()
source = gradients.source()
run = frame.current_run(needs_outcomes=False)
frame.head(
    "Gradients",
    "Logits and gradients of the trained network are computed once. Each subset's outcome then costs one small "
    "convex problem instead of one training.",
    run,
    run_is_aside=True,
)
if not source:
    gradients.blocked(run)
else:
    settings = gradients.job_settings(source)
    gradients.cost_note(settings)
    gradients.recompute(settings)
    if run.key == source:
        trust.trust(run)
        trust.projections(run)
    trust.check_again(settings)
    cache_panel.cache_panel()
