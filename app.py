"""The frame: page settings, this session's view, navigation, then the page."""

import streamlit as st

from kernelsm.app.shell import controls, disk, frame, job_list, late_requests, navigation, pins, session, upkeep
from kernelsm.app.take_away import opening as take_away
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
embedded = bool(st.context.is_embedded)  # ?embed=true, in a frame of another page: nothing but the page
page = navigation.entry(only_lessons=only_lessons, embedded=embedded)
if session.has_begun():
    with disk.told():
        controls.turn_to(page.url_path)
        if not (only_lessons or embedded):
            frame.sidebar()
            pins.draw_in_sidebar()
            take_away.draw_in_sidebar()
            job_list.draw_in_sidebar()
        page.run()
        late_requests.answer()
