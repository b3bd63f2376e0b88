"""The view of this browser session: read from the URL once, written back after every change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from kernelsm.app.runs import RunMissing, open_run
from kernelsm.app.view import ViewState
from kernelsm.app.words import plain
from kernelsm.outcomes.runs import is_run

_VIEW = "kernelsm_view"
_TABLES = "kernelsm_tables"


def begin() -> None:
    """Read the link at the session's first run; what it cannot mean is dropped with a word to the user."""
    if _VIEW in st.session_state:
        return
    view, ignored = ViewState.from_params(st.query_params.to_dict())
    try:
        outcomes = open_run(view.run).outcomes
    except RunMissing as missing:
        ignored.append(f"run={view.run}")
        st.toast(plain(str(missing)), icon=":material/link_off:")
        view = view.on_run(ViewState().run)
        outcomes = open_run(view.run).outcomes
    if ignored:
        st.toast(f"Parts of the link were not understood and left out: {plain(', '.join(ignored))}")
    st.session_state[_VIEW] = view.within(outcomes.target_names, outcomes.K)
    if is_run(view.run) and view.run not in tables():
        remember_table(view.run, "table from the link")


def view() -> ViewState:
    """Return what the user looks at."""
    state: ViewState = st.session_state[_VIEW]
    return state


def update(**changes: Any) -> None:
    """Change the view; call it in callbacks, so that the page is drawn from the new one."""
    st.session_state[_VIEW] = replace(view(), **changes)


def look_at(run: str) -> None:
    """Turn to another run."""
    st.session_state[_VIEW] = view().on_run(run)


def publish() -> None:
    """Write the view into the URL, so that reloading or sharing it restores it."""
    params = view().to_params()
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)


def tables() -> dict[str, str]:
    """Tables of this session beside the examples: content hash -> title. No other session sees the list."""
    known: dict[str, str] = st.session_state.setdefault(_TABLES, {})
    return known


def remember_table(run: str, title: str) -> None:
    """Add a table to this session's run picker."""
    taken = {other for key, other in tables().items() if key != run}
    st.session_state[_TABLES] = {**tables(), run: f"{title} ({run[:6]})" if title in taken else title}
