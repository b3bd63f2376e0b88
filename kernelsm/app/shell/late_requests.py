"""What the page that was just left still asks for.

A slider moved, or a clock that ticked, between the click on a link and the answer asks for a fragment of the page
that is being left. Streamlit keeps that request until the new page is drawn, then turns back to the old page to
answer it, finds no such fragment, and leaves an empty page behind.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType


def answer() -> None:
    """Call last in app.py: runs this page again where the one before it asks for a fragment.

    A rerun of the whole page replaces the requests for fragments that wait. Nothing public tells of these.
    """
    context = get_script_run_ctx()
    requests = context.script_requests if context is not None else None
    if context is None or requests is None or requests._state != ScriptRequestType.RERUN:
        return
    waiting = requests._rerun_data
    if waiting.fragment_id_queue and waiting.page_script_hash != context.page_script_hash:
        st.rerun()
