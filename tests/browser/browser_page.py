"""What a page is to tests: opened, settled, its console free of errors."""

from __future__ import annotations

from contextlib import suppress

from app_server import Server
from playwright.sync_api import ConsoleMessage, Locator, Page, expect
from playwright.sync_api import TimeoutError as TooLate

# Streamlit's own frontend asks for these below the page's path before it finds the server's root
PROBES = ("_stcore/health", "_stcore/host-config")
AT_REST = """() => document.getAnimations().every(
    one => one.playState !== 'running' || one.effect.getComputedTiming().iterations === Infinity)"""


def watch_console(page: Page) -> list[str]:
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        where = message.location.get("url", "") if message.location else ""
        if message.type == "error" and not where.endswith(PROBES):
            problems.append(f"{message.text} ({where})")

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return problems


def open_page(page: Page, server: Server, path: str, title: str) -> None:
    page.goto(f"{server.url}/{path}")
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
    settled(page)


def settled(page: Page) -> None:
    """Wait until the server has nothing left to draw."""
    page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")


def opened(page: Page, server: Server, path: str) -> None:
    """Open a page and wait until nothing moves on it."""
    page.goto(f"{server.url}/{path}")
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    settled(page)
    # what comes last: charts, the sheet of styles, and the fading in of both
    for chart in page.get_by_test_id("stPlotlyChart").all():
        chart.locator(".main-svg").first.wait_for()
    page.locator(".kernelsm-style").first.wait_for(state="attached")
    settled(page)
    page.wait_for_function(AT_REST)


def choose(page: Page, box: Locator, option: str) -> None:
    """Choose an option of a box: a list that opens while the page is drawn is closed again, so it is opened anew."""
    for _ in range(5):
        box.click()
        page.keyboard.type(option)  # not scrolled to: a long list draws only the options that are in view
        with suppress(TooLate):
            page.get_by_role("option", name=option, exact=True).click(timeout=4_000)
            settled(page)
            return
        page.keyboard.press("Escape")
        box.fill("")
    raise AssertionError(f"{option!r} was not among the options five times")


GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}


def turn_theme(page: Page, scheme: str) -> None:
    """Turn a page light or dark: the browser follows at once, and the server with the next run, which R asks for."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.wait_for_function(
        "ground => getComputedStyle(document.querySelector('.stApp')).backgroundColor === ground", arg=GROUNDS[scheme]
    )
    page.keyboard.press("r")


def nothing_scrolls(element: Locator) -> bool:
    """Whether all of an element is in sight: neither it nor a part of it is wider inside than outside."""
    found: bool = element.evaluate(
        "element => [element, ...element.querySelectorAll('*')]"
        ".every(part => part.scrollWidth <= part.clientWidth + 1 || part.clientWidth === 0)"
    )
    return found
