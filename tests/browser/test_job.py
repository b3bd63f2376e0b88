"""The buttons that start jobs, end to end: progress, cancel, reload, resume, kill -9, cache hit; and the check."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from app_server import Server
from browser_page import open_page
from playwright.sync_api import Page, expect

# real retraining, one chunk per subset: so many that no machine is done with them, and the test waits for few
SUBSETS = 5000


def button(page: Page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def link(subsets: int) -> str:
    """The page of retraining; fewer subsets are the first ones of more."""
    return f"gradients?estimator=retraining&subsets={subsets}"


def retrained(page: Page) -> int:
    """How many subsets the progress says are done; 0 where it is at what comes before them."""
    found = re.search(rf"retraining: (\d+) of {SUBSETS}", page.get_by_test_id("stProgress").inner_text())
    return int(found.group(1)) if found else 0


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
    open_page(page, server, link(SUBSETS), "Gradients")
    button(page, "Recompute").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text(
        re.compile(rf"\d+% · retraining: \d+ of {SUBSETS} · .* left"), timeout=180_000
    )
    before_reload = retrained(page)
    assert before_reload > 0

    page.reload()  # a new session sees the same job, still at work
    expect(page.get_by_test_id("stProgress")).to_contain_text("left")
    assert retrained(page) >= before_reload

    page.locator(".st-key-job_cancel").get_by_role("button").click()  # the check below has one too
    expect(page.get_by_test_id("stAlert").filter(has_text="Cancelled at")).to_be_visible()
    assert status(server)["state"] == "cancelled"
    kept = chunks_on_disk(server)
    assert 0 < kept < SUBSETS

    resume_and_see_it_go_on(page, server, kept)
    page.goto("about:blank")
    server.kill()
    time.sleep(1.0)  # the job ends itself when its server is gone
    pid = status(server)["pid"]
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.1)
    assert not _alive(pid)
    kept = chunks_on_disk(server)

    server.start()
    open_page(page, server, link(SUBSETS), "Gradients")
    expect(page.get_by_test_id("stAlert").filter(has_text="Interrupted")).to_be_visible()
    resume_and_see_it_go_on(page, server, kept)
    page.locator(".st-key-job_cancel").get_by_role("button").click()
    expect(page.get_by_test_id("stAlert").filter(has_text="Cancelled at")).to_be_visible()

    # three more than are done: work that has an end
    done = status(server)["reused"] + status(server)["computed"]
    fewer = done + 3
    open_page(page, server, link(fewer), "Gradients")
    button(page, "Recompute").click()
    finished = page.get_by_test_id("stAlert").filter(has_text="Finished in")
    expect(finished).to_be_visible(timeout=60_000)
    found = re.search(r"(\d+) chunks? computed, (\d+) from the cache", finished.inner_text())
    assert found
    computed, reused = map(int, found.groups())
    assert computed + reused == fewer
    assert reused >= done

    button(page, "Recompute").click()
    expect(page.get_by_test_id("stAlert").filter(has_text="Cache hit")).to_contain_text(
        f"all {fewer} chunks were there, nothing was recomputed", timeout=30_000
    )
    button(page, "Show this result on all pages").click()
    expect(
        page.get_by_text(
            re.compile(f"digits: retraining, {fewer} subsets, p = 0.5, seed 0 · {fewer:,} subsets · 20 tasks")
        )
    ).to_be_visible()


def resume_and_see_it_go_on(page: Page, server: Server, kept: int) -> None:
    """Press Resume, and wait until the page tells of more than was kept, all of which was found again."""
    before = status(server)["pid"]
    button(page, "Resume").click()
    deadline = time.monotonic() + 60
    while not ((now := status(server))["state"] == "running" and now["computed"] >= 1 and now["pid"] != before):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert now["reused"] >= kept
    told = now["reused"]
    deadline = time.monotonic() + 60
    while retrained(page) <= told:
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


def test_a_check_shows_progress_and_ends_in_its_numbers(page: Page, cold_server: Server) -> None:
    server = cold_server
    open_page(page, server, "gradients?projection=gaussian&dim=64", "Gradients")
    shown = page.get_by_test_id("stMetricValue")
    expect(shown).to_have_count(4)  # of the finished example
    button(page, "Run the check").click()
    with server.held_job(r"retraining: \d of 8"):
        expect(page.get_by_test_id("stProgress")).to_contain_text(re.compile(r"\d+% · retraining: \d of 8 · .* left"))
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
