"""Who may see the administrator's page: who knows the password that the server was started with."""

from __future__ import annotations

import hashlib
import hmac
import os
import time

import streamlit as st

VARIABLE = "KERNELSM_ADMIN_PASSWORD"
_FEWEST = 12
_GIVEN, _FIELD = "kernelsm_admin", "admin_password"
_SECONDS_AFTER_A_WRONG_ONE = 1.0


def is_on() -> bool:
    """Whether the server has such a page: a password of at least twelve characters is set."""
    return len(os.environ.get(VARIABLE, "")) >= _FEWEST


def asked() -> bool:
    """Ask for the password until it was given; returns whether it was."""
    if not is_on():
        st.info(
            f"This page is off. Start the server with {VARIABLE} set to a password of at least {_FEWEST} characters "
            "to turn it on.",
            icon=":material/info:",
        )
        return False
    password = os.environ[VARIABLE]
    if st.session_state.get(_GIVEN) != _hash(password):
        _ask(password)
    return st.session_state.get(_GIVEN) == _hash(password)


def _ask(password: str) -> None:
    given = st.text_input("Password of the administrator", type="password", key=_FIELD, max_chars=200)
    if not given:
        return
    if not hmac.compare_digest(given.encode(), password.encode()):
        time.sleep(_SECONDS_AFTER_A_WRONG_ONE)
        st.error("That is not the password.")
        return
    st.session_state[_GIVEN] = _hash(password)
    st.rerun()


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
