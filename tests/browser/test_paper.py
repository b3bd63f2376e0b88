"""The page Paper in a browser: a link opens a claim, a quick one runs anew, dark and narrow windows hold it."""

from __future__ import annotations

import re

import pytest
from app_server import Server
from browser_page import choose, nothing_scrolls, open_page, settled, watch_console
from playwright.sync_api import Browser, Page, expect


def test_a_claim_is_chosen_by_hand_and_the_link_carries_it(page: Page, server: Server) -> None:
    problems = watch_console(page)
    open_page(page, server, "paper?claim=table5", "Paper")
    expect(page.get_by_role("heading", name=re.compile("^Table 5: "))).to_be_visible()
    choose(page, page.get_by_role("combobox", name=re.compile("Claim")), "Figure 3")
    expect(page.get_by_role("heading", name=re.compile("^Figure 3: "))).to_be_visible()
    settled(page)
    page.wait_for_url(re.compile("claim=figure3"))
    assert not problems


def test_a_quick_claim_runs_anew_while_one_watches(page: Page, server: Server) -> None:
    open_page(page, server, "paper?claim=table7", "Paper")
    page.get_by_role("button", name="Run it", exact=True).click()
    expect(page.get_by_role("heading", name=re.compile("^Just now: Table 7: "))).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Finished in")).to_be_visible()


@pytest.mark.parametrize("width", [390, 800])
@pytest.mark.parametrize("claim", ["table3", "leave_one_out"])
def test_no_column_is_hidden_on_a_narrow_dark_page(browser: Browser, server: Server, width: int, claim: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(20_000)
    open_page(page, server, f"paper?claim={claim}", "Paper")
    expect(page.get_by_text("as claimed", exact=True)).to_be_visible()
    tables = page.get_by_test_id("stTable")
    expect(tables).to_have_count(2)
    overview, rows = tables.all()
    for table in (overview, rows):
        assert nothing_scrolls(table)
        box = table.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 150  # the dark theme
    context.close()
