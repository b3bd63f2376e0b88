"""The button that opens the dialog Take away; what the dialog needs is loaded when it is first opened."""

from __future__ import annotations

import streamlit as st

OPEN_KEY, _ASKED = "take_away_open", "kernelsm_take_away_asked"


def draw_in_sidebar() -> None:
    """Draw the button below the link, and the dialog after a press."""
    with st.sidebar:
        st.button("Take away", icon=":material/download:", width="stretch", key=OPEN_KEY, on_click=_ask)
    # noted by the callback: on a cold server the run after a press begins anew
    if st.session_state.pop(_ASKED, False):
        from kernelsm.app.take_away.dialog import show

        show()


def _ask() -> None:
    st.session_state[_ASKED] = True
