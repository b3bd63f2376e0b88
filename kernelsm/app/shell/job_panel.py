"""Start, watch, cancel and resume a job from a page. The job itself never hears of Streamlit."""

from __future__ import annotations

import math
import time

import streamlit as st

from kernelsm.app.shell import controls, disk, session
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.owner import owner
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import JOB_NAMES, duration, plain
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.job import JobSpec, JobStatus
from kernelsm.runtime.jobs import JobRegistry, Place
from kernelsm.runtime.started_jobs import StartedJob, StartedJobs, kind_of
from kernelsm.workspace.tables import TABLES


@st.cache_resource(show_spinner=False)
def registry() -> JobRegistry:
    """Return the jobs of this server; all sessions see the same."""
    return JobRegistry(present=visitors().present)


def cancel_button(label: str, job: str, *, running: bool, key: str) -> None:
    """Draw the button that cancels a job; only who started it can press it."""
    mine = running and registry().owns(job, owner())
    others = "Another visitor started this work, and only who started it can cancel it."
    st.button(
        label, icon=":material/stop:", disabled=not mine, on_click=_cancel, args=(job,), key=key,
        help=others if running and not mine else None,
    )  # fmt: skip


def job_panel(
    spec: JobSpec,
    estimate: float,
    result_title: str,
    *,
    start: str = "Recompute",
    cancel: str = "Cancel",
    key: str = "job",
) -> None:
    """Draw the buttons and the progress of one job.

    Parameters
    ----------
    spec : JobSpec
        What the button starts.
    estimate : float
        Seconds that it takes when nothing is cached.
    result_title : str
        Title of what comes of it, in the run picker and in the list of jobs; "" where it is about the run, or the
        project, that is looked at.
    start : str
        What the start button says where there is nothing to resume.
    cancel : str
        What the button that stops it says.
    key : str
        Prefix of the buttons' keys; other than "job" for a second panel on a page.
    """
    status = registry().status(spec.key)
    running = status is not None and status.active
    st.fragment(disk.telling(_panel), run_every=visitors().refresh() if running else None)(
        spec, estimate, result_title, start, cancel, key, running
    )


def start_job(spec: JobSpec, title: str, estimate: float) -> None:
    """Start a job of this session, and put it on its list; call it in callbacks.

    Parameters
    ----------
    spec : JobSpec
    title : str
        Of what comes of it; "" where it is about the run, or the project, that is looked at.
    estimate : float
        Seconds that it takes by measured rates.

    Raises
    ------
    InputError
        This session has as many jobs as one may have.
    OSError
        The cache cannot be written to.
    """
    registry().start(spec, owner())
    view = session.view()
    words = JOB_NAMES.get(spec.work.partition(":")[0].rpartition(".")[2], "Work")
    name = title or (session.title_of(view.project) if view.project else session.run_title(open_run(view.run)))
    job = StartedJob(spec.key, f"{words}: {name}", controls.page(), kind_of(spec), estimate, time.time())
    started().add(owner(), job)


def started() -> StartedJobs:
    """Return the lists of who started what."""
    return StartedJobs(registry().root.parent)


@st.cache_data(ttl=30, show_spinner=False)
def pace(kind: str) -> float:
    """How many times its estimate a job of a kind has taken on this server."""
    return started().pace(kind)


def _panel(
    spec: JobSpec, estimate: float, result_title: str, start: str, cancel: str, key: str, was_running: bool
) -> None:
    status = registry().status(spec.key)
    running = status is not None and status.active
    if running != was_running:
        st.rerun()  # the whole page: the clock of this fragment starts or stops
    of_another = running and not registry().owns(spec.key, owner())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            _start_label(status, start), icon=":material/play_arrow:", type="primary",
            disabled=running and not of_another, on_click=start_in_panel, key=f"{key}_start",
            args=(spec, key, result_title, estimate),
            help="Another visitor started the same work. Start it too, and it goes on where that one cancels it."
            if of_another else None,
        )  # fmt: skip
        cancel_button(cancel, spec.key, running=running, key=f"{key}_cancel")
        if status is None or not (running or status.state == "done"):  # else the progress or the end says it better
            st.caption(_takes(spec, estimate))
    if refused := st.session_state.pop(_refusal(key), ""):
        st.warning(plain(refused), icon=":material/hourglass_top:")
    if status is not None:
        progress(status, spec.key)
        if status.state == "done" and status.result and "run" in status.result:
            run = status.result["run"]
            st.button(
                "Show this result on all pages",
                icon=":material/visibility:",
                on_click=open_result,
                args=(run, result_title),
            )
        if log := registry().log(spec.key):
            with st.expander("Log"):
                st.code(log, language=None)


def _takes(spec: JobSpec, estimate: float) -> str:
    """What the job will take: by measured rates, and by how long such jobs took here."""
    if math.isinf(estimate):
        return "How long it takes was not timed: a short try did not end within its time."
    factor = pace(kind_of(spec))
    if factor == 1.0:
        return f"Takes {duration(estimate)} on two cores when nothing is cached."
    return f"Takes {duration(estimate * factor)} when nothing is cached, as such work took on this server."


@disk.callback
def start_in_panel(spec: JobSpec, key: str, title: str, estimate: float) -> None:
    """Start a job whose panel has these buttons; it says there why where it was not started."""
    try:
        start_job(spec, title, estimate)
    except InputError as error:
        st.session_state[_refusal(key)] = str(error)


@disk.callback
def _cancel(job: str) -> None:
    registry().cancel(job, owner())


def _refusal(key: str) -> str:
    """Where the session keeps why the job of a panel was not started, until it is shown."""
    return f"kernelsm_refused_{key}"


@disk.callback
def open_result(run: str, title: str) -> None:
    """Turn to the table that a job kept, and add it to the run picker; call it in callbacks."""
    session.bring(TABLES, run, title)
    session.open_kept(TABLES, run)
    session.publish()
    st.rerun()


def _start_label(status: JobStatus | None, start: str) -> str:
    if status is None:
        return start
    resumable = status.state in ("cancelled", "interrupted", "failed") and status.done > 0
    return "Resume" if resumable else start


def progress(status: JobStatus, job: str) -> None:
    """Draw how far the job of a key is, or how it ended."""
    fraction = min(status.done / status.total, 1.0) if status.total else 0.0
    if status.state == "queued":
        st.progress(0.0, text=_waiting(registry().place(job)))
    elif status.state == "running":
        left = f" · {duration(status.eta)} left" if status.eta else ""
        st.progress(
            fraction, text=f"{fraction:.0%} · {plain(status.message)}{left} · {duration(status.elapsed)} so far"
        )
    elif status.state == "done":
        took = duration(status.elapsed)
        if status.computed == 0:
            there = "the one chunk was" if status.reused == 1 else f"all {status.reused} chunks were"
            st.success(f"Cache hit: {there} there, nothing was recomputed ({took}).")
        else:
            reused = f", {status.reused} from the cache" if status.reused else ""
            chunks = f"{status.computed} chunk{'s' if status.computed > 1 else ''}"
            st.success(f"Finished in {took}: {chunks} computed{reused}.")
    elif status.state == "failed":
        st.error(f"The job failed: {plain(status.error)} What was finished is kept; start again to resume.")
    else:
        how = "Interrupted: the server or the job's process ended"
        if status.state == "cancelled":
            how = plain(status.message.partition(";")[0].capitalize()) or "Cancelled"
        st.warning(f"{how} at {fraction:.0%}. Finished chunks are kept; Resume continues from there.")


def _waiting(place: Place | None) -> str:
    """Say where in the queue a job stands."""
    if place is None:
        return "Starting."
    at_work = "1 job runs" if place.running == 1 else f"{place.running} jobs run"
    if place.waiting == 1:
        return f"Waiting: next in the queue; {at_work} now."
    return f"Waiting: place {place.number} of {place.waiting} in the queue; {at_work} now."
