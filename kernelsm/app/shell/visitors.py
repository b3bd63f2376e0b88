"""Who is here: the owners whose pages are open now, asked for by the queue of jobs from threads of its own."""

from __future__ import annotations

import threading

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from kernelsm.app.shell.owner import owner

_OFTEN, _LOOKS_A_SECOND = 0.5, 30


class Visitors:
    """Owners by the Streamlit session that shows their pages."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._lock = threading.Lock()

    def note(self) -> None:
        """Say that this session's owner is here."""
        if context := get_script_run_ctx():
            with self._lock:
                self._owners[context.session_id] = owner()

    def refresh(self) -> float:
        """Return the seconds after which a page looks at a job again: the more are here, the less often each does."""
        with self._lock:
            return max(_OFTEN, len(self._owners) / _LOOKS_A_SECOND)

    def present(self) -> set[str]:
        """Return the owners of whom a browser still shows a page; who has left is forgotten."""
        with self._lock:
            if exists():
                runtime = get_instance()
                self._owners = {
                    session: name for session, name in self._owners.items() if runtime.is_active_session(session)
                }
            return set(self._owners.values())


@st.cache_resource(show_spinner=False)
def visitors() -> Visitors:
    """Return the visitors of this server."""
    return Visitors()
