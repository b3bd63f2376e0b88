"""Which sessions hold which content: what another one brought too is not deleted with this one's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakSet

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

_SELF = "kernelsm_session"


@dataclass(frozen=True, eq=False)
class _Holder:
    """A session; it lives as long as what the session remembers."""

    session: str

    def connected(self) -> bool:
        """Whether a browser still shows it: a page that was closed or loaded anew does not come back to it."""
        return not exists() or get_instance().is_active_session(self.session)


def hold(keys: Iterable[str]) -> None:
    """Say that this session holds tables or projects of these keys."""
    for key in keys:
        _holders().setdefault(key, WeakSet()).add(_me())


def let_go(key: str) -> bool:
    """Say that this session holds it no longer; returns whether no other one does."""
    holders = _holders().get(key, WeakSet())
    holders.discard(_me())
    return not any(holder.connected() for holder in holders)


def _me() -> _Holder:
    if _SELF not in st.session_state:
        context = get_script_run_ctx()
        st.session_state[_SELF] = _Holder(context.session_id if context else "")
    holder: _Holder = st.session_state[_SELF]
    return holder


@st.cache_resource(show_spinner=False)
def _holders() -> dict[str, WeakSet[_Holder]]:
    return {}
