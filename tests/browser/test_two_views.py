"""Two views in a browser: pinned from pages by keyboard, compared, shared by a link, on narrow and dark pages."""

from __future__ import annotations

import re

import pytest
from app_server import Server
from browser_page import nothing_scrolls, open_page, settled, watch_console
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.alone
LINK = "compare?run=planted&compared=views"


def sentence(page: Page) -> str:
    return page.get_by_text(re.compile(r"of 10 tasks differ")).first.inner_text()


def test_a_view_is_pinned_by_keyboard_and_stands_beside_another_one_and_in_a_link(
    page: Page, browser: Browser, server: Server
) -> None:
    problems = watch_console(page)
    open_page(page, server, "explore?run=planted&kernel=linear", "Explore")
    page.get_by_role("button", name="Pin this view", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Unpin this view", exact=True)).to_be_visible()
    page.wait_for_url(re.compile("pins="))
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare", exact=True, level=1)).to_be_visible()
    settled(page)
    two = page.get_by_role("radio", name="Two views").or_(page.get_by_role("button", name="Two views"))
    two.first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What each task does in both")).to_be_visible()
    page.wait_for_url(re.compile("compared=views"))
    settled(page)
    expect(page.get_by_test_id("stPlotlyChart").nth(3)).to_be_visible()
    said = sentence(page)
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    other = context.new_page()
    noted = watch_console(other)
    other.goto(page.url)
    expect(other.get_by_role("heading", name="What each task does in both")).to_be_visible()
    settled(other)
    assert sentence(other) == said
    assert not noted
    assert not problems
    context.close()


@pytest.mark.parametrize("width", [390, 800])
def test_everything_fits_a_narrow_dark_page(browser: Browser, server: Server, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(20_000)
    open_page(page, server, f"{LINK}&second=run%3Dplanted%26readout%3Dshapley", "Compare")
    expect(page.get_by_role("heading", name="What pairs do in both")).to_be_visible()
    settled(page)
    for chart in page.get_by_test_id("stPlotlyChart").all():
        box = chart.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1
    assert nothing_scrolls(page.get_by_text(re.compile("pairs differ|pair differs|None of the 45")).first)
    context.close()
