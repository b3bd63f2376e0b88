"""Links and session files of an earlier version, opened in the app: every page shows what they stood for."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
from app_harness import ROOT, bring, open_app, press, run, texts, turn

from kernelsm.app.shell.view import ViewState
from kernelsm.workspace.tables import TABLES

pytestmark = pytest.mark.usefixtures("warm_server")
MADE_BEFORE = ROOT / "tests" / "workspace" / "made_before"
FACTS = json.loads((MADE_BEFORE / "facts.json").read_text())
LINKS = list(zip(FACTS["links"], FACTS["views"], strict=True))
PAGES = ("start", "data", "gradients", "subsets", "fit", "explore", "decide", "demonstrations")


NEW = json.loads(json.dumps(asdict(ViewState())))
"""Fields that came since have their defaults, which mean what a link without them meant."""


def as_json(view: ViewState) -> dict[str, object]:
    """The fields of a view, as JSON holds them."""
    found: dict[str, object] = json.loads(json.dumps(asdict(view)))
    return found


@pytest.mark.parametrize(("link", "view"), LINKS, ids=range(len(LINKS)))
def test_a_link_stands_for_the_same_view(link: dict[str, str], view: dict[str, object]) -> None:
    found, ignored = ViewState.from_params(link)
    assert ignored == []
    assert as_json(found) == NEW | view
    assert found.to_params() == link


@pytest.mark.parametrize(("link", "view"), LINKS, ids=range(len(LINKS)))
def test_a_link_opens_on_all_pages(own_cache: Path, link: dict[str, str], view: dict[str, object]) -> None:
    with zipfile.ZipFile(MADE_BEFORE / "cache.zip") as archive:
        archive.extractall(own_cache)
    app = open_app(**link)
    assert not app.toast
    for page in PAGES:
        turn(app, page)
        assert as_json(app.session_state["kernelsm_view"]) == NEW | view
        assert not app.error


def test_a_session_file_is_restored_in_an_empty_cache(own_cache: Path) -> None:
    app = bring("session.zip", (MADE_BEFORE / "session.zip").read_bytes(), way="A saved session", key="bring_session")
    press(app, "Open this session")
    assert not app.error
    assert "Restored the view, 4 tables of outcomes and 4 projects of data and a model." in texts(app)
    assert "Demonstrations for a prompt: 1." in texts(app)
    assert as_json(app.session_state["kernelsm_view"]) == NEW | FACTS["views"][0]
    (box,) = (box for box in app.selectbox if box.key == "saved_choice")
    titles = {option.split(" · ")[0] for option in box.options}
    assert titles == {*FACTS["projects"].values(), *FACTS["prompts"].values(), *FACTS["titles"].values()}
    turn(app, "explore")
    assert any(caption.value.startswith("Places, estimated · 12 subsets · 4 tasks") for caption in app.caption)
    assert TABLES.load(run(app)).content_hash == run(app)
