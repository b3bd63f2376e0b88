"""Two people at their browsers, a real server, and the link that one of them sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import Server
from browser_page import open_page, settled, watch_console
from browsers import ALICE
from people import project_of, table, table_of
from playwright.sync_api import Browser, Page, expect

from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES, save_run

pytestmark = pytest.mark.alone


@pytest.fixture
def kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A project of Alice and the table that was computed of it, in the server's cache."""
    from people import ALICE as SOMEBODY

    monkeypatch.setenv("KERNELSM_CACHE", str(server.cache))
    project = project_of(SOMEBODY)
    run = table_of(SOMEBODY, project)
    for kind, key in ((PROJECTS, project), (TABLES, run)):
        for mark in kind.holders_folder(key).iterdir():
            mark.unlink()
        ALICE.own(kind, key, server.cache)
    return project, run


@pytest.fixture
def alice(browser: Browser, server: Server) -> Iterator[Page]:
    context = ALICE.context(browser, server.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    problems = watch_console(page)
    yield page
    context.close()
    assert not problems, problems


def frames(page: Page) -> list[bytes]:
    """All that the server sends to a page from now on."""
    received: list[bytes] = []

    def take(content: bytes | str) -> None:
        received.append(content if isinstance(content, bytes) else content.encode())

    page.on("websocket", lambda socket: socket.on("framereceived", take))
    return received


def button(page: Page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def test_a_link_shows_and_lets_nobody_take_change_or_delete(
    alice: Page, page: Page, server: Server, kept: tuple[str, str]
) -> None:
    project, run = kept
    sent_to_alice, sent_to_bob = frames(alice), frames(page)
    open_page(alice, server, f"gradients?run={run}", "Gradients")
    expect(button(alice, "Compute outcomes")).to_be_enabled()
    alice.reload()  # the same browser is the same owner
    expect(button(alice, "Compute outcomes")).to_be_enabled()

    open_page(page, server, f"gradients?run={run}", "Gradients")
    expect(page.get_by_text("are not this browser's own")).to_be_visible()
    expect(button(page, "Compute outcomes")).to_have_count(0)
    open_page(page, server, f"data?run={run}", "Data & model")
    expect(page.get_by_text("Seen through a link")).to_be_visible()
    for name in ("Rename", "Delete", "Delete it"):
        expect(button(page, name)).to_have_count(0)
    assert "patients" not in page.inner_text("body")
    with page.expect_download() as download:
        button(page, "Write a session file").click()
        page.get_by_role("button", name="Download it").click()
    content = Path(download.value.path()).read_bytes()
    assert project.encode() not in content
    for path, title in (("decide", "Decide"), ("compare", "Compare"), ("subsets", "Subsets")):
        open_page(page, server, f"{path}?run={run}", title)
        expect(page.get_by_text("are not this browser's own").first).to_be_visible()
    # nothing that the server said names the project, or anybody's secret
    assert any(run.encode() in frame for frame in sent_to_bob)
    assert not any(word in frame for frame in sent_to_bob for word in (project.encode(), b"patients"))
    assert not any(ALICE.token.hex().encode() in frame for frame in sent_to_alice)
    open_page(page, server, f"data?run={run}", "Data & model")
    button(page, "Take off this list").click()
    settled(page)

    alice.close()
    open_page(page, server, f"explore?run={run}", "Explore")
    expect(page.get_by_text("24 subsets · 4 tasks")).to_be_visible()


def test_a_browser_that_was_never_here_before_owns_what_it_brings_in_every_tab(page: Page, server: Server) -> None:
    open_page(page, server, "data", "Data & model")
    page.locator(".st-key-kernelsm_bring").get_by_role("radio", name="A table of outcomes").click()
    content = table(seed=31).to_frame().to_csv(index=False).encode()
    file = {"name": "mine.csv", "mimeType": "text/csv", "buffer": content}
    page.locator(".st-key-kernelsm_upload input[type=file]").set_input_files(file)
    button(page, "Explore it").click()
    expect(page.get_by_role("heading", name="Explore", exact=True, level=1)).to_be_visible()
    settled(page)
    link = page.url.partition("?")[2]
    tab = page.context.new_page()
    for tab_or_reload in (tab, page):
        open_page(tab_or_reload, server, f"data?{link}", "Data & model")
        expect(button(tab_or_reload, "Rename")).to_be_visible()
    tab.close()


def test_what_its_owner_deletes_stays_for_who_looked_at_it(
    alice: Page, page: Page, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELSM_CACHE", str(server.cache))
    seen, unseen = (save_run(table(seed=seed)) for seed in (21, 22))
    for run in (seen, unseen):
        ALICE.own(TABLES, run, server.cache)
    open_page(page, server, f"explore?run={seen}", "Explore")
    page.goto("about:blank")  # the tab is closed
    for run, left in ((seen, True), (unseen, False)):
        open_page(alice, server, f"data?run={run}", "Data & model")
        button(alice, "Delete").click()
        button(alice, "Delete it").click()
        expect(alice.get_by_text("stays for them" if left else "freed")).to_be_visible()
        assert TABLES.is_here(run) is left
    open_page(page, server, f"explore?run={seen}", "Explore")
    expect(page.get_by_text("24 subsets · 4 tasks")).to_be_visible()


def test_no_secret_stands_in_an_address_a_log_or_the_cache(
    alice: Page, server: Server, kept: tuple[str, str]
) -> None:
    project, run = kept
    open_page(alice, server, f"data?run={run}", "Data & model")
    secret = ALICE.token.hex()
    assert secret not in alice.url
    assert secret not in alice.content()
    assert secret not in server.log.read_text()
    assert project not in server.log.read_text()
    assert run not in server.log.read_text()
    for path in server.cache.rglob("*"):
        assert secret not in str(path)
        assert not path.is_file() or secret.encode() not in path.read_bytes()
