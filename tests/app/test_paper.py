"""The page Paper: verdicts, one claim at a time, and a claim run anew in a process of its own."""

from __future__ import annotations

import time

from app_harness import open_app, texts

from kernelsm.app.shell.words import plain
from kernelsm.paper.findings import load_findings


def test_the_page_names_every_claim_with_its_verdict_and_says_how_many_hold() -> None:
    app = open_app("paper")
    overview = app.table[0].value
    findings = load_findings()
    assert overview["verdict"].tolist() == [found.verdict for found in findings]
    assert overview.index.tolist() == [found.place for found in findings]
    holding = sum(found.verdict == "holds" for found in findings)
    assert f"{holding} hold" in texts(app).replace("\\", "")


def test_a_link_opens_one_claim_with_its_numbers_and_what_was_not_run() -> None:
    app = open_app("paper", claim="table5")
    rows = app.table[1].value
    (found,) = (found for found in load_findings() if found.key == "table5")
    assert rows["the paper"].tolist() == [plain(row.paper) for row in found.rows]
    assert "not run" in set(rows["here (90 % interval)"])
    assert "34 billion" in rows.index[-1]
    assert f"{found.place}: {found.verdict}" in texts(app)
    assert not [button for button in app.button if button.label == "Run it"]  # it needs more than a page should ask


def test_another_claim_is_chosen_and_the_link_carries_it() -> None:
    app = open_app("paper")
    app.selectbox(key="view_claim").set_value("table7").run()
    assert not app.exception
    assert "Table 7" in texts(app)
    assert app.session_state["kernelsm_view"].to_params()["claim"] == "table7"


def test_a_quick_claim_runs_anew_and_stands_below_the_finished_one() -> None:
    app = open_app("paper", claim="table7")
    app.button(key="claim_start").click().run()
    until = time.monotonic() + 100
    while "Just now" not in texts(app) and time.monotonic() < until:
        app.run()
    assert not app.exception
    assert not app.error
    finished, anew = (table.value for table in app.table if "here (90 % interval)" in table.value)
    assert len(anew) <= len(finished)
    assert set(anew.index) <= set(finished.index)
