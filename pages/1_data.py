from kernelsm.app import data, frame, navigation

navigation.require_entry()
run = frame.current_run()
frame.head(
    "Data & model",
    "Open a finished example, or bring a table of subsets and outcomes measured elsewhere: it needs no model.",
    run,
)
data.gallery()
data.upload()
