"""The frame: page settings, this session's view, navigation, then the page."""

import streamlit as st

from kernelsm.app.shell import controls, disk, frame, navigation, session, upkeep
from kernelsm.runtime.threads import limit_blas_threads

navigation.page_settings()


@st.cache_resource(show_spinner=False)
def _once_per_server() -> bool:
    limit_blas_threads()
    upkeep.begin()
    return True


_once_per_server()
with disk.told():
    session.begin()
    session.publish()
only_lessons = session.has_begun() and session.view().only_lessons
page = navigation.entry(only_lessons=only_lessons)
if session.has_begun():
    with disk.told():
        controls.turn_to(page.url_path)
        if not only_lessons:
            frame.sidebar()
        page.run()
