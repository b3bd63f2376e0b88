"""The list of jobs beside every page: it survives a reload, shows the result, and is nobody else's."""

from __future__ import annotations

from app_server import Server
from browser_page import open_page, watch_console
from playwright.sync_api import Browser, Page, expect


def test_a_job_is_listed_on_every_page_until_its_result_is_shown(
    browser: Browser, page: Page, server: Server
) -> None:
    problems = watch_console(page)
    open_page(page, server, "gradients?run=planted", "Gradients")
    expect(page.get_by_role("button", name="Jobs")).to_have_count(0)
    open_page(page, server, "gradients?run=digits&subsets=20&seed=7", "Gradients")
    page.get_by_role("button", name="Recompute", exact=True).click()
    expect(page.get_by_role("button", name="Jobs")).to_be_visible()
    open_page(page, server, "explore?run=planted", "Explore")
    page.reload()
    jobs = page.get_by_role("button", name="Jobs", exact=True)
    expect(jobs).to_be_visible(timeout=120_000)  # none is at work any more
    jobs.click()
    expect(page.get_by_text("Done, in")).to_be_visible()
    page.get_by_role("button", name="Show the result").click()
    expect(page.get_by_text("20 subsets", exact=False).first).to_be_visible()
    other = browser.new_context().new_page()
    open_page(other, server, "explore?run=planted", "Explore")
    expect(other.get_by_role("button", name="Jobs")).to_have_count(0)
    assert not problems
