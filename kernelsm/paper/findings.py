"""The findings that are shipped: what came of each claim when `make paper` ran."""

from __future__ import annotations

import json
from pathlib import Path

from kernelsm.paper.finding import Finding

FINDINGS = Path(__file__).with_name("findings.json")
KEYS = (
    "figure1", "proposition3_1", "figure2", "table1", "table2", "table3", "leave_one_out", "table4", "figure3",
    "table5", "figure4", "table7", "table8",
)  # fmt: skip
"""In the order in which the paper makes them."""


def load_findings() -> tuple[Finding, ...]:
    """Return the shipped findings, in the order of `KEYS`.

    Examples
    --------
    >>> from kernelsm.paper.findings import load_findings
    >>> load_findings()[0].place
    'Figure 1'
    """
    return tuple(Finding.from_json(found) for found in json.loads(FINDINGS.read_text(encoding="utf-8")))
