"""An endpoint in a real browser: chosen, told a key, asked by a job, killed with its job and asked for the rest."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from app_server import Server
from browser_page import open_page, settled
from browsers import ALICE
from faulty_endpoint import Faulty, chat_answer, served
from playwright.sync_api import Page, expect

from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, keep_prompts

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]
LABELS = ("positive", "negative")
TEXTS = ("a good film", "a bad book", "long and bad", "good and long", "a book", "a film and a book", "bad", "good")
SHOWN = tuple(Labelled(text, LABELS[i % 2]) for i, text in enumerate(TEXTS))
TASK = PromptTask(SHOWN, SHOWN[:4], SHOWN[3:], LABELS, k=3)
KEY = "sk-of-the-browser-2718"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose owner allows endpoints, and holds no key."""
    server = Server(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELSM_ALLOW_PATHS", "1")
        for name in ("KERNELSM_API_KEY", "OPENAI_API_KEY", "KERNELSM_ALLOW_ENDPOINTS"):
            patch.delenv(name, raising=False)
        server.start()
    yield server
    server.stop()


def write(page: Page, field: str, text: str) -> None:
    page.get_by_role("textbox", name=field, exact=True).fill(text)
    page.keyboard.press("Enter")
    settled(page)


def unpacked(file: Path) -> list[bytes]:
    if not zipfile.is_zipfile(file):
        return [file.read_bytes()]
    with zipfile.ZipFile(file) as content:
        return [content.read(name) for name in content.namelist()]


def running(server: Server) -> dict[str, Any]:
    found = [json.loads(file.read_text()) for file in server.cache.glob("jobs/*/status.json")]
    return next((status for status in found if status["state"] == "running"), {})


def test_an_endpoint_is_asked_from_the_page_and_its_key_is_nowhere(
    page: Page, server: Server, tmp_path: Path
) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        if faulty.answered >= 15 and not go_on:
            time.sleep(0.5)
        return chat_answer("positive" if "good" in body["messages"][-1]["content"] else "negative")

    go_on: list[bool] = []
    key = keep_prompts(PromptSource("Small prompts", TASK), server.cache)
    ALICE.own(PROMPTS, key, server.cache)
    ALICE.put(page.context, server.url)
    sent: list[str] = []
    page.on("response", lambda response: sent.append(response.url))
    with served(Faulty(answer)) as faulty:
        open_page(page, server, f"demonstrations?prompts={key}", "Demonstrations")
        page.get_by_text("Model: SmolLM2-135M-Instruct").click()
        page.get_by_role("radio", name="Endpoint").click()
        settled(page)
        write(page, "Address", f"{faulty.url}/v1")
        write(page, "Model", "my-model")
        page.get_by_text("Log-probabilities", exact=True).click()
        settled(page)
        page.get_by_label("Key", exact=True).last.fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_placeholder("Held in memory").first).to_be_visible()
        page.get_by_role("button", name="Take this model").click()
        expect(page.get_by_text("Model: my-model at 127.0.0.1")).to_be_visible()
        settled(page)
        prompts = page.get_by_role("spinbutton", name="Prompts", exact=True)
        prompts.fill("12")
        prompts.press("Enter")
        expect(page.get_by_text("At most 96 calls")).to_be_visible()
        settled(page)
        page.get_by_role("button", name="Ask the model").click()
        deadline = time.monotonic() + 300
        while faulty.answered < 16:
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.05)
        os.kill(running(server)["pid"], 9)
        go_on.append(True)
        again = page.get_by_role("button", name="Resume")
        expect(again).to_be_enabled(timeout=60_000)
        again.click()
        page.get_by_role("button", name="Show this result on all pages").click(timeout=300_000)
        expect(page.get_by_role("button", name="Take", exact=True).first).to_be_visible(timeout=60_000)
        settled(page)
        # the eight that were under way at most
        asked = Counter(str(body["messages"]) for body in faulty.bodies)
        assert sum(asked.values()) <= len(asked) + 8
        assert set(faulty.keys) == {f"Bearer {KEY}"}
        stored = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        for text in (page.content(), page.url, stored, *sent):
            assert KEY not in text
        page.get_by_role("button", name="Take away").click()
        dialog = page.get_by_role("dialog")
        for label in ("Report (HTML)", "Notebook and data (zip)", "All tables (zip)", "Outcomes (Parquet)"):
            with page.expect_download() as download:
                dialog.get_by_role("button", name=label).click()
            file = tmp_path / download.value.suggested_filename
            download.value.save_as(file)
            assert all(KEY.encode() not in content for content in unpacked(file)), label
    for path in (path for path in server.cache.rglob("*") if path.is_file()):
        assert KEY.encode() not in path.read_bytes(), path
        if path.name == "value.pkl":
            assert KEY not in repr(joblib.load(path)), path
