"""Files that take more than a moment to write: a job with progress that can be cancelled, then the file."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.shell import disk
from kernelsm.app.shell.job_panel import cancel_button, progress, registry, start_job
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import duration, plain
from kernelsm.export.written_file import FileToWrite, written_by
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import Store


def long_file(label: str, file: FileToWrite, name: str, mime: str, seconds: float, *, icon: str) -> None:
    """Draw the button that starts writing a file, how far it is, and the file where it is written."""
    st.fragment(disk.telling(_panel), run_every=visitors().refresh())(label, file, name, mime, seconds, icon)


def _panel(label: str, file: FileToWrite, name: str, mime: str, seconds: float, icon: str) -> None:
    """One file; it looks after itself as long as the dialog is open."""
    job = file.job().key
    status = registry().status(job)
    running = status is not None and status.active
    written = _written(job) if status is not None and status.state == "done" else None
    if written is not None:
        st.download_button(
            label, written, name, mime, icon=":material/download_done:", on_click="ignore", width="stretch",
            key=f"take_{label}",
        )  # fmt: skip
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Write: {label}", icon=icon, width="stretch", disabled=running, on_click=_start,
            args=(file, label, seconds), key=f"write_{label}",
        )  # fmt: skip
        cancel_button("Cancel", job, running=running, key=f"cancel_{label}")
    if refused := st.session_state.pop(_refusal(file), ""):
        st.warning(plain(refused), icon=":material/hourglass_top:")
    if status is not None and status.state != "done":  # else it was dropped from the cache since
        progress(status, job)
    elif not running:
        st.caption(f"Takes {duration(seconds)}; the page goes on meanwhile.")


def _written(job: str) -> bytes | None:
    """The file that a job wrote; None where it was dropped from the cache since."""
    try:
        return _kept(job)
    except LookupError:
        return None


@st.cache_data(max_entries=8, show_spinner=False)
def _kept(job: str) -> bytes:
    if (found := written_by(job, Store())) is None:
        raise LookupError(job)
    return found


@disk.callback
def _start(file: FileToWrite, label: str, seconds: float) -> None:
    try:
        start_job(file.job(), label, seconds)
    except InputError as error:
        st.session_state[_refusal(file)] = str(error)


def _refusal(file: FileToWrite) -> str:
    """Where the session keeps why writing was not started, until it is shown."""
    return f"kernelsm_refused_{file.kind}"
