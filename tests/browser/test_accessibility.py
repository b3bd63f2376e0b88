"""Pages as those meet them who cannot see well, or use no mouse: axe-core, contrast, headings, the keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from app_server import Server
from axe_playwright_python.sync_playwright import Axe
from browser_page import AT_REST, opened, settled, turn_theme
from playwright.sync_api import Browser, Page, expect

SERIOUS = ("serious", "critical")
VIEWS = [
    "", "learn", "learn?lesson=2&guess=0&at=1", "learn?lesson=6&guess=0", "learn?lesson=8", "data",
    "data?run=movie-reviews", "gradients", "subsets?run=planted", "fit?run=planted",
    "fit?run=planted&kernel=rbf&tab=1",
    "fit?run=planted&tab=2", "fit?run=planted&tab=3", "explore?run=planted&truth=1", "explore", "decide",
    "demonstrations", "demonstrations?run=movie-reviews", "compare", "paper", "administration",
    "explore?run=planted&embed=true",
]  # fmt: skip


@dataclass(frozen=True)
class Emitted:
    """Something that Streamlit itself emits and that no supported means changes."""

    rule: str
    html: str
    """Pattern of the element; other elements of the rule still count."""
    why: str


EMITTED_BY_STREAMLIT: list[Emitted] = []


def found_by_axe(page: Page) -> list[str]:
    """What axe-core finds of serious or critical kind, less what is known of Streamlit."""
    response = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:300]}"
        for violation in response["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
        if not any(
            known.rule == violation["id"] and re.search(known.html, node["html"]) for known in EMITTED_BY_STREAMLIT
        )
    ]


@pytest.fixture(scope="module")
def view(browser: Browser) -> Iterator[Page]:
    """A dark page as wide as a small projector; scripts that it has loaded once it need not load again."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


def in_both_themes(page: Page) -> Iterator[str]:
    """Show a page dark and then light: texts, and charts, which the server draws anew."""
    for scheme, ink in (("dark", "#e6eaf0"), ("light", "#1c2430")):
        turn_theme(page, scheme)
        page.wait_for_function(
            "ink => [...document.querySelectorAll('.js-plotly-plot')].every(plot => plot.layout.font.color === ink)",
            arg=ink,
        )
        settled(page)
        page.wait_for_function(AT_REST)
        yield scheme
    page.emulate_media(color_scheme="dark")


LEVELS = """() => [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')]
    .filter(heading => heading.checkVisibility()).map(heading => [Number(heading.tagName[1]), heading.textContent])"""


@pytest.mark.parametrize("path", VIEWS)
def test_a_page_has_nothing_serious_against_it_and_no_gap_in_its_headings(
    view: Page, server: Server, path: str
) -> None:
    opened(view, server, path)
    for scheme in in_both_themes(view):
        assert not (found := found_by_axe(view)), "\n".join([scheme, *found])
        levels: list[list[Any]] = view.evaluate(LEVELS)
        assert [level for level, _ in levels].count(1) == 1
        assert levels[0][0] == 1
        for (above, _), (level, words) in pairwise(levels):
            assert level <= above + 1, f"{words!r} is of level {level}, below level {above}"


def test_axe_finds_nothing_serious_in_what_is_taken_away(view: Page, server: Server) -> None:
    opened(view, server, "explore?run=planted")
    for scheme in in_both_themes(view):
        view.get_by_role("button", name="Take away").click()
        expect(view.get_by_role("dialog").get_by_text("Report (HTML)")).to_be_visible()
        settled(view)
        view.wait_for_function(AT_REST)
        assert not (found := found_by_axe(view)), "\n".join([scheme, *found])
        view.get_by_role("dialog").get_by_role("button", name="Close").click()
        expect(view.get_by_role("dialog")).to_have_count(0)


def test_axe_finds_nothing_serious_in_the_numbers_of_a_chart(view: Page, server: Server) -> None:
    opened(view, server, "explore?run=planted")
    view.get_by_text("Table and files").first.click()
    for scheme in in_both_themes(view):
        expect(view.get_by_role("button", name="Save the picture (PNG)")).to_be_visible()
        settled(view)
        assert not (found := found_by_axe(view)), "\n".join([scheme, *found])


# the contrast of a text as it is seen: with the opacity of all that it stands in, on the first background behind it
CONTRAST = """element => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let behind = null, seen = 1;
  for (let at = element; at; at = at.parentElement) {
    const style = getComputedStyle(at), ground = parts(style.backgroundColor);
    seen *= Number(style.opacity);
    if (!behind && (ground.length < 4 || ground[3] === 1)) { behind = ground; }
  }
  const ink = parts(getComputedStyle(element).color);
  seen *= ink.length > 3 ? ink[3] : 1;
  const mixed = [0, 1, 2].map(i => seen * ink[i] + (1 - seen) * behind[i]);
  const [a, b] = [light(mixed), light(behind)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def test_captions_can_be_read_in_both_themes(view: Page, server: Server) -> None:
    for path in ("", "explore?run=planted", "data", "demonstrations?run=movie-reviews"):
        opened(view, server, path)
        for _ in in_both_themes(view):
            captions = view.get_by_test_id("stCaptionContainer").locator("p").all()
            assert len(captions) >= 2
            for caption in captions:
                if caption.is_visible():
                    assert caption.evaluate(CONTRAST) >= 4.5, caption.inner_text()


def test_the_contrast_is_that_of_what_is_seen(page: Page) -> None:
    page.set_content(
        '<body style="background:rgb(255,255,255)"><div style="opacity:.5"><p style="color:rgb(0,0,0)">x'
    )
    assert page.locator("p").evaluate(CONTRAST) == pytest.approx(3.98, abs=0.06)  # of black, half of it seen


def focus_by_tab(page: Page, words: str, most: int = 80) -> None:
    """Press Tab until the button, or what opens and closes, of these words has the focus."""
    target = page.locator("button, summary").filter(has_text=words).first
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element.contains(element.getRootNode().activeElement)"):
            return
    raise AssertionError(f"Tab does not lead to {words}")


def test_the_numbers_of_a_chart_are_had_by_keyboard_as_table_csv_and_png(
    page: Page, server: Server, tmp_path: Path
) -> None:
    opened(page, server, "?run=planted")
    focus_by_tab(page, "Table and files")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Save the picture (PNG)")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    focus_by_tab(page, "Save the table (CSV)", most=30)
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "start_bars.csv"
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0].startswith("task,")
    assert len(lines) == 11
    focus_by_tab(page, "Save the picture (PNG)", most=5)
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "start_bars.png"
    data = Path(saved.value.path()).read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
    assert width > 500
    assert height > 400


def test_gamma_is_played_by_keyboard_in_the_browser_alone(page: Page, server: Server) -> None:
    opened(page, server, "fit?run=planted&tab=3")
    note = page.locator(".js-plotly-plot .textpoint text").first
    note.wait_for()
    focus_by_tab(page, "Play γ")
    page.context.set_offline(True)
    before = note.text_content()
    page.keyboard.press("Enter")
    expect(note).not_to_have_text(before or "")
    page.context.set_offline(False)


def test_a_change_is_said_in_a_live_region_that_stays(page: Page, server: Server) -> None:
    opened(page, server, "explore?run=planted")
    place = page.locator("[class*=st-key-kernelsm_said_what_if] [data-said]")
    expect(place).to_have_attribute("data-said", re.compile("10 of 10 tasks are in"))
    page.get_by_role("button", name="key (with lock)").click()
    said = re.compile(r"9 of 10 tasks are in: predicted worse than with all tasks\.$")
    expect(place).to_have_attribute("data-said", said)
    assert place.get_attribute("data-regions") == "1"
    # as a screen reader is told of it
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    regions = [node["nodeId"] for node in tree if node.get("role", {}).get("value") == "status"]
    words = [node["name"]["value"] for node in tree if node.get("parentId") in regions and node.get("name")]
    assert any(said.search(sentence) for sentence in words)
    assert not any("**" in sentence for sentence in words)
