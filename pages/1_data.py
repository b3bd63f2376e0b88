from kernelsm.app.data import bring, gallery
from kernelsm.app.shell import frame, navigation

navigation.require_entry()
run = frame.current_run(needs_outcomes=False, whole=True)
frame.head(
    "Data & model",
    "Open a finished example, or bring your own: samples and a network, or outcomes that were measured elsewhere.",
    run,
)
gallery.gallery()
bring.bring()
