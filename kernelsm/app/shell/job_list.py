"""The list of what this visitor has started, beside every page: what waits, runs, is done or failed."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.shell import disk, navigation
from kernelsm.app.shell.job_panel import cancel_button, open_result, registry, started
from kernelsm.app.shell.owner import owner
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import duration, plain
from kernelsm.runtime.job import JobStatus
from kernelsm.runtime.started_jobs import StartedJob

OPEN_KEY = "kernelsm_jobs"


def draw_in_sidebar() -> None:
    """Draw the list below the other buttons, where there is anything to list."""
    jobs = _known()
    if not jobs:
        return
    active = any(status.active for _, status in jobs)
    with st.sidebar:
        st.fragment(disk.telling(_list), run_every=visitors().refresh() if active else None)(active)


def _list(was_active: bool) -> None:
    jobs = _known()
    at_work = sum(status.active for _, status in jobs)
    if bool(at_work) != was_active:
        st.rerun()  # the whole page: it may show the result, and the clock of this list starts or stops
    label = f"Jobs ({at_work} at work)" if at_work else "Jobs"
    with st.popover(label, icon=":material/list_alt:", width="stretch", key=OPEN_KEY):
        for job, status in jobs:
            _one(job, status)


def _known() -> list[tuple[StartedJob, JobStatus]]:
    """The jobs on this visitor's list whose folders are still there."""
    found = ((job, registry().status(job.key)) for job in started().of(owner()))
    return [(job, status) for job, status in found if status is not None]


def _one(job: StartedJob, status: JobStatus) -> None:
    st.markdown(f"**{plain(job.title)}**")
    st.caption(_state(status))
    page = navigation.page_of(job.page)
    with st.container(horizontal=True, vertical_alignment="center"):
        if page is not None:
            st.page_link(page, label=f"Go to {page.title}")
        if status.active:
            cancel_button("Cancel this job", job.key, running=True, key=f"list_cancel_{job.key}")
        elif status.state == "done" and status.result and "run" in status.result:
            st.button(
                "Show the result", icon=":material/visibility:", key=f"list_show_{job.key}", on_click=open_result,
                args=(status.result["run"], job.title.partition(": ")[2] or job.title),
            )  # fmt: skip


def _state(status: JobStatus) -> str:
    """How far a job is, in a few words."""
    share = f"{min(status.done / status.total, 1.0):.0%}" if status.total else "0%"
    if status.state == "queued":
        return "Waits for its turn."
    if status.state == "running":
        return f"{share}{f', {duration(status.eta)} left' if status.eta else ''}, {duration(status.elapsed)} so far"
    if status.state == "done":
        return f"Done, in {duration(status.elapsed)}."
    if status.state == "failed":
        return f"Failed: {plain(status.error)}"
    return f"{status.state.capitalize()} at {share}; what was finished is kept, and its page resumes it."
