"""The page Compare in a browser: methods are computed, stand side by side, and a link shows the same to others."""

from __future__ import annotations

import re
from typing import Any

import pytest
from app_server import Server
from browser_page import choose, nothing_scrolls, open_page, settled, watch_console
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.alone
METHODS = ("tuned linear surrogate", "TracIn at W0", "TRAK, scores of samples summed")
LINK = "compare?run=digits&methods=linear-tracin-trak"


def computed(page: Page, server: Server, link: str) -> None:
    """Open a comparison, and start it where nobody has yet."""
    open_page(page, server, link, "Compare")
    sides = page.get_by_role("heading", name="Two methods side by side")
    start = page.get_by_role("button", name="Compare them", exact=True)
    expect(start).to_be_visible()
    settled(page)
    if not sides.is_visible():
        start.click()
    expect(sides).to_be_visible(timeout=180_000)
    settled(page)


def choose_method(page: Page, label: str, option: str) -> None:
    page.locator(".heatmaplayer image").first.wait_for()  # a list that opens while the page is drawn is closed again
    choose(page, page.get_by_role("combobox", name=label, exact=True), option)


def heat(page: Page) -> dict[str, Any]:
    """What the chart of two methods shows: rows of numbers, the range of colours, names above the columns."""
    page.locator(".heatmaplayer image").first.wait_for()
    found: dict[str, Any] = page.get_by_test_id("stPlotlyChart").last.evaluate(
        """chart => { const plot = chart.querySelector('.js-plotly-plot'), data = plot._fullData[0];
        return {rows: Array.from(data.text, row => Array.from(row)), low: data.zmin, high: data.zmax,
                columns: Array.from(plot._fullLayout.xaxis.ticktext)}; }"""
    )
    return found


def table(page: Page) -> list[list[str]]:
    page.get_by_test_id("stTable").first.locator("tbody tr").first.wait_for()
    rows = page.get_by_test_id("stTable").first.locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def test_three_methods_are_computed_and_a_link_shows_the_same_elsewhere(
    page: Page, browser: Browser, server: Server
) -> None:
    computed(page, server, LINK)
    scores = table(page)
    assert scores[0][0] == "default surrogate"
    assert {row[0] for row in scores} == {"default surrogate", *METHODS}
    assert all(re.fullmatch(r"0\.\d{3}( \(-.*\))?", row[1]) for row in scores)
    assert all(re.match(r"0\.\d{3}", row[2]) for row in scores)
    expect(page.get_by_text(re.compile("the default surrogate predicts best: LDS 0.99"))).to_be_visible()

    choose_method(page, "First", "TracIn at W0")
    page.wait_for_url(re.compile("beside=tracin-"))
    choose_method(page, "Second", "tuned linear surrogate")
    page.wait_for_url(re.compile("beside=tracin-linear"))
    expect(page.get_by_text(re.compile("by TracIn at W0 and by tuned linear surrogate"))).to_be_visible()
    shown = heat(page)
    assert shown["columns"][0].startswith("TracIn")
    assert shown["columns"][2] == "difference"
    assert shown["low"] == -shown["high"]
    for first, second, difference in (map(float, row) for row in shown["rows"]):
        assert abs(first - second - difference) < 0.02  # shown with two digits
    assert max(abs(float(row[0])) for row in shown["rows"]) == 1.0

    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    other = context.new_page()
    problems = watch_console(other)
    other.goto(page.url)
    expect(other.get_by_text(re.compile("by TracIn at W0 and by tuned linear surrogate"))).to_be_visible()
    settled(other)
    assert table(other) == scores
    assert heat(other) == shown
    assert not problems
    context.close()


@pytest.mark.parametrize("width", [390, 800])
def test_no_column_is_hidden_on_a_narrow_dark_page(browser: Browser, server: Server, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(20_000)
    computed(page, server, LINK)
    for shown in page.get_by_test_id("stTable").all():
        if not shown.is_visible():
            continue
        assert nothing_scrolls(shown)
        box = shown.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    chart = page.get_by_test_id("stPlotlyChart").last.bounding_box()
    assert chart
    assert chart["x"] + chart["width"] <= width
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 150  # the dark theme
    assert heat(page)["columns"][2] == "difference"
    context.close()
