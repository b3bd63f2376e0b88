"""A link gives the right to see a result. Who brought a thing owns it: nobody else changes, takes or deletes it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from app_harness import open_app, press, texts, turn
from people import ALICE, BOB, PAGES, project_of, suite, table, table_of
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.app.data import saved_work
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.workspace.holders import holders_of
from kernelsm.workspace.kept import KeptItem
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.prompt_projects import PROMPTS
from kernelsm.workspace.tables import TABLES, save_run

pytestmark = pytest.mark.usefixtures("warm_server")
STARTS = {"Compute outcomes", "Run the check", "Try these pulls", "Retrain with and without", "Delete the chunks"}


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button} | {button.label for button in app.get("download_button")}


def listed(app: AppTest) -> list[str]:
    options = [box.options for box in app.selectbox if box.key == "saved_choice"]
    return [option.rpartition(" · ")[0] for option in options[0]] if options else []


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Session files that the page offered for download."""
    files: list[bytes] = []
    write = saved_work.write_session

    def recorded(*given: Any, **named: Any) -> bytes:
        files.append(write(*given, **named))
        return files[-1]

    monkeypatch.setattr(saved_work, "write_session", recorded)
    return files


def restore(app: AppTest, content: bytes) -> AppTest:
    turn(app, "data")
    app.segmented_control(key="kernelsm_bring").set_value("A saved session").run()
    app.file_uploader(key="bring_session").upload("session.zip", content).run()
    return press(app, "Open this session")


# --- a link


def test_a_link_shows_the_result_on_every_page_and_starts_nothing_on_its_owners_data() -> None:
    project = project_of(ALICE)
    run = table_of(ALICE, project)
    mine = ALICE.open("gradients", run=run)
    assert "Compute outcomes" in labels(mine)
    bob = BOB.open(run=run)
    said = {}
    for page in PAGES:
        turn(bob, page)
        said[page] = texts(bob)
        assert "patients" not in said[page], page
        assert not {"Compute outcomes", "Retrain with and without", "Rename", "Delete it"} & labels(bob), page
    for page in ("gradients", "subsets", "decide", "compare"):
        assert "are not this browser's own" in said[page], page
    assert "24 subsets · 4 tasks" in said["explore"]
    assert any(app_chart for app_chart in turn(bob, "explore").get("plotly_chart"))
    assert list(bob.session_state["kernelsm_tables"]) == [run]
    assert "kernelsm_projects" not in bob.session_state or not bob.session_state["kernelsm_projects"]
    turn(bob, "data")
    assert listed(bob) == ["table from the link · outcomes, seen"]


def test_what_a_link_compares_shows_the_result_alone() -> None:
    project = project_of(ALICE)
    run = table_of(ALICE, project)
    sides = {"first": f"run={run}", "second": f"run={run}&kernel=linear", "pins": f"run={run}"}
    bob = BOB.open("compare", run="planted", compared="views", **sides)
    assert "The ranks of tasks correlate" in texts(bob)
    assert "patients" not in texts(bob)
    turn(bob, "data")
    assert listed(bob) == ["table from the link · outcomes, seen"]
    assert not {"Rename", "Delete it"} & labels(bob)


def test_a_link_to_a_project_shows_its_head_alone() -> None:
    project = project_of(ALICE)
    bob = BOB.open("gradients", project=project)
    assert "are not this browser's own" in texts(bob)
    assert not labels(bob) & {"Compute outcomes", "Run the check", "Try these pulls"}
    turn(bob, "subsets")
    assert "are not this browser's own" in texts(bob)
    turn(bob, "data")
    assert not {"Rename", "Delete it"} & labels(bob)


@pytest.mark.parametrize("source", ["project", "0" * 40, "../../etc", "", None, 7])
def test_a_table_that_claims_to_be_of_somebodys_project_gives_nothing_of_it(source: Any) -> None:
    project = project_of(ALICE)
    claimed = project if source == "project" else source
    run = save_run(table(seed=3, computed_from=claimed, estimator="gradex", projection="exact basis"))
    BOB.own(TABLES, run)
    for app in (BOB.open(run=run), BOB.open(run=run, project=project)):
        for page in ("gradients", "subsets", "decide", "compare", "data"):
            turn(app, page)
            assert not labels(app) & STARTS, page
    assert PROJECTS.is_here(project)


def test_prompts_are_seen_with_their_table_and_not_asked_about_by_others() -> None:
    from kernelsm.prompts.task import Labelled, PromptTask
    from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts

    shown = tuple(Labelled(f"text {place}", "yes" if place % 2 else "no") for place in range(4))
    task = PromptTask(shown, shown[:2], shown[2:], ("yes", "no"), k=2)
    key = keep_prompts(PromptSource("Alice's texts", task))
    ALICE.own(PROMPTS, key)
    for person, may in ((ALICE, True), (BOB, False)):
        app = person.open("demonstrations", prompts=key)
        assert ("Ask the model" in labels(app)) is may
        assert ("are not this browser's own" in texts(app)) is not may


# --- deleting


def test_deleting_takes_away_ones_own_part_and_leaves_everybody_elses() -> None:
    run = table_of(ALICE, project_of(ALICE))
    bob = BOB.open("data", run=run)
    press(bob, "Take off this list")
    assert listed(bob) == []
    assert "Explore" in texts(ALICE.open("explore", run=run))
    # Bob looks at it again, and closes his tab
    BOB.open("explore", run=run)
    alice = ALICE.open("data", run=run)
    assert listed(alice)[-1].endswith("· outcomes")
    alice.selectbox(key="saved_choice").set_value(run).run()
    press(alice, "Delete it")
    assert "stays for them" in texts(alice)
    assert "24 subsets" in texts(BOB.open("explore", run=run))
    # she owns it no more, and nobody else may delete it
    again = ALICE.open("data", run=run)
    again.selectbox(key="saved_choice").set_value(run).run()
    assert "Delete it" not in labels(again)


def test_what_nobody_else_holds_is_deleted_at_once() -> None:
    project = project_of(ALICE)
    run = table_of(ALICE, project)
    alice = ALICE.open("data", run=run)
    assert set(alice.session_state["kernelsm_projects"]) == {project}
    for key in (run, project):
        alice.selectbox(key="saved_choice").set_value(key).run()
        press(alice, "Delete it")
    assert not TABLES.is_here(run)
    assert not PROJECTS.is_here(project)


def test_what_an_earlier_version_kept_is_seen_by_its_link_and_deleted_by_nobody() -> None:
    run = save_run(table())
    for person in (ALICE, BOB):
        app = person.open("data", run=run)
        assert "Delete it" not in labels(app)
        press(app, "Take off this list")
    assert TABLES.is_here(run)


def test_chunks_are_deleted_by_who_owns_the_data_and_of_no_other_data() -> None:
    project, other = project_of(ALICE), suite(seed=1).content_hash
    kind = ChunkKind("owned", version=1)
    for content in (suite().content_hash, other):
        Store().chunk(kind, key=(content,), compute=lambda: 1)
    bob = BOB.open("gradients", run="digits", project="")
    bob.session_state["kernelsm_cache_panel"] = True
    bob.run()
    assert "Delete the chunks" not in labels(bob)
    alice = ALICE.open("gradients", project=project)
    alice.session_state["kernelsm_cache_panel"] = True
    alice.run()
    press(alice, "Delete the chunks")
    assert not Store().entries_of(suite().content_hash)
    assert Store().entries_of(other)


# --- what may be changed by others


def test_bringing_equal_values_changes_nothing_of_what_a_table_says_of_itself() -> None:
    project = project_of(ALICE)
    run = table_of(ALICE, project)
    forged = table(computed_from="0" * 40, estimator="retraining")
    assert forged.content_hash == run
    bob = BOB.open("data")
    bob.segmented_control(key="kernelsm_bring").set_value("A table of outcomes").run()
    path = Path(PROJECTS.paths(project)[0]).with_name("forged.parquet")
    bob.file_uploader(key="kernelsm_upload").upload("forged.parquet", forged.save(path).read_bytes()).run()
    assert not bob.exception
    assert TABLES.load(run).meta["computed_from"] == project
    assert holders_of(KeptItem(TABLES, run)).owners == {ALICE.id(run), BOB.id(run)}
    assert "Compute outcomes" in labels(ALICE.open("gradients", run=run))


def test_owners_of_equal_content_each_have_their_own_name_for_it() -> None:
    project = project_of(ALICE)
    BOB.own(PROJECTS, project)
    bob = BOB.open("data", project=project)
    bob.text_input(key=f"saved_title_{project}").set_value("Bob's").run()
    press(bob, "Rename")
    assert listed(bob) == ["Bob's · data and model"]
    assert PROJECTS.title(project) == "Alice's patients"


# --- session files


def test_the_session_file_of_a_viewer_holds_the_table_and_nothing_that_it_was_made_from(written: list[bytes]) -> None:
    project = project_of(ALICE)
    run = table_of(ALICE, project)
    bob = BOB.open("data", run=run, off="1")
    press(bob, "Write a session file")
    BOB.open("data", run=run, project=project)
    with zipfile.ZipFile(io.BytesIO(written[0])) as archive:
        assert set(archive.namelist()) == {"session.json", f"runs/{run}.parquet"}
        assert project.encode() not in b"".join(archive.read(name) for name in archive.namelist())
        description = json.loads(archive.read("session.json"))
        found = Outcomes.from_bytes(archive.read(f"runs/{run}.parquet"), "x.parquet")
    assert "owns" not in description
    assert description["view"]["run"] == run
    assert found.content_hash == run


def test_a_viewer_of_a_project_writes_neither_it_nor_its_name(written: list[bytes]) -> None:
    project = project_of(ALICE)
    press(BOB.open("data", project=project), "Write a session file")
    with zipfile.ZipFile(io.BytesIO(written[0])) as archive:
        assert archive.namelist() == ["session.json"]
        assert project.encode() not in archive.read("session.json")


def test_who_opens_ones_session_file_goes_on_as_its_owner_and_owns_nothing_else(written: list[bytes]) -> None:
    project = project_of(ALICE)
    run = table_of(ALICE, project)
    press(ALICE.open("data", run=run), "Write a session file")
    later = save_run(table(seed=9))
    ALICE.own(TABLES, later)
    assert b"alice" not in written[0]
    home = restore(open_app("data"), written[0])
    assert "Compute outcomes" in labels(turn(home, "gradients"))
    home = turn(home, "data")
    for key in (run, project):  # as Alice herself: no part of hers is left over
        home.selectbox(key="saved_choice").set_value(key).run()
        press(home, "Delete it")
        assert "freed" in texts(home)
    assert not TABLES.is_here(run)
    assert holders_of(KeptItem(TABLES, later)).owners == {ALICE.id(later)}


def test_a_session_file_with_a_made_up_proof_takes_nobodys_part(written: list[bytes]) -> None:
    run = table_of(ALICE, "")
    BOB.own(TABLES, run)
    bob = BOB.open("data", run=run)
    press(bob, "Write a session file")
    with zipfile.ZipFile(io.BytesIO(written[0])) as archive:
        description = json.loads(archive.read("session.json"))
        content = archive.read(f"runs/{run}.parquet")
    for proofs in ({run: ALICE.id(run) * 2}, {"0" * 40: "0" * 64}, {run: "short"}, [run]):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("session.json", json.dumps({**description, "owns": proofs}))
            archive.writestr(f"runs/{run}.parquet", content)
        app = open_app("data")
        app.segmented_control(key="kernelsm_bring").set_value("A saved session").run()
        app.file_uploader(key="bring_session").upload("session.zip", file.getvalue()).run()
        press(app, "Open this session")
        if app.error:
            assert "owns" in app.error[0].value
            continue
        app.selectbox(key="saved_choice").set_value(run).run()
        press(app, "Delete it")
        assert ALICE.id(run) in holders_of(KeptItem(TABLES, run)).owners
