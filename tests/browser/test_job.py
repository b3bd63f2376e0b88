"""The buttons that start jobs, end to end: progress, cancel, reload, resume, kill -9, cache hit; and the check."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from app_server import Server
from browser_page import open_page
from playwright.sync_api import Page, expect

# real retraining, one chunk of about a third of a second per subset: most are left when the server is killed
SUBSETS = 90
LINK = f"gradients?estimator=retraining&subsets={SUBSETS}"


def button(page: Page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def percent(page: Page) -> int:
    found = re.search(r"(\d+)%", page.get_by_test_id("stProgress").inner_text())
    assert found
    return int(found.group(1))


def status(server: Server) -> dict:
    (file,) = server.cache.glob("jobs/*/status.json")
    return json.loads(file.read_text())


def chunks_on_disk(server: Server) -> int:
    return len(list(server.cache.glob("store/retraining.v*/*/value.pkl")))


def test_a_job_shows_progress_cancels_resumes_and_is_found_again(page: Page, cold_server: Server) -> None:
    server = cold_server
    open_page(page, server, LINK, "Gradients")
    button(page, "Recompute").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text(
        re.compile(rf"\d+% · retraining: \d+ of {SUBSETS} · .* left"), timeout=60_000
    )
    before_reload = percent(page)

    page.reload()  # a new session sees the same job, still at work
    expect(page.get_by_test_id("stProgress")).to_contain_text("left")
    assert percent(page) >= before_reload

    page.locator(".st-key-job_cancel").get_by_role("button").click()  # the check below has one too
    # a second or two where nothing else runs; the job itself would take many more
    expect(page.get_by_test_id("stAlert").filter(has_text="Cancelled at")).to_be_visible(timeout=8_000)
    assert status(server)["state"] == "cancelled"
    kept = chunks_on_disk(server)
    assert 0 < kept < SUBSETS

    button(page, "Resume").click()
    further = "|".join(f"retraining: {done} of {SUBSETS}" for done in range(kept + 1, SUBSETS + 1))
    expect(page.get_by_test_id("stProgress")).to_contain_text(re.compile(further))
    assert status(server)["reused"] == kept
    page.goto("about:blank")
    server.kill()
    time.sleep(1.0)  # the job ends itself when its server is gone
    pid = status(server)["pid"]
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.1)
    assert not _alive(pid)
    kept = chunks_on_disk(server)
    assert kept < SUBSETS

    server.start()
    open_page(page, server, LINK, "Gradients")
    expect(page.get_by_test_id("stAlert").filter(has_text="Interrupted")).to_be_visible()
    button(page, "Resume").click()
    expect(page.get_by_test_id("stAlert").filter(has_text="Finished in")).to_contain_text(
        f"{SUBSETS - kept} chunks computed, {kept} from the cache", timeout=60_000
    )

    button(page, "Recompute").click()
    expect(page.get_by_test_id("stAlert").filter(has_text="Cache hit")).to_contain_text(
        f"all {SUBSETS} chunks were there, nothing was recomputed", timeout=30_000
    )
    button(page, "Show this result on all pages").click()
    expect(
        page.get_by_text(
            re.compile(f"digits: retraining, {SUBSETS} subsets, p = 0.5, seed 0 · {SUBSETS} subsets · 20 tasks")
        )
    ).to_be_visible()


def test_a_check_shows_progress_and_ends_in_its_numbers(page: Page, cold_server: Server) -> None:
    server = cold_server
    open_page(page, server, "gradients?projection=gaussian&dim=64", "Gradients")
    shown = page.get_by_test_id("stMetricValue")
    expect(shown).to_have_count(4)  # of the finished example
    button(page, "Run the check").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text(
        re.compile(r"\d+% · retraining: \d of 8 · .* left"), timeout=60_000
    )
    expect(button(page, "Run the check")).to_be_disabled()
    halfway = percent(page)
    expect(page.get_by_test_id("stAlert").filter(has_text="Finished in")).to_be_visible(timeout=60_000)
    assert 0 < halfway < 100
    expect(shown).to_have_count(8)
    first_order = status(server)["result"]["checks"]["first_order"]
    assert first_order["subsets"] == 8
    expect(shown.nth(4)).to_have_text(f"{first_order['spearman']:.2f}")
    expect(shown.nth(6)).to_have_text(f"{first_order['lds']:.2f}")
    expect(page.get_by_test_id("stException")).to_have_count(0)


def _alive(pid: int) -> bool:
    try:
        return b"job_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
