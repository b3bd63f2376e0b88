from kernelsm.app import frame, navigation

navigation.require_entry()
run = frame.current_run(needs_outcomes=False)
frame.head("Demonstrations", "Which examples to show in a prompt.", run)
