"""Files that a session uploads: each is kept once, and named by its content from then on."""

from __future__ import annotations

import math
from threading import Lock
from typing import Any

import streamlit as st

from kernelsm.app.shell import rights, session
from kernelsm.app.shell.words import plain
from kernelsm.runtime.errors import InputError
from kernelsm.workspace.housekeeping import bounds
from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.uploads import is_uploaded, keep_upload

ONE_AT_A_TIME = Lock()
"""Held by who reads a whole file: a large one takes a multiple of its size in memory."""
_KEPT, _SIZES, _DROPPED = "kernelsm_uploads", "kernelsm_upload_sizes", "kernelsm_dropped"


def dropped_file(label: str, key: str, megabytes: int) -> FileRef | None:
    """Draw the place where a file is dropped, and return the file; it stays when the page is left and returned to.

    Parameters
    ----------
    label, key : str
        Of the place.
    megabytes : int
        The largest file that is taken.

    Returns
    -------
    FileRef or None
        None where there is no file, or it was put away.

    Raises
    ------
    InputError
        This session, or all of them together, have sent as much as they may.
    """
    dropped: dict[str, FileRef] = st.session_state.setdefault(_DROPPED, {})
    file = st.file_uploader(label, key=key, max_upload_size=megabytes, on_change=_changed, args=(key,))
    if file is not None:
        dropped[key] = keep_file(file)
        return dropped[key]
    before = dropped.get(key)
    if before is None or not is_uploaded(before.key):
        return None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"**{plain(before.name)}**, which you brought before.")
        st.button("Put it away", icon=":material/close:", key=f"{key}_away", on_click=_put_away, args=(key,))
    return before


def _changed(key: str) -> None:
    """Forget a file that was taken away."""
    if st.session_state.get(key) is None:
        _put_away(key)


def _put_away(key: str) -> None:
    st.session_state.get(_DROPPED, {}).pop(key, None)


def keep_file(file: Any) -> FileRef:
    """Keep an uploaded file, and return where; asked again it is not hashed again.

    Raises
    ------
    InputError
        This session, or all of them together, have sent as much as they may.
    """
    known: dict[str, str] = st.session_state.setdefault(_KEPT, {})
    if file.file_id not in known:
        check_room(file.size)
        known[file.file_id] = keep_upload(file.getbuffer(), file.name)
        st.session_state.setdefault(_SIZES, {})[known[file.file_id]] = file.size
    return FileRef(known[file.file_id], file.name)


def check_room(size: int) -> None:
    """Refuse so many further bytes where this session would have more than one may.

    Raises
    ------
    InputError
        Says how much there is, and what to do.
    """
    sent: dict[str, int] = st.session_state.setdefault(_SIZES, {})
    uploads = sum(bytes_sent for key, bytes_sent in sent.items() if is_uploaded(key))
    kept = sum(kind.size(key) for key, kind in session.everything().items() if rights.owns(kind, key))
    most = bounds().session_megabytes
    found = math.ceil((uploads + kept + size) / 2**20)
    if found > most:
        fix = "Delete what you do not need under What you brought and computed; uploads go by themselves after a day."
        raise InputError("what you sent and keep", f"{found:,} MiB", f"at most {most:,} MiB for each visitor", fix)
