from kernelsm.app.compare import methods, two_views
from kernelsm.app.shell import controls, frame, navigation, session

navigation.require_entry()
run = frame.current_run(whole=True)
frame.head(
    "Compare",
    two_views.SENTENCE if session.view().compared == "views" else methods.SENTENCE,
    run,
)
if controls.comparison_picker() == "views":
    two_views.two_views()
else:
    methods.compare(run)
