"""A real server and a real Chromium. Both are stopped by the fixture that started them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from app_server import Server
from browser_page import watch_console
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

expect.set_options(timeout=20_000)

_started: list[Browser] = []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("cache"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("KERNELSM_CHROMIUM")
    if not path:
        pytest.fail("KERNELSM_CHROMIUM is not set: run the browser tests with `make test`, which finds a Chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    if _started:  # by the tests of another folder: there can be only one in a process
        yield _started[0]
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        _started.append(browser)
        yield browser
        _started.clear()
        browser.close()


@pytest.fixture(scope="session")
def home(browser: Browser) -> Iterator[BrowserContext]:
    """Where pages of tests are opened one after the other: the app's scripts are loaded and compiled once."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light")
    yield context
    context.close()


@pytest.fixture
def page(home: BrowserContext) -> Iterator[Page]:
    """A page whose console must stay free of errors until the test ends; it knows nothing of the pages before."""
    page = home.new_page()
    page.set_default_timeout(20_000)
    problems = watch_console(page)
    yield page
    for opened in home.pages:
        with suppress(Error):  # an empty page has no storage, and a server that has ended no page
            opened.evaluate("localStorage.clear()")
        opened.close()
    home.set_offline(False)
    home.clear_cookies()
    home.clear_permissions()
    assert not problems, problems


@pytest.fixture
def cold_server(tmp_path: Path, page: Page) -> Iterator[Server]:
    """A server that no browser has visited yet."""
    server = Server(tmp_path)
    server.start()
    yield server
    page.close()  # a page that is open while its server ends complains of it
    server.stop()
