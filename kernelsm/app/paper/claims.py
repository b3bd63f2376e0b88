"""The page Paper: all claims with their verdicts, and one of them with its numbers, run anew where that is quick."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from kernelsm.app.shell import controls, session, spoken
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import duration, plain
from kernelsm.paper.finding import Finding
from kernelsm.paper.findings import load_findings
from kernelsm.paper.live import LIVE
from kernelsm.paper.wording import AS_CLAIMED, words_of
from kernelsm.pipelines.run_settings import START_SECONDS
from kernelsm.runtime.job import JobSpec

_ICONS = {"holds": ":material/check_circle:", "holds in part": ":material/contrast:", "not here": ":material/cancel:"}


@st.cache_resource(show_spinner=False)
def _findings() -> dict[str, Finding]:
    return {found.key: found for found in load_findings()}


def tally() -> str:
    """Return how many claims hold."""
    counts = Counter(found.verdict for found in _findings().values())
    return (
        f"{sum(counts.values())} figures, tables and statements · {counts['holds']} hold · "
        f"{counts['holds in part']} hold in part · {counts['not here']} not here"
    )


def overview() -> None:
    """Draw one line for each claim."""
    findings = _findings().values()
    # a table of text: its lines wrap, so that nothing is cut or out of sight on a narrow page
    st.table(
        pd.DataFrame(
            {
                "verdict": [found.verdict for found in findings],
                "the paper says": [plain(found.claim) for found in findings],
                "runs in": [duration(found.seconds) for found in findings],
            },
            index=pd.Index([found.place for found in findings], name="where"),
        )
    )


def one_claim() -> None:
    """Draw the claim that is looked at, and offer to run it anew."""
    findings = _findings()
    controls.claim_picker({key: found.place for key, found in findings.items()})
    key = session.view().claim
    found = findings[key if key in findings else next(iter(findings))]
    _show(found)
    if found.key in LIVE:
        _run_anew(found)
    else:
        st.caption("Takes longer, or asks for more than a page should: `make paper` runs it from a checkout.")


def _run_anew(found: Finding) -> None:
    st.header("Run it here")
    st.markdown("In a process of its own on this server; nothing is taken from what was computed before.")
    spec = JobSpec("kernelsm.paper.live:run", {"key": found.key})
    job_panel(spec, START_SECONDS + found.seconds, found.place, start="Run it", cancel="Stop it", key="claim")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _show(Finding.from_json(status.result["finding"]), anew=True)


def _show(found: Finding, *, anew: bool = False) -> None:
    st.header(f"{'Just now: ' if anew else ''}{found.place}: {found.verdict}")
    if not anew:
        st.markdown(f"{_ICONS[found.verdict]} The paper says: {plain(found.claim)}")
    st.table(
        pd.DataFrame(
            {
                "the paper": [plain(row.paper) for row in found.rows],
                "here (90 % interval)": [words_of(row.ours) for row in found.rows],
                "as claimed": [AS_CLAIMED[row.holds] for row in found.rows],
            },
            index=pd.Index(
                [plain(row.what + (f" ({row.note})" if row.note else "")) for row in found.rows], name="what"
            ),
        )
    )
    st.markdown(plain(found.because))
    spoken.say(f"{found.place}: {found.verdict}. {plain(found.because)}", "claim_anew" if anew else "claim")
    if found.table:
        with st.expander("All numbers"):
            key = "claim_numbers_anew" if anew else "claim_numbers"
            show_table(pd.DataFrame(list(found.table)), hide_index=True, width="stretch", key=key)
    sizes = "; ".join(f"{name}: {_listed(value)}" for name, value in found.sizes.items())
    on = f" Measured on {found.machine['cpu']}, {found.machine['cores']} cores." if found.machine else ""
    st.caption(f"{plain(sizes)}. Took {duration(found.seconds)}.{plain(on)}")


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
