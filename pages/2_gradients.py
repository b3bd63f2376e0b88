from kernelsm.app import cache_panel, frame, gradients, navigation, trust

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Gradients",
    "Logits and gradients of the trained network are computed once. Each subset's outcome then costs one small "
    "convex problem instead of one training.",
    run,
)
if run.example is None or not run.example.has_model:
    gradients.blocked(run)
else:
    settings = gradients.job_settings(run)
    gradients.cost_note(settings)
    gradients.recompute(settings)
    trust.trust(run)
    trust.projections(run)
    trust.check_again(settings)
    cache_panel.cache_panel()
