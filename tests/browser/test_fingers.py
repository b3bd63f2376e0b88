"""A finger on a phone: it gets from the top of every page to its end, whatever it lands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from app_server import Server
from browser_page import opened
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as TooLate

WIDTH, HEIGHT = 390, 844
FROM, UP = 650, 250  # pixels: where a swipe begins, and how long it is
_MOVES = 6
PAGES = [
    "", "learn?lesson=7", "data", "data?run=movie-reviews", "gradients", "subsets?run=planted", "fit?run=planted",
    "fit?run=planted&kernel=rbf&tab=1", "fit?run=planted&tab=3", "explore?run=digits", "decide",
    "demonstrations?run=movie-reviews", "compare", "compare?run=planted&compared=views", "paper",
]  # fmt: skip
SCROLLED = "document.querySelector('[data-testid=stMain]').scrollTop"
LEFT = """(() => { const main = document.querySelector('[data-testid=stMain]');
    return main.scrollHeight - main.clientHeight - main.scrollTop; })()"""
UNDER = f"document.elementFromPoint({WIDTH / 2}, {FROM})?.outerHTML.slice(0, 300)"


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


class Finger:
    """A finger that swipes up."""

    def __init__(self, page: Page) -> None:
        self.page, self.session = page, page.context.new_cdp_session(page)

    def swipe(self, x: float = WIDTH / 2, y: float = FROM, up: float = UP) -> None:
        for i in range(_MOVES + 1):
            touch: dict[str, Any] = {
                "type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y - up * i / _MOVES}]
            }  # fmt: skip
            self.session.send("Input.dispatchTouchEvent", touch)
            self.page.evaluate("new Promise(done => requestAnimationFrame(done))")
        self.session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def scrolls(self, place: str, **swipe: float) -> bool:
        """Swipe, and say whether what `place` measures grew."""
        before = self.page.evaluate(place)
        self.swipe(**swipe)
        with suppress(TooLate):
            self.page.wait_for_function(f"{place} > {before} + 1", timeout=2_000)
        return self.page.evaluate(place) > before + 1


@pytest.mark.parametrize("path", PAGES)
def test_a_finger_gets_from_the_top_of_a_page_to_its_end(phone: Page, server: Server, path: str) -> None:
    opened(phone, server, path)
    finger = Finger(phone)
    while phone.evaluate(LEFT) > 1:
        under = phone.evaluate(UNDER)
        assert finger.scrolls(SCROLLED) or phone.evaluate(LEFT) <= 1, f"held by {under}"
    assert phone.evaluate("document.documentElement.scrollWidth") <= WIDTH
    assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= WIDTH


def test_a_table_scrolls_once_it_was_tapped_and_says_so(phone: Page, server: Server) -> None:
    opened(phone, server, "demonstrations?run=movie-reviews")
    expect(phone.get_by_text("Candidates", exact=True)).to_be_visible()
    table = phone.locator("[class*=st-key-demo_table]").first
    hint = phone.locator("[class*=st-key-kernelsm_scrolls]").first.evaluate(
        "place => getComputedStyle(place, '::after').content"
    )
    assert "Tap the table" in hint
    table.scroll_into_view_if_needed()
    inside = "document.querySelector('[class*=st-key-demo_table] .dvn-scroller').scrollTop"
    finger = Finger(phone)
    box = table.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + min(box["height"], HEIGHT - box["y"]) / 2
    assert finger.scrolls(SCROLLED, x=x, y=y, up=60)
    assert phone.evaluate(inside) == 0
    for _ in range(5):  # the first tap may only hold a page that still runs on
        phone.touchscreen.tap(x, y)
        with suppress(TooLate):
            phone.wait_for_function("document.activeElement.closest('[class*=st-key-demo_table]')", timeout=3_000)
            break
    assert finger.scrolls(inside, x=x, y=y, up=200)


def test_the_cells_of_a_heatmap_are_square_on_a_phone(phone: Page, server: Server) -> None:
    opened(phone, server, "explore?run=planted")
    chart = phone.get_by_role("figure", name=re.compile("Heatmap of the interactions")).first
    chart.scroll_into_view_if_needed()
    plot = chart.locator(".nsewdrag").first.bounding_box()
    assert plot
    assert plot["width"] == pytest.approx(plot["height"], rel=0.02)
    x, y = plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] - 10
    assert Finger(phone).scrolls(SCROLLED, x=x, y=y, up=150)
