"""PromptChoice demonstrations in a real browser, checked by a real, if tiny, language model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from app_server import Server
from browser_page import open_page, settled
from browsers import ALICE
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as TooLate
from small_language_model import save

from kernelsm import Outcomes
from kernelsm.models.language_model import load_language_model
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.prompts.prompting import Prompting
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, keep_prompts
from kernelsm.workspace.tables import save_run

LABELS = ("positive", "negative")
TEXTS = ("a good film", "a bad book", "long and bad", "good and long", "a book", "a film and a book", "bad", "good")
SHOWN = tuple(Labelled(text, LABELS[i % 2]) for i, text in enumerate(TEXTS))
TASK = PromptTask(SHOWN, SHOWN[:4], SHOWN[3:], LABELS, k=3)
ROW, HEAD = 102, 35  # pixels of a row of a table, and of its head


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose owner allows models in folders."""
    server = Server(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELSM_ALLOW_PATHS", "1")
        server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished run of prompts on the server, with a tiny network of random weights."""
    folder: Path = save(tmp_path_factory.mktemp("model") / "tiny")
    key = keep_prompts(PromptSource("Small prompts", TASK, str(folder)), server.cache)
    ALICE.own(PROMPTS, key, server.cache)
    masks = fixed_size_masks(len(TEXTS), 40, size=TASK.k, seed=0)
    found = Prompting(TASK, load_language_model(str(folder))).outcomes(masks)
    named = {"task_names": found.task_names, "target_names": found.target_names}
    return save_run(Outcomes(masks, found.values, **named, meta={**found.meta, "prompts": key}), server.cache)


@pytest.fixture(autouse=True)
def owner(page: Page, server: Server) -> None:
    """The browser is that of whoever brought the prompts."""
    ALICE.put(page.context, server.url)


def predicted(page: Page) -> str:
    return page.get_by_test_id("stMetric").filter(has_text="Predicted").get_by_test_id("stMetricValue").inner_text()


def filled(page: Page, count: int) -> None:
    expect(page.get_by_role("button", name="Take out")).to_have_count(count)
    settled(page)


def click_box(page: Page, row: int) -> None:
    """Click the box of a row of the candidates."""
    drawn = page.get_by_test_id("stDataFrame").first
    expect(drawn.get_by_test_id("data-grid-canvas")).to_be_visible()
    table = drawn.bounding_box()
    assert table
    page.mouse.click(table["x"] + 25, table["y"] + HEAD + (row + 0.5) * ROW)


def add_by_keys(page: Page) -> None:
    """Take the first text that is offered: a list that opens while the page is drawn is closed again."""
    for _ in range(5):
        page.get_by_role("combobox", name="Add a demonstration").focus()
        page.keyboard.press("ArrowDown")
        with suppress(TooLate):
            page.get_by_role("option").first.wait_for(timeout=4_000)
            page.keyboard.press("Enter")
            return
    raise AssertionError("no text was offered five times")


def test_a_refused_tick_does_not_enter_when_a_slot_is_free(page: Page, server: Server, run: str) -> None:
    open_page(page, server, f"demonstrations?run={run}", "Demonstrations")
    for row in range(TASK.k):
        click_box(page, row)
        filled(page, row + 1)
    click_box(page, TASK.k)
    expect(page.get_by_text(f"All {TASK.k} slots are full")).to_be_visible()
    expect(page.locator(".st-key-demo_table_1")).to_be_visible()
    filled(page, TASK.k)
    click_box(page, 0)
    filled(page, TASK.k - 1)


def test_back_and_forward_go_through_the_picks_and_pages(page: Page, server: Server, run: str) -> None:
    open_page(page, server, f"demonstrations?run={run}", "Demonstrations")
    predictions = [predicted(page)]
    for row in range(2):
        click_box(page, row)
        filled(page, row + 1)
        predictions.append(predicted(page))
    page.get_by_role("link", name="Fit").click()
    expect(page.get_by_role("heading", name="Fit", exact=True, level=1)).to_be_visible()
    settled(page)
    page.go_back()
    filled(page, 2)
    for count in (1, 0):
        page.go_back()
        filled(page, count)
        assert predicted(page) == predictions[count]
    page.go_forward()
    filled(page, 1)
    assert predicted(page) == predictions[1]
    # from here on the history is a new one
    page.get_by_role("button", name="Take out").click()
    filled(page, 0)
    page.go_back()
    filled(page, 1)


def test_a_prompt_is_picked_checked_copied_and_found_again(page: Page, server: Server, run: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    open_page(page, server, f"demonstrations?run={run}", "Demonstrations")
    empty = predicted(page)
    # by click: the box of the second row
    click_box(page, 1)
    filled(page, 1)
    first = predicted(page)
    assert first != empty
    # by keyboard
    add_by_keys(page)
    filled(page, 2)
    picked = page.url
    assert "picked=" in picked
    # a suggestion, taken and undone
    page.get_by_role("button", name="Take", exact=True).first.click()
    filled(page, 3)
    page.get_by_role("button", name="Undo").click()
    filled(page, 2)
    page.wait_for_url(picked)
    page.get_by_role("button", name="Undo").click()
    filled(page, 1)
    assert predicted(page) == first
    page.get_by_role("button", name="Take", exact=True).first.click()
    filled(page, 3)
    # the copied text is what the model reads
    code = page.get_by_test_id("stCode").last
    code.hover()
    code.get_by_role("button").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith("Text: {text}\nLabel:")
    assert sum(f"Text: {text}\nLabel: " in copied for text in TEXTS) == TASK.k
    # the model has its say
    page.get_by_role("radio", name="Check", exact=True).or_(
        page.get_by_role("button", name="Check", exact=True)
    ).click()
    page.get_by_role("button", name="Check with the model").click()
    expect(page.get_by_text("on fresh queries in the order shown, right on")).to_be_visible(timeout=90_000)
    settled(page)
    last = predicted(page)
    page.reload()
    filled(page, 3)
    assert predicted(page) == last


def test_a_prompt_is_put_together_by_keyboard_alone(page: Page, server: Server, run: str) -> None:
    open_page(page, server, f"demonstrations?run={run}", "Demonstrations")
    expect(page.get_by_test_id("stDataFrame").first.get_by_test_id("data-grid-canvas")).to_be_visible()
    page.get_by_test_id("stDataFrame").first.get_by_test_id("data-grid-canvas").focus()
    for row in range(TASK.k):  # the table keeps its place through what a tick changes
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Shift+Space")
        filled(page, row + 1)
    for name in ("Earlier", "Take out"):
        button = page.get_by_role("button", name=name).last
        button.focus()
        page.keyboard.press("Enter")
        settled(page)
        expect(page.locator(".st-key-demo_parts :focus")).to_have_count(1)
