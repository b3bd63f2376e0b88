"""Files that a session uploads: each is kept once, and named by its content from then on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.uploads import keep_upload

_KEPT = "kernelsm_uploads"


def keep_file(file: Any) -> FileRef:
    """Keep an uploaded file, and return where; asked again it is not hashed again."""
    known: dict[str, str] = st.session_state.setdefault(_KEPT, {})
    if file.file_id not in known:
        known[file.file_id] = keep_upload(file.getbuffer(), file.name)
    return FileRef(known[file.file_id], file.name)
