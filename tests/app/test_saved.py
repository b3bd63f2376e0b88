"""What a session brought: seen on every page and by no other session, renamed, deleted, saved to a file, restored."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_files
import streamlit as st
from app_harness import bring, compute, open_app, prepare, press, project, run, texts, turn
from streamlit.testing.v1 import AppTest

from kernelsm.app.data import saved_work
from kernelsm.examples.catalog import built_in
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES

pytestmark = pytest.mark.usefixtures("warm_server")
OUTCOMES = {"way": "A table of outcomes", "key": "kernelsm_upload"}


def listed(app: AppTest) -> list[str]:
    """What the page lists of one's own, without sizes."""
    options = [box.options for box in app.selectbox if box.key == "saved_choice"]
    return [option.rpartition(" · ")[0] for option in options[0]] if options else []


def picker(app: AppTest) -> list[str]:
    """Runs that the sidebar offers beside the five examples."""
    return app.selectbox(key="kernelsm_run_picker").options[len(built_in()) :]


def choose(app: AppTest, key: str) -> AppTest:
    app.selectbox(key="saved_choice").set_value(key).run()
    assert not app.exception
    return app


def delete(app: AppTest, key: str) -> AppTest:
    return press(choose(app, key), "Delete it")


def only_project(app: AppTest) -> str:
    """Key of the one project of a session."""
    (key,) = app.session_state["kernelsm_projects"]
    return key


def tables(app: AppTest) -> list[str]:
    return list(app.session_state["kernelsm_tables"])


@pytest.fixture
def worked_on(jobs: list[JobSpec]) -> AppTest:
    """A session that prepared data and a model."""
    return prepare(bring("numbers.csv", small_files.csv()))


# --- a project without outcomes -------------------------------------------------------------------------------------


def test_pages_that_need_outcomes_say_that_they_show_another_run(worked_on: AppTest) -> None:
    for page in ("start", "fit", "explore"):
        turn(worked_on, page)
        assert "numbers has no outcomes yet: this page still shows another run." in texts(worked_on)
        assert any(caption.value.startswith("Planted game · 300 subsets") for caption in worked_on.caption)
        assert "Compute them on Gradients" in [link.label for link in worked_on.get("page_link")]
    turn(worked_on, "data")
    assert "no outcomes yet" not in texts(worked_on)
    worked_on.selectbox(key="kernelsm_run_picker").set_value("digits").run()
    assert project(worked_on) == ""
    turn(worked_on, "explore")
    assert "no outcomes yet" not in texts(worked_on)


def test_subsets_of_a_project_are_drawn_at_random(worked_on: AppTest) -> None:
    turn(worked_on, "subsets")
    assert worked_on.segmented_control(key="view_sampler").options == ["Auto", "Leave-outs", "All", "Random"]
    assert worked_on.segmented_control(key="view_sampler").value == "auto"
    assert "**All 16 subsets** of 4 tasks" in texts(worked_on)
    assert "numbers · 4 tasks · 4 targets · no outcomes yet" in texts(worked_on)
    worked_on.segmented_control(key="view_sampler").set_value("random").run()
    worked_on.segmented_control(key="view_draw").set_value("fixed").run()
    worked_on.slider(key="view_size").set_value(3).run()
    assert not worked_on.exception
    assert "Subsets hold 3 tasks." in texts(worked_on)
    turn(worked_on, "gradients")
    assert "**4 subsets**, r = 3, seed 0. There are no more different ones of 3 tasks to draw" in texts(worked_on)
    # what the last run was asked for is not asked of a project that has no outcomes to start from
    app = open_app("subsets", browser=worked_on, project=project(worked_on), sampler="next", subsets="8")
    assert app.segmented_control(key="view_sampler").value == "random"
    assert "the first subsets are drawn at random" in texts(app)


def test_a_link_opens_the_project_and_an_unknown_one_is_named_and_left_out(worked_on: AppTest) -> None:
    key = project(worked_on)
    app = open_app("gradients", project=key)
    assert project(app) == key
    assert "numbers · 4 tasks · 4 targets · no outcomes yet" in texts(app)
    assert not app.toast
    for wrong in ("0" * 40, "../../etc", "<b>x</b>", key[:-1]):
        app = open_app(project=wrong)
        assert project(app) == ""
        (toast,) = app.toast
        assert f"project={wrong}" in toast.value.replace("\\", "")
        assert "<b>" not in toast.value
        assert any(caption.value.startswith("Handwritten digits") for caption in app.caption)


def test_a_project_whose_files_are_damaged_leaves_the_pages_as_they_were(worked_on: AppTest, own_cache: Path) -> None:
    key = project(worked_on)
    other = bring("numbers.csv", small_files.csv())
    compute(prepare(other))
    sheet = own_cache / "projects" / key / "project.json"
    sheet.write_text(sheet.read_text()[:50])
    for app in (open_app("gradients", project=key, run="planted"), turn(worked_on, "subsets")):
        assert project(app) == ""
        assert any(caption.value.startswith("Planted game") for caption in app.caption)
    for app in (other, open_app("gradients", run=run(other))):
        assert "There are no gradients here: this run is a table of outcomes." in texts(turn(app, "gradients"))
        turn(app, "explore")
    # and what cannot be read can still be deleted
    delete(turn(other, "data"), key)
    assert listed(other) == [f"{picker(other)[0]} · outcomes"]


# --- sessions -------------------------------------------------------------------------------------------------------


def test_two_sessions_never_see_what_the_other_brought(worked_on: AppTest) -> None:
    compute(worked_on)
    turn(worked_on, "data")
    other = bring("theirs.csv", small_files.outcomes_csv(), **OUTCOMES)
    press(other, "Fit it")
    turn(other, "data")
    assert listed(worked_on) == ["numbers · data and model", f"{picker(worked_on)[0]} · outcomes"]
    assert picker(worked_on) == ["numbers: gradex exact, 16 subsets, all there are"]
    assert listed(other) == ["theirs.csv · outcomes"]
    assert picker(other) == ["theirs.csv"]
    fresh = open_app("data")
    assert listed(fresh) == picker(fresh) == []
    assert "What you brought and computed" not in texts(fresh)


def test_what_another_session_brought_too_is_kept_until_the_last_one_deletes_it(jobs: list[JobSpec]) -> None:
    first, second = (prepare(bring("numbers.csv", small_files.csv())) for _ in range(2))
    key = project(first)
    assert project(second) == key
    assert len(jobs) == 2
    # the second has not come back to the page that lists what it brought
    delete(turn(first, "data"), key)
    assert listed(first) == []
    assert PROJECTS.is_here(key)
    second.run()
    assert not second.exception
    compute(second)
    delete(turn(second, "data"), key)
    assert not PROJECTS.is_here(key)

    tables_of = [bring(name, small_files.outcomes_csv(), **OUTCOMES) for name in ("a.csv", "b.csv")]
    (table,) = tables(tables_of[0])
    delete(tables_of[0], table)
    assert TABLES.is_here(table)
    press(tables_of[1], "Explore it")
    assert turn(tables_of[1], "explore").caption[0].value.startswith(r"b\.csv · 12 subsets")
    delete(turn(tables_of[1], "data"), table)
    assert not TABLES.is_here(table)


def test_data_that_its_owner_deletes_is_gone_for_who_saw_it_through_a_link(worked_on: AppTest) -> None:
    key = project(worked_on)
    app = open_app("data", project=key)
    assert listed(app) == ["numbers · data and model, seen"]
    press(turn(app, "data"), "Take off this list")
    assert PROJECTS.is_here(key)
    app = open_app("subsets", project=key)
    delete(turn(worked_on, "data"), key)
    assert not PROJECTS.is_here(key)
    turn(app, "gradients")
    (toast,) = app.toast
    assert toast.value == "numbers is not on this server any more."
    assert project(app) == ""
    assert listed(turn(app, "data")) == []


# --- rename and delete ----------------------------------------------------------------------------------------------


def test_a_new_name_is_shown_everywhere(worked_on: AppTest) -> None:
    compute(worked_on)
    table, key = run(worked_on), only_project(worked_on)
    turn(worked_on, "data")
    for each, title in ((key, "<b>My</b> *data* ضد 😀"), (table, "[table](x)")):
        choose(worked_on, each)
        (button,) = (button for button in worked_on.button if button.key == "saved_rename")
        assert button.disabled
        worked_on.text_input(key=f"saved_title_{each}").set_value(f" {title} ").run()
        press(worked_on, "Rename")
    assert listed(worked_on) == ["<b>My</b> *data* ضد 😀 · data and model", "[table](x) · outcomes"]
    assert picker(worked_on) == ["[table](x)"]
    assert PROJECTS.load(key).title == "<b>My</b> *data* ضد 😀"
    turn(worked_on, "explore")
    assert any(caption.value.startswith(r"\[table\]\(x\) · 16 subsets") for caption in worked_on.caption)
    choose(turn(worked_on, "data"), key)
    worked_on.button(key="saved_open").click().run()
    assert not worked_on.exception
    turn(worked_on, "gradients")
    assert r"\<b\>My\</b\> \*data\* ضد 😀 · 4 tasks" in texts(worked_on)
    turn(worked_on, "explore")
    assert r"\<b\>My\</b\> \*data\* ضد 😀 has no outcomes yet" in texts(worked_on)


def test_a_table_just_uploaded_is_renamed_and_deleted_though_its_file_is_still_chosen() -> None:
    app = bring("mine.csv", small_files.outcomes_csv(), **OUTCOMES)
    (table,) = tables(app)
    app.text_input(key=f"saved_title_{table}").set_value("July").run()
    press(app, "Rename")
    app.run()
    assert listed(app) == ["July · outcomes"]
    press(app, "Delete it")
    assert not TABLES.is_here(table)
    assert tables(app) == []
    assert "Deleted July, " in texts(app)
    app.run()
    assert tables(app) == []
    assert "It was deleted since" in texts(app)
    assert "Deleted July, " not in texts(app)
    app.file_uploader(key="kernelsm_upload").set_value([("mine.csv", small_files.outcomes_csv(), "")]).run()
    assert tables(app) == [table]
    assert TABLES.is_here(table)


def test_deleting_a_project_takes_its_files_and_chunks_and_no_other(worked_on: AppTest, own_cache: Path) -> None:
    compute(worked_on)
    table, key = run(worked_on), only_project(worked_on)
    others = prepare(bring("plants.tsv", small_files.tsv()))
    kept = {entry.path for entry in Store().entries()}
    assert len(kept) > 2
    turn(worked_on, "data")
    delete(worked_on, key)
    assert not (own_cache / "projects" / key).exists()
    left = {entry.path for entry in Store().entries()}
    assert left < kept
    assert left  # W0 of the other session
    assert "Deleted numbers, " in texts(worked_on)
    # the table stays, as one without a model
    assert run(worked_on) == table
    assert listed(worked_on) == [f"{picker(worked_on)[0]} · outcomes"]
    for page in ("start", "gradients", "subsets", "fit", "explore", "data"):
        turn(worked_on, page)
    delete(worked_on, table)
    assert not TABLES.is_here(table)
    assert run(worked_on) == "digits"
    assert "Deleted numbers" in texts(worked_on)
    assert "What you brought and computed" not in texts(worked_on)
    # a link to it opens nothing any more
    app = open_app(run=table)
    assert "The link names a table that is not on this server" in app.toast[0].value.replace("\\", "")
    assert run(app) == "digits"
    assert PROJECTS.is_here(project(others))


# --- session files --------------------------------------------------------------------------------------------------


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


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to go on on another server, which has nothing yet."""

    def move() -> None:
        monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "elsewhere"))
        st.cache_resource.clear()

    return move


def test_a_session_file_restores_view_tables_projects_and_names_elsewhere(
    worked_on: AppTest, written: list[bytes], elsewhere: Callable[[], None]
) -> None:
    compute(worked_on)
    table, key = run(worked_on), only_project(worked_on)
    turn(worked_on, "data")
    worked_on.text_input(key=f"saved_title_{key}").set_value("*Mine* ضد 😀").run()
    press(worked_on, "Rename")
    turn(worked_on, "explore")
    worked_on.pills(key="view_off").set_value([0, 2]).run()
    turn(worked_on, "fit")
    worked_on.segmented_control(key="view_kernel").set_value("rbf").run()
    worked_on.select_slider(key="view_gamma").set_value(0.3).run()
    turn(worked_on, "data")
    press(worked_on, "Write a session file")
    assert not worked_on.error, worked_on.error[0].value
    (button,) = (button for button in worked_on.get("download_button") if button.key == "saved_download")
    assert "KiB)" in button.label
    view = worked_on.session_state["kernelsm_view"]
    assert (view.off, view.gamma, view.run) == ((1, 3), 0.3, table)

    elsewhere()
    assert not TABLES.is_here(table)
    app = open_app("data")
    app.segmented_control(key="kernelsm_bring").set_value("A saved session").run()
    app.file_uploader(key="bring_session").upload("session.zip", written[0]).run()
    assert listed(app) == []
    press(app, "Open this session")
    assert listed(app) == ["*Mine* ضد 😀 · data and model", f"{picker(worked_on)[0]} · outcomes"]
    assert picker(app) == picker(worked_on)
    assert app.session_state["kernelsm_view"] == view
    assert "Restored the view, 1 table of outcomes and 1 project of data and a model." in texts(app)
    assert (TABLES.is_here(table), PROJECTS.is_here(key)) == (True, True)
    for page in ("explore", "fit", "subsets", "gradients"):
        turn(app, page)
        assert any(caption.value.startswith("numbers: gradex".replace(":", r"\:")) for caption in app.caption)
    # what was restored is worked on as it was where it came from
    assert app.select_slider(key="view_pull").value == PROJECTS.load(key).recipe.ridge
    app.button(key="job_start").click().run()
    assert not app.error


def test_a_session_of_a_project_without_outcomes_goes_on_where_it_was(
    worked_on: AppTest, written: list[bytes], elsewhere: Callable[[], None]
) -> None:
    press(turn(worked_on, "data"), "Write a session file")
    elsewhere()
    app = bring("session.zip", written[0], way="A saved session", key="bring_session")
    press(app, "Open this session")
    assert project(app) == project(worked_on)
    compute(turn(app, "gradients"))
    turn(app, "explore")
    assert any(caption.value.startswith(r"numbers\: gradex exact, 16 subsets") for caption in app.caption)


def test_a_file_with_an_odd_or_very_long_name_is_saved_as_well(written: list[bytes]) -> None:
    names = ("x" * 250 + ".csv", "x" * 250 + "y.csv", "one\ntwo\t\u2028three.csv")
    app = open_app("data")
    app.segmented_control(key="kernelsm_bring").set_value("A table of outcomes").run()
    for seed, name in enumerate(names):
        app.file_uploader(key="kernelsm_upload").set_value([(name, small_files.outcomes_csv(seed=seed), "")]).run()
        assert not app.error
    press(app, "Write a session file")
    assert not app.error
    with zipfile.ZipFile(io.BytesIO(written[0])) as archive:
        titles = json.loads(archive.read("session.json"))["titles"]
    assert sorted(titles) == sorted(tables(app))
    assert len(set(titles.values())) == 3
    assert titles[tables(app)[2]] == "one two  three.csv"


def with_entry(data: bytes, name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
        if name not in old.namelist():
            new.writestr(name, content)
    return sink.getvalue()


def test_wrong_session_files_are_refused_in_words_and_take_nothing(written: list[bytes]) -> None:
    app = bring("mine.csv", small_files.outcomes_csv(), **OUTCOMES)
    press(app, "Write a session file")
    (table,) = tables(app)
    app.segmented_control(key="kernelsm_bring").set_value("A saved session").run()
    fine = written[0]
    description = {"version": 1, "view": {}, "titles": {table: "x"}, "pinned": []}
    for data, said in (
        (b"", ("session.zip", "0 bytes")),
        (small_files.dataset(), ("session.json", "no such entry", "a session file")),
        (fine[:-60], ("session.zip", "Found", "expected")),
        (with_entry(fine, "session.json", b"["), ("session.json", "no JSON", "the description of a session")),
        (with_entry(fine, "session.json", json.dumps({**description, "version": 9}).encode()), ("version 9",)),
        (with_entry(fine, "run.py", b"1"), ("run.py", "an entry that no session has", "Remove it")),
        (with_entry(fine, f"runs/{table}.parquet", small_files.outcomes_parquet(1)), ("of the hash", "damaged")),
    ):
        app.file_uploader(key="bring_session").upload("session.zip", data).run()
        press(app, "Open this session")
        (error,) = app.error
        message = error.value.replace("\\", "")
        assert all(part in message for part in said), message
        assert "Nothing else changed" in texts(app)
        assert listed(app) == ["mine.csv · outcomes"]
    app.file_uploader(key="bring_session").upload("session.zip", fine).run()
    press(app, "Open this session")
    assert not app.error
