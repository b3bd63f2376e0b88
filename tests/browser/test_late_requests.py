"""A page that was just left asks for a part of itself: the new page stays."""

from __future__ import annotations

import pytest
from app_server import Server
from browser_page import open_page, settled
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.alone


def test_what_the_page_that_was_left_asks_for_does_not_empty_the_new_one(page: Page, server: Server) -> None:
    open_page(page, server, "fit?run=digits", "Fit")
    choice = page.get_by_role("radiogroup", name="Surrogate").get_by_role("radio").last
    link = page.get_by_role("link", name="Explore", exact=True)
    expect(choice).to_be_visible()
    # before the browser hears of the new page
    link.evaluate(
        "(link, choice) => { link.click(); setTimeout(() => choice.click(), 60); }", choice.element_handle()
    )
    expect(page.get_by_role("heading", name="Explore", exact=True, level=1)).to_be_visible()
    settled(page)
    page.wait_for_timeout(1500)  # the late answer comes after the page is drawn
    settled(page)
    expect(page.get_by_role("heading", name="Explore", exact=True, level=1)).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
