"""All jobs that wait or run, on every server of this cache, and the buttons that end them."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import streamlit as st

from kernelsm.app.shell import disk
from kernelsm.app.shell.job_panel import registry
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import duration
from kernelsm.runtime.job import read_spec
from kernelsm.runtime.job_queue import QueuedJob

_REFRESH = timedelta(seconds=2)
_LONGEST = 120


@st.fragment(run_every=_REFRESH)
@disk.telling
def all_jobs() -> None:
    """Draw the list, and end one of them or all."""
    jobs = registry().jobs()
    here = len(visitors().present())
    at_work = sum(job.running for job in jobs)
    st.markdown(
        f"**{at_work}** at work, **{len(jobs) - at_work}** waiting; at most {registry().at_once} at once on a "
        f"machine, {registry().per_owner} for each visitor. {here} visitor{'s' if here != 1 else ''} here now."
    )
    if not jobs:
        st.caption("No job waits or runs.")
        return
    rows = [_row(turn, job) for turn, job in enumerate(jobs, start=1 - at_work)]
    show_table(pd.DataFrame(rows), hide_index=True, alt="Jobs that wait or run")
    names = {job.key: f"{row['job']} · {row['work']}" for job, row in zip(jobs, rows, strict=True)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Job", list(names), format_func=lambda key: names.get(key, key[:8]), key="admin_job")
        st.button("End it", icon=":material/stop:", on_click=_end, args=([chosen],), key="admin_end")
        st.button("End all", icon=":material/stop_circle:", on_click=_end, args=(list(names),), key="admin_end_all")
    st.caption("What a job has finished is kept, and who started it can resume it.")


def _row(turn: int, job: QueuedJob) -> dict[str, str]:
    status, spec = registry().status(job.key), read_spec(registry().folder(job.key))
    fraction = f"{status.done / status.total:.0%}" if status and status.total else ""
    return {
        "job": job.key[:8],
        "state": "ending" if job.ending else "running" if job.running else f"waiting, turn {turn}",
        "done": fraction,
        "so far": duration(status.elapsed) if status and job.running else "",
        "started by": ", ".join(owner[:6] or "a script" for owner in job.owners),
        "work": spec.work.rpartition(".")[2].replace(":", " ") if spec else "",
        "machine": job.machine.partition(" ")[0],
        "with": json.dumps(spec.arguments)[:_LONGEST] if spec else "",
    }


@disk.callback
def _end(keys: list[str]) -> None:
    for key in keys:
        registry().end(key, "ended")
