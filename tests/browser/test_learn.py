"""The page Learn in a browser: all eight lessons by mouse and by keyboard, on a projector and on a phone."""

from __future__ import annotations

import re

import pytest
from app_server import Server
from browser_page import settled, watch_console
from playwright.sync_api import Browser, Locator, Page, expect

from kernelsm.app.learn.lesson import Lesson
from kernelsm.app.learn.lesson_files import BUILT_IN, lesson_files, read_lesson_file

pytestmark = pytest.mark.alone
LESSONS = [read_lesson_file(file) for file in lesson_files(BUILT_IN)]
SIZES = {"projector": (1280, 720), "phone": (390, 844)}


def open_lesson(page: Page, server: Server, link: str, number: int = 1) -> None:
    page.goto(f"{server.url}/{link}")
    expect(heading(page, number)).to_be_visible()
    settled(page)


def heading(page: Page, number: int) -> Locator:
    return page.get_by_role("heading", name=f"{number}. {LESSONS[number - 1].title}", exact=True, level=1)


def answer(page: Page) -> Locator:
    """The box with the answer: a live region, which a screen reader says when it appears."""
    return page.get_by_role("main").get_by_role("status").filter(has_text="redict")


def sliders(page: Page) -> Locator:
    return page.locator("[data-testid=stSlider] [role=slider], [data-testid=stSlider] input[type=range]")


class Mouse:
    """Answers, moves and walks by clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def predict(self, lesson: Lesson) -> None:
        if lesson.prediction.answers:
            self.page.get_by_test_id("stRadio").locator("label").nth(1).click()
        else:
            self._drag(sliders(self.page).first, 0.4)

    def move(self, lesson: Lesson) -> None:
        if lesson.slider:
            self._drag(sliders(self.page).last, 1.0)
        else:
            self.page.get_by_test_id("stButtonGroup").last.get_by_text(lesson.positions[-1].label, exact=True).click()

    def next(self) -> None:
        self.page.get_by_role("button", name="Next lesson").click()

    def _drag(self, thumb: Locator, share: float) -> None:
        """Drag the thumb of a slider to this share of its track."""
        thumb.scroll_into_view_if_needed()
        box, track = thumb.bounding_box(), self._track(thumb).bounding_box()
        assert box
        assert track
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.mouse.down()
        for part in (0.5, 1.0):
            self.page.mouse.move(track["x"] + track["width"] * share * part, box["y"] + box["height"] / 2)
        self.page.mouse.up()

    def _track(self, thumb: Locator) -> Locator:
        return thumb.locator("xpath=ancestor::*[@data-testid='stSlider']")


class Keyboard:
    """The same by Tab, arrows and Enter alone."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def predict(self, lesson: Lesson) -> None:
        if lesson.prediction.answers:
            self._tab_to("stRadio")
            self.page.keyboard.press("Space")
            settled(self.page)
            self.page.keyboard.press("ArrowDown")
        else:
            self._tab_to("stSlider")
            for _ in range(5):
                self.page.keyboard.press("ArrowRight")

    def move(self, lesson: Lesson) -> None:
        if lesson.slider:
            self._tab_to("stSlider", last=True)
            for _ in lesson.positions:
                self.page.keyboard.press("ArrowRight")
        else:
            self._tab_to("stButtonGroup", text=lesson.positions[-1].label)
            self.page.keyboard.press("Enter")

    def next(self) -> None:
        self._tab_to("stButton", text="Next lesson")
        self.page.keyboard.press("Enter")

    def _tab_to(self, place: str, *, text: str = "", last: bool = False) -> None:
        """Press Tab until the focus is in such a place, the last one of its kind, or on such a text."""
        inside = """([place, text, last]) => {
            const found = document.activeElement.closest(`[data-testid=${place}]`);
            const all = [...document.querySelectorAll(`[data-testid=${place}]`)];
            return found !== null && (!last || found === all[all.length - 1])
                && (!text || document.activeElement.innerText.includes(text)
                    || (document.activeElement.closest('label')?.innerText || '').includes(text));
        }"""
        for _ in range(80):
            if self.page.evaluate(inside, [place, text, last]):
                return
            # a group of choices is one stop of Tab: arrows walk within it
            self.page.keyboard.press("ArrowRight" if self._within_group(place, text) else "Tab")
        raise AssertionError(f"no Tab leads to {place} {text}")

    def _within_group(self, place: str, text: str) -> bool:
        found: bool = self.page.evaluate(
            """([place, text]) => {
                const group = document.activeElement.closest(`[data-testid=${place}]`);
                return place === 'stButtonGroup' && group !== null && group.innerText.includes(text)
                    && document.activeElement.getAttribute('role') === 'radio';
            }""",
            [place, text],
        )
        return found


def states_its_numbers(lesson: Lesson, said: str) -> None:
    """Check that every number of the reveal is on screen, with the stated one inside its interval."""
    said = said.replace("\u2212", "-")
    found = [(float(value), float(margin)) for value, margin in re.findall(r"([+-]?\d[\d.]*\d) ± (\d[\d.]*\d)", said)]
    margins = [float(margin) for margin in re.findall(r"± (\d[\d.]*\d)", said)]
    for name in re.findall(r"\[\[(.*?)\]\]", lesson.reveal):
        number = lesson.numbers[name]
        if number.margin:
            assert any(abs(margin - number.stated) <= 0.1 * margin for margin in margins), (name, said)
        elif number.stated == 0:
            assert "says 0," in said
        else:
            assert any(abs(value - number.stated) <= margin for value, margin in found), (name, said)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hand", [Mouse, Keyboard])
def test_all_eight_lessons_are_walked_and_state_their_numbers(
    browser: Browser, server: Server, hand: type[Mouse] | type[Keyboard], size: str
) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(20_000)
    problems = watch_console(page)
    open_lesson(page, server, "?mode=class")
    by = hand(page)
    for number, lesson in enumerate(LESSONS, 1):
        expect(heading(page, number)).to_be_visible()
        settled(page)
        chart = page.locator(".js-plotly-plot")
        expect(chart).to_be_visible()
        if size == "projector":  # question, prediction, control and chart without scrolling
            box = page.get_by_test_id("stPlotlyChart").bounding_box()
            assert box
            assert box["y"] + box["height"] <= height + 1, number
        nothing_is_wider_than(page, width)
        expect(answer(page)).to_have_count(0)
        by.predict(lesson)
        settled(page)
        expect(page.get_by_text("for the answer.")).to_be_visible()
        by.move(lesson)
        expect(answer(page)).to_be_visible()
        settled(page)
        states_its_numbers(lesson, answer(page).inner_text())
        nothing_is_wider_than(page, width)
        if number < len(LESSONS):
            by.next()
    page.wait_for_url(re.compile("answered=1-2-3-4-5-6-7-8"))
    assert not problems, problems
    context.close()


def nothing_is_wider_than(page: Page, width: int) -> None:
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width


def test_a_link_to_one_lesson_shows_nothing_else_and_a_reload_keeps_its_answer(page: Page, server: Server) -> None:
    open_lesson(page, server, "?lesson=2", 2)
    expect(page.get_by_test_id("stSidebar")).to_have_count(0)
    expect(page.get_by_role("button", name="Next lesson")).to_have_count(0)
    by = Mouse(page)
    by.predict(LESSONS[1])
    settled(page)
    by.move(LESSONS[1])
    expect(answer(page)).to_be_visible()
    page.wait_for_url(re.compile("lesson=2.*answered=2"))
    said = answer(page).inner_text()
    page.reload()
    expect(answer(page)).to_be_visible()
    settled(page)
    assert answer(page).inner_text() == said


def test_a_swipe_over_a_chart_scrolls_the_page_of_a_phone(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    open_lesson(page, server, "?lesson=7", 7)
    box = page.get_by_test_id("stPlotlyChart").bounding_box()
    assert box
    cdp = context.new_cdp_session(page)
    assert box["y"] < 700
    x, y = box["x"] + box["width"] / 2, 750
    for i in range(12):
        finger = {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y - 20 * i}]}
        cdp.send("Input.dispatchTouchEvent", finger)
        page.wait_for_timeout(16)
    cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("document.querySelector('[data-testid=stMain]')?.scrollTop > 100")
    context.close()


def test_the_way_on_leads_to_its_page_with_the_lessons_run(page: Page, server: Server) -> None:
    open_lesson(page, server, "?lesson=2&answered=2&at=1", 2)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=LESSONS[1].link).click()
    other = opened.value
    expect(other.get_by_role("heading", name="Explore", exact=True, level=1)).to_be_visible()
    assert "run=planted" in other.url
    other.close()
