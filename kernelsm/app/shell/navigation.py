"""The pages in the order of the algorithm, and the guard that every page starts with.

Streamlit runs a file of a folder named `pages` by itself when a deep link is the first request to a fresh server,
without app.py. `entry` leaves a mark that `require_entry` takes away: a page without the mark starts again through
the navigation.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from kernelsm.app.administration import access

ICON = str(Path(__file__).with_name("icon.svg"))
_SHEET = Path(__file__).with_name("page.css")
_SIDEBAR = 220  # pixels: on a projector of 1280 the charts need the rest
_MARK, _GOAL = "kernelsm_entered", "kernelsm_goal"

START, DATA, GRADIENTS = "pages/0_start.py", "pages/1_data.py", "pages/2_gradients.py"
SUBSETS, FIT, EXPLORE = "pages/3_subsets.py", "pages/4_fit.py", "pages/5_explore.py"
DECIDE, DEMONSTRATIONS = "pages/6_decide.py", "pages/7_demonstrations.py"
COMPARE, PAPER = "pages/8_compare.py", "pages/9_paper.py"
ADMINISTRATION = "pages/10_administration.py"
LEARN = "pages/11_learn.py"


def _pages() -> list[StreamlitPage]:
    return [
        st.Page(START, title="Start", icon=":material/home:", default=True),
        st.Page(LEARN, title="Learn", icon=":material/school:", url_path="learn"),
        st.Page(DATA, title="Data & model", icon=":material/database:", url_path="data"),
        st.Page(GRADIENTS, title="Gradients", icon=":material/trending_down:", url_path="gradients"),
        st.Page(SUBSETS, title="Subsets", icon=":material/grid_on:", url_path="subsets"),
        st.Page(FIT, title="Fit", icon=":material/tune:", url_path="fit"),
        st.Page(EXPLORE, title="Explore", icon=":material/hub:", url_path="explore"),
        st.Page(DECIDE, title="Decide", icon=":material/rule:", url_path="decide"),
        st.Page(
            DEMONSTRATIONS, title="Demonstrations", icon=":material/format_list_numbered:", url_path="demonstrations"
        ),
        st.Page(COMPARE, title="Compare", icon=":material/compare_arrows:", url_path="compare"),
        st.Page(PAPER, title="Paper", icon=":material/article:", url_path="paper"),
        # without a password it is not in the list, and says how it is turned on
        st.Page(
            ADMINISTRATION, title="Administration", icon=":material/admin_panel_settings:", url_path="administration",
            visibility="visible" if access.is_on() else "hidden",
        ),
    ]  # fmt: skip


def page_of(path: str) -> StreamlitPage | None:
    """Return a page that is in the list by its path; None where there is none."""
    return next((page for page in _pages() if page.url_path == path and page.visibility == "visible"), None)


def page_settings() -> None:
    """Set title, icon, width and looks; without an icon of our own Streamlit fetches one from a font server."""
    st.set_page_config(page_title="kernelsm", page_icon=ICON, layout="wide", initial_sidebar_state=_SIDEBAR)
    st.html(_style())


@cache
def _style() -> str:
    # Streamlit puts a style alone where toasts are, and the next toast would take its place
    return f'<style>{_SHEET.read_text()}</style><span class="kernelsm-style"></span>'


def entry(*, only_lessons: bool = False, embedded: bool = False) -> StreamlitPage:
    """Call once in app.py: returns the page to run; with `only_lessons` that is Learn, and no other is in the list.

    A page that is `embedded` in another stands there without the list.
    """
    st.session_state[_MARK] = True
    page = st.navigation(_pages(), position="hidden" if only_lessons or embedded else "sidebar")
    goal = st.session_state.pop(_GOAL, None)
    if only_lessons and page.url_path != "learn":
        goal = LEARN
    if goal:
        st.switch_page(goal)
    return page


def go(page: str) -> None:
    """Turn to another page; for callbacks, which run before the pages are known."""
    st.session_state[_GOAL] = page


def require_entry() -> None:
    """Call first in every page: goes back through app.py where the page was run without it."""
    if not st.session_state.pop(_MARK, False):
        page_settings()
        st.navigation(_pages())
        st.rerun()
