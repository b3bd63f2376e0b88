"""Demonstrations: what the model is being asked about these texts, found again after the page was opened anew."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kernelsm.app.shell import disk, session
from kernelsm.app.shell.job_panel import cancel_button, open_result, progress, registry, started
from kernelsm.app.shell.owner import owner
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import plain
from kernelsm.runtime.job import JobStatus, read_spec
from kernelsm.runtime.started_jobs import StartedJob
from kernelsm.workspace.tables import TABLES

_DRAWN = "kernelsm_demo_jobs_drawn"


def begin() -> DeltaGenerator:
    """Return the place for the work under way, which is filled once it is known what panels are on the page."""
    st.session_state[_DRAWN] = set()
    return st.container()


def drawn(job: str) -> None:
    """Say that a panel of the page shows a job."""
    st.session_state.setdefault(_DRAWN, set()).add(job)


def show(place: DeltaGenerator, source: str, run: str = "") -> None:
    """Draw the jobs of these texts that this visitor started and that no panel of the page shows.

    Parameters
    ----------
    place : DeltaGenerator
        From `begin`.
    source : str
        Of the texts.
    run : str
        Key of the run that is looked at: a newer one that has come meanwhile is offered.
    """
    with place:
        for job, status in _of_texts(source):
            if status.active:
                with st.container(border=True):
                    st.fragment(disk.telling(_running), run_every=visitors().refresh())(job)
        if (newest := _newest_result(source)) and newest[1] != run and newest[1] not in session.titles(TABLES):
            job, result = newest
            with st.container(border=True, horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(job.title)}** has ended.")
                st.button(
                    "Show the result", icon=":material/visibility:", key=f"demo_came_{job.key}",
                    on_click=open_result, args=(result, job.title.partition(": ")[2] or job.title),
                )  # fmt: skip


def _of_texts(source: str) -> list[tuple[StartedJob, JobStatus]]:
    found = []
    for job in started().of(owner()):
        status = registry().status(job.key)
        if status is None or job.key in st.session_state.get(_DRAWN, ()):
            continue
        spec = read_spec(registry().folder(job.key))
        if spec is not None and spec.arguments.get("source") == source:
            found.append((job, status))
    return found


def _newest_result(source: str) -> tuple[StartedJob, str] | None:
    """The job of these texts that ended last with a table, and the key of that; only if it was started last."""
    for job, status in _of_texts(source):
        if status.state == "done" and status.result and isinstance(status.result.get("run"), str):
            return job, status.result["run"]
    return None


def _running(job: StartedJob) -> None:
    status = registry().status(job.key)
    if status is None or not status.active:
        st.rerun()  # the whole page: what has come is shown in place of the progress
    st.markdown(f"**{plain(job.title)}**")
    progress(status, job.key)
    cancel_button("Cancel", job.key, running=True, key=f"demo_cancel_{job.key}")
