"""The frame: page settings, this session's view, navigation, then the page."""

import streamlit as st

from kernelsm.app.shell import controls, frame, navigation, session
from kernelsm.runtime.threads import limit_blas_threads

navigation.page_settings()


@st.cache_resource(show_spinner=False)
def _once_per_server() -> bool:
    limit_blas_threads()
    return True


_once_per_server()
session.begin()
session.publish()
page = navigation.entry()
controls.turn_to(page.url_path)
frame.sidebar()
page.run()
