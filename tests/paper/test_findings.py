"""Findings as they are shipped: verdicts follow from their numbers, and the docs say what the files say."""

import json
import math
from pathlib import Path

import pytest

from kernelsm.paper.finding import Finding, Row
from kernelsm.paper.findings import KEYS, load_findings
from kernelsm.paper.intervals import Estimate, mean_estimate
from kernelsm.paper.live import LIVE
from kernelsm.paper.wording import page_of_findings, words_of

HOME = Path(__file__).parents[2]


def finding(*holds):
    rows = tuple(Row(f"row {at}", "1", Estimate(0.5, 0.4, 0.6), each) for at, each in enumerate(holds))
    return Finding("key", "Place", "A claim.", rows, "Because.")


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        ((True, True), "holds"), ((True, None), "holds"), ((True, False), "holds in part"),
        ((False, None), "not here"), ((None,), "not here"), ((), "not here"),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_the_rows_that_could_be_judged(holds, verdict):
    assert finding(*holds).verdict == verdict


def test_a_finding_survives_json_also_without_intervals():
    found = Finding(
        "key", "Place", "A claim.", (Row("a", "1", Estimate(0.5)), Row("b", note="needs more")), "Because.",
        {"m": [1, 2]}, table=({"x": 1.5},),
    )  # fmt: skip
    text = json.dumps(found.to_json(), allow_nan=False)
    again = Finding.from_json(json.loads(text))
    assert math.isnan(again.rows[0].ours.low)
    assert again.to_json() == found.to_json()


def test_intervals_hold_the_mean_of_repetitions():
    found = mean_estimate([1.0, 2.0, 3.0, float("nan")])
    assert found.value == pytest.approx(2.0)
    assert found.low < 1.0 < 3.0 < found.high
    assert math.isnan(mean_estimate([1.0]).low)
    assert words_of(found).startswith("2 (")


def test_shipped_findings_are_those_of_the_benchmarks_in_the_order_of_the_paper():
    shipped = load_findings()
    assert [found.key for found in shipped] == [key for key in KEYS if key in {each.key for each in shipped}]
    for found in shipped:
        file = HOME / "benchmarks" / "paper" / "results" / f"{found.key}.json"
        assert json.loads(file.read_text(encoding="utf-8")) == found.to_json()
        assert found.machine
        assert found.rows
        assert found.seconds >= 0


def test_every_claim_that_could_not_be_run_says_what_it_needs():
    for found in load_findings():
        for row in found.rows:
            assert row.ours is not None or row.note, (found.key, row.what)
            assert row.ours is not None or row.holds is None


def test_the_page_of_the_docs_says_what_the_findings_say():
    assert (HOME / "docs" / "paper.md").read_text(encoding="utf-8") == page_of_findings(load_findings())


def test_every_live_claim_has_a_shipped_finding_and_a_script():
    shipped = {found.key for found in load_findings()}
    assert set(LIVE) <= shipped
    for key in shipped:
        assert (HOME / "benchmarks" / "paper" / f"{key}.py").exists(), key


@pytest.mark.parametrize("key", ["table7", "table8"])
def test_a_claim_run_anew_comes_out_as_shipped(key):
    shipped = {row.what: row for found in load_findings() if found.key == key for row in found.rows}
    for row in LIVE[key]().rows:
        # the tables of modular arithmetic are computed anew now and then; then `make paper` is due
        if row.ours is not None and not row.what.startswith("modular"):
            assert row.ours.value == pytest.approx(shipped[row.what].ours.value, rel=1e-3, abs=1e-3)
