"""The HTML report in a real browser, opened as a file without a server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from kernelsm.__main__ import main

pytestmark = pytest.mark.alone

EVIL = "<img src=x onerror=\"document.title='owned'\">"


def written(folder: Path, table: str) -> Path:
    path = folder / "report.html"
    assert main(["report", table, "--kernel", "rbf", "--out", str(path)]) == 0
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_of_the_digits_opens_by_itself_and_asks_for_nothing(
    browser: Browser, tmp_path: Path, scheme: str
) -> None:
    path = written(tmp_path, "digits")
    assert path.stat().st_size <= 8e6
    assert list(tmp_path.iterdir()) == [path]
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    for name in ("effects", "interactions", "fidelity"):
        expect(page.locator(f"#{name} .main-svg").first).to_be_visible()
    page.locator("#effects .nsewdrag").hover()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert not problems
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", paper)[:3]))
    assert (brightness < 200) == (scheme == "dark")
    context.close()


def test_a_task_that_is_markup_stays_text(browser: Browser, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{i % 2},{i // 2 % 2},{i // 4 % 2},{i % 2 * -0.5 + i // 4 % 2 * 0.1 + 1}" for i in range(24)]
    heads = ",".join(
        f'"task:{name.replace(chr(34), chr(34) * 2)}"' for name in (EVIL, "</script><b id=bold>x</b>", "c")
    )
    table.write_text("\n".join([f"{heads},target:loss", *rows]))
    path = written(tmp_path, str(table))
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("#effects .main-svg").first).to_be_visible()
    expect(page.get_by_role("rowheader", name=EVIL, exact=True)).to_be_visible()
    expect(page.locator("#effects .ytick").first).to_contain_text("<img src=x")
    page.locator("#effects .nsewdrag").hover()
    assert page.locator("img, #bold").count() == 0
    assert page.title() == "table: which tasks help, which hurt, which interact"
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    context.close()


def test_it_prints_on_white_with_its_charts(browser: Browser, tmp_path: Path) -> None:
    path = written(tmp_path, "planted")
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(path.as_uri())
    expect(page.locator("#effects .main-svg").first).to_be_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    tick = page.locator("#effects .ytick text").first
    assert tick.evaluate("tick => getComputedStyle(tick).fill") == "rgb(31, 39, 51)"
    context.close()
