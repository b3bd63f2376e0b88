"""The pages in the order of the algorithm, and the guard that every page starts with.

Streamlit runs a file of a folder named `pages` by itself when a deep link is the first request to a fresh server,
without app.py. `entry` leaves a mark that `require_entry` takes away: a page without the mark starts again through
the navigation.
"""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

_MARK = "kernelsm_entered"

START, DATA, GRADIENTS = "pages/0_start.py", "pages/1_data.py", "pages/2_gradients.py"
SUBSETS, FIT, EXPLORE = "pages/3_subsets.py", "pages/4_fit.py", "pages/5_explore.py"


def _pages() -> list[StreamlitPage]:
    return [
        st.Page(START, title="Start", icon=":material/home:", default=True),
        st.Page(DATA, title="Data & model", icon=":material/database:", url_path="data"),
        st.Page(GRADIENTS, title="Gradients", icon=":material/trending_down:", url_path="gradients"),
        st.Page(SUBSETS, title="Subsets", icon=":material/grid_on:", url_path="subsets"),
        st.Page(FIT, title="Fit", icon=":material/tune:", url_path="fit"),
        st.Page(EXPLORE, title="Explore", icon=":material/hub:", url_path="explore"),
    ]


def entry() -> StreamlitPage:
    """Call once in app.py: returns the page to run."""
    st.session_state[_MARK] = True
    return st.navigation(_pages())


def require_entry() -> None:
    """Call first in every page: goes back through app.py where the page was run without it."""
    if not st.session_state.pop(_MARK, False):
        st.navigation(_pages())
        st.rerun()
