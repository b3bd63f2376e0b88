"""Where findings go: a JSON file each beside the scripts, and all together into the package and the docs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from machine import machine

from kernelsm.paper.finding import Finding
from kernelsm.paper.findings import FINDINGS, KEYS
from kernelsm.paper.wording import page_of_findings, words_of

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[2] / "docs" / "paper.md"


def publish(finding: Finding) -> None:
    """Write a finding with the machine it ran on, and print its verdict and numbers."""
    found = replace(finding, machine=machine())
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{finding.key}.json"
    path.write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    collect()
    print(f"{finding.place}: {finding.verdict} ({finding.seconds:.0f} s)")
    for row in finding.rows:
        print(f"  {row.what}: {words_of(row.ours)}", f"(the paper: {row.paper})" if row.paper else "")


def collect() -> None:
    """Write all findings that there are into the package, which the page Paper shows, and into the docs."""
    found = [RESULTS / f"{key}.json" for key in KEYS]
    findings = [json.loads(path.read_text(encoding="utf-8")) for path in found if path.exists()]
    FINDINGS.write_text(json.dumps(findings, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    DOCS.write_text(page_of_findings([Finding.from_json(each) for each in findings]), encoding="utf-8")


if __name__ == "__main__":
    collect()
