"""Where things stand: above the fold of a projector, beside one another, one below the other on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from app_server import Server
from browser_page import opened
from playwright.sync_api import Browser, Locator, Page

CONTROLS = """place => [...place.children].filter(one => one.checkVisibility())
    .map(one => one.getBoundingClientRect()).filter(box => box.width > 5)
    .map(box => [box.bottom, box.left, box.right])"""


@pytest.fixture(scope="module")
def room(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


def bottom(place: Locator) -> float:
    box = place.bounding_box()
    assert box
    return box["y"] + box["height"]


def test_a_sidebar_drawn_before_the_page_settings_were_there_is_as_narrow_as_they_say(
    room: Page, server: Server
) -> None:
    room.set_viewport_size({"width": 1280, "height": 720})
    opened(room, server, "explore?run=planted")
    sidebar = room.get_by_test_id("stSidebar")
    usual = sidebar.evaluate("bar => bar.getBoundingClientRect().width")
    # its class holds the width that was known in time
    drawn = """(bar, width) => {
        bar.className = 'stSidebar'; bar.style.width = width; return bar.getBoundingClientRect().width; }"""
    assert sidebar.evaluate(drawn, "300px") == usual < 300
    assert sidebar.evaluate(drawn, "260px") == 260


@pytest.mark.parametrize("run", ["planted", "digits"])
@pytest.mark.parametrize("width", [1280, 1400])
def test_the_controls_of_explore_stand_in_one_row_that_holds_them(
    room: Page, server: Server, run: str, width: int
) -> None:
    room.set_viewport_size({"width": width, "height": 720})
    opened(room, server, f"explore?run={run}")
    controls = room.locator(".st-key-explore_controls").evaluate(CONTROLS)
    assert len(controls) >= 4
    bottoms = [each[0] for each in controls]
    assert max(bottoms) - min(bottoms) < 12
    for (_, _, right), (_, left, _) in pairwise(controls):
        assert left >= right - 1  # none lies on another
    assert controls[-1][2] <= width


def test_bars_and_the_heatmap_of_ten_tasks_are_above_the_fold_of_a_projector(room: Page, server: Server) -> None:
    room.set_viewport_size({"width": 1280, "height": 720})
    opened(room, server, "explore?run=planted")
    bars, heatmap = room.locator(".st-key-explore_bars"), room.locator(".st-key-explore_heatmap")
    # charts take their heights from the page one after the other
    room.wait_for_function(
        "[...document.querySelectorAll('.st-key-explore_bars, .st-key-explore_heatmap')]"
        ".every(chart => chart.getBoundingClientRect().bottom <= 720)"
    )
    assert bottom(bars) <= 720
    assert bottom(heatmap) <= 720
    lowest = heatmap.locator(".xtick text").all()[-1]
    assert bottom(lowest) <= 720
    cells = heatmap.locator(".nsewdrag").first.bounding_box()
    assert cells
    assert cells["width"] == pytest.approx(cells["height"], rel=0.02)
    assert cells["height"] / 10 >= 18  # a line of text each
    left, right = bars.bounding_box(), heatmap.bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"]


@pytest.mark.parametrize("width", [390, 800])
def test_explore_stacks_where_there_is_no_room_and_nothing_is_wider_than_the_page(
    room: Page, server: Server, width: int
) -> None:
    room.set_viewport_size({"width": width, "height": 844})
    opened(room, server, "explore?run=planted")
    assert room.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    assert room.evaluate(
        "() => document.querySelector('.st-key-explore_heatmap').getBoundingClientRect().top"
        " > document.querySelector('.st-key-explore_bars').getBoundingClientRect().bottom"
    )
    for _, left, right in room.locator(".st-key-explore_controls").evaluate(CONTROLS):
        assert left >= 0
        assert right <= width
