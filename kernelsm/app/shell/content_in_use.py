"""Which sessions use which content: content that another session uses too is not deleted with this one's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakSet

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

_THIS_SESSION = "kernelsm_session"


@dataclass(frozen=True, eq=False)
class _Session:
    """A session; it lives as long as the session's state."""

    session_id: str

    def connected(self) -> bool:
        """Whether a browser still shows it: a page that was closed or loaded anew does not come back to it."""
        return not exists() or get_instance().is_active_session(self.session_id)


def use(keys: Iterable[str]) -> None:
    """Say that this session uses the content of these keys."""
    for key in keys:
        _users().setdefault(key, WeakSet()).add(_this_session())


def stop_using(key: str) -> bool:
    """Say that this session uses it no longer; returns whether another one does."""
    users = _users().get(key, WeakSet())
    users.discard(_this_session())
    return any(user.connected() for user in users)


def _this_session() -> _Session:
    if _THIS_SESSION not in st.session_state:
        context = get_script_run_ctx()
        st.session_state[_THIS_SESSION] = _Session(context.session_id if context else "")
    session: _Session = st.session_state[_THIS_SESSION]
    return session


@st.cache_resource(show_spinner=False)
def _users() -> dict[str, WeakSet[_Session]]:
    return {}
