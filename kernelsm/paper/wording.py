"""Findings in words: the page of the docs, and what the app says beside them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from kernelsm.paper.finding import Finding, Row
from kernelsm.paper.intervals import Estimate

_HEAD = """# The paper, claim by claim

Every figure and table of the paper that can be run here was run: its claim in our words, the paper's number, ours
with a 90 % interval, and a verdict that follows from the numbers by a rule stated in the code. *Holds* means that
every number that could be judged bears the claim out, *holds in part* that some do, *not here* that none does.
`make paper` runs everything anew and writes this page; the dashboard's page *Paper* shows the same and runs the quick
claims while you watch.
"""
AS_CLAIMED = {True: "yes", False: "no", None: ""}
"""What is said of a row of a finding."""


def words_of(estimate: Estimate | None) -> str:
    """A number with its interval, in three digits; "not run" for None.

    Examples
    --------
    >>> words_of(Estimate(0.98765, 0.98, 0.99)), words_of(None)
    ('0.988 (0.98 to 0.99)', 'not run')
    """
    if estimate is None:
        return "not run"
    if isnan(estimate.low):
        return _digits(estimate.value)
    return f"{_digits(estimate.value)} ({_digits(estimate.low)} to {_digits(estimate.high)})"


def duration(seconds: float) -> str:
    """Seconds in words.

    Examples
    --------
    >>> duration(3.2), duration(600)
    ('3 s', '10 min')
    """
    if isnan(seconds):
        return ""
    return f"{max(round(seconds), 1)} s" if seconds < 100 else f"{round(seconds / 60)} min"


def page_of_findings(findings: Sequence[Finding]) -> str:
    """Return the page of the docs, Markdown."""
    total = sum(found.seconds for found in findings if not isnan(found.seconds))
    summary = "\n".join(
        f"| {found.place} | {found.claim} | **{found.verdict}** | {duration(found.seconds)} |" for found in findings
    )
    parts = [
        _HEAD,
        f"All of it took {duration(total)} on the machine named in the results.\n",
        f"| | claim | verdict | takes |\n|---|---|---|---|\n{summary}\n",
        *map(_section, findings),
    ]
    return "\n".join(parts)


def _section(found: Finding) -> str:
    rows = "\n".join(map(_line, found.rows))
    sizes = "; ".join(f"{name}: {_plain(value)}" for name, value in found.sizes.items())
    text = (
        f"## {found.place}: {found.verdict}\n\n{found.claim}\n\n"
        f"| | the paper | here | as claimed |\n|---|---|---|---|\n{rows}\n\n{found.because}\n"
    )
    if found.table:
        names = list(found.table[0])
        lines = "\n".join(f"| {' | '.join(_cell(line.get(name)) for name in names)} |" for line in found.table)
        text += f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}\n{lines}\n"
    return f"{text}\n{sizes} ([results](../benchmarks/paper/results/{found.key}.json)).\n"


def _line(row: Row) -> str:
    here = words_of(row.ours)
    note = f" ({row.note})" if row.note else ""
    return f"| {row.what}{note} | {row.paper} | {here} | {AS_CLAIMED[row.holds]} |"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,.4g}" if isinstance(value, int | float) else str(value)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _digits(value: float) -> str:
    return "0" if abs(value) < 1e-300 else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
