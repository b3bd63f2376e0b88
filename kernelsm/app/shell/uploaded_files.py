"""Files that a session uploads: each is kept once, and named by its content from then on."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from kernelsm.app.shell import rights, session
from kernelsm.runtime.errors import InputError
from kernelsm.workspace.housekeeping import bounds
from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.uploads import is_uploaded, keep_upload

_KEPT, _SIZES = "kernelsm_uploads", "kernelsm_upload_sizes"


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
