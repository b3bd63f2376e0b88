"""On runs of prompts: which number counts, where a page shows those of a surrogate that knows no order."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.shell import navigation
from kernelsm.app.shell.open_runs import Run, known_orders


def prompts_note(run: Run) -> None:
    """Say of a run of prompts that the page's surrogate sees no order, and link to the one that does."""
    if not run.prompts:
        return
    orders = known_orders(run.key) is not None
    with st.container(border=True, key="prompts_note"):
        st.markdown(
            "**These subsets are prompts.** What counts of a prompt is its prediction on *Demonstrations*"
            f"{', in its order' if orders else ''}. The surrogate here is told which demonstrations are in, "
            f"{'not their order and ' if orders else ''}not their labels: where both differ, go by that one."
        )
        st.page_link(
            navigation.DEMONSTRATIONS, label="Predict prompts on Demonstrations", icon=":material/arrow_forward:"
        )
