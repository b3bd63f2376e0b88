"""The worst names in a real browser: no page asks a foreign host, or makes a link or picture of them."""

from __future__ import annotations

import pytest
from app_server import Server
from browser_page import open_page, settled
from nasty_names import EVIL, NASTY, nasty_table, nasty_texts
from playwright.sync_api import Page, expect

from kernelsm import Outcomes
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts
from kernelsm.workspace.tables import save_run

pytestmark = pytest.mark.alone
TITLES = {
    "": "Which tasks help, which hurt, which interact?", "data": "Data & model", "subsets": "Subsets", "fit": "Fit",
    "explore": "Explore", "decide": "Decide", "compare": "Compare",
}  # fmt: skip
MADE_OF_NAMES = f"""
    [...document.querySelectorAll('a, img, image, iframe, script, video, object, embed, link')]
        .map(node => node.getAttribute('href') || node.getAttribute('xlink:href') || node.getAttribute('src') || '')
        .filter(address => address.includes('{EVIL}') || /^(javascript|mailto):/i.test(address))
"""
PICTURES = "document.querySelectorAll('.stMain .katex, .stMain img').length"


@pytest.fixture
def watched(page: Page) -> list[str]:
    """Addresses beyond the server that the page asked for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "127.0.0.1" not in request.url else None)
    return asked


def foreign(asked: list[str]) -> list[str]:
    return [address for address in asked if not address.startswith(("data:", "blob:"))]


def is_plain(page: Page, asked: list[str], where: str) -> None:
    assert page.evaluate(MADE_OF_NAMES) == [], where
    assert page.evaluate(PICTURES) == 0, where
    assert foreign(asked) == [], where


def test_names_of_tasks_and_targets(page: Page, server: Server, watched: list[str]) -> None:
    table = nasty_table(40, 1)
    run = save_run(table, server.cache)
    for path, title in TITLES.items():
        open_page(page, server, f"{path}?run={run}", title)
        is_plain(page, watched, path)
    # read back, name by name, where each has a button of its own
    open_page(page, server, f"explore?run={run}", "Explore")
    pills = page.locator(".st-key-view_off button")
    expect(pills).to_have_count(40)
    assert [text.strip() for text in pills.all_text_contents()] == [" ".join(name.split()) for name in NASTY[:40]]
    expect(page.locator(".js-plotly-plot .ytick text").first).to_be_visible()
    drawn = set(page.locator(".js-plotly-plot .ytick text").all_text_contents())
    assert len(drawn & {name for name in NASTY if len(name) <= 34}) > 20
    settled(page)
    first = page.get_by_role("combobox", name="First task")
    first.scroll_into_view_if_needed()
    first.focus()
    first.press("ArrowDown")
    expect(page.get_by_role("option").first).to_be_visible()
    is_plain(page, watched, "options")
    options = page.get_by_role("option").all_text_contents()
    assert options
    assert set(options) <= set(NASTY)


def test_texts_and_labels_of_prompts(page: Page, server: Server, watched: list[str]) -> None:
    task = nasty_texts()
    key = keep_prompts(PromptSource(NASTY[15], task), server.cache)
    masks = fixed_size_masks(12, 60, size=2, seed=0)
    values = masks @ [float(k) for k in range(12)]
    meta = {"prompts": key, "task": task.content_hash, "unit": "nats"}
    run = save_run(Outcomes(masks, values, task_names=NASTY[:12], target_names=("all",), meta=meta), server.cache)
    for link in (f"run={run}&picked=0-3", f"prompts={key}"):
        open_page(page, server, f"demonstrations?{link}", "Demonstrations")
        is_plain(page, watched, link)
    open_page(page, server, f"demonstrations?run={run}&picked=0-3", "Demonstrations")
    expect(page.get_by_text(f"1 · {task.candidates[0].text} → {task.candidates[0].label}")).to_be_visible()


def test_a_link_and_a_file_say_what_they_hold(page: Page, server: Server, watched: list[str]) -> None:
    page.goto(f"{server.url}/data?run=https%3A%2F%2F{EVIL}&project=www.{EVIL}&target=%3Asmile%3A")
    expect(page.get_by_text(f"run=https://{EVIL}")).to_be_visible()
    is_plain(page, watched, "toast")
    page.locator(".st-key-kernelsm_bring").get_by_role("radio", name="A table of outcomes").click()
    name = f"www.{EVIL} me@{EVIL} -> <b>x</b>.csv"
    files = page.locator(".st-key-kernelsm_upload input[type=file]")
    bad = b"task:https://evil.example/1,target:x\n1,2\n"
    files.set_input_files({"name": name, "mimeType": "text/csv", "buffer": bad})
    expect(page.get_by_text("Nothing else changed")).to_be_visible()
    is_plain(page, watched, "refusal")
    page.get_by_role("button", name=f"Remove {name}").click()
    content = nasty_table(12, 1).to_frame().to_csv(index=False).encode()
    files.set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    expect(page.get_by_text("12 tasks, 1 target, losses")).to_be_visible()
    is_plain(page, watched, "upload")
