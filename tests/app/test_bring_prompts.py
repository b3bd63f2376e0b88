"""Bring demonstrations for a prompt: files, template, model, check; what is wrong is said and nothing is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_files
import streamlit as st
from app_harness import ROOT, open_app, press, texts, turn
from small_language_model import save, tiny_model
from streamlit.testing.v1 import AppTest

from kernelsm.app.data import prompt_files, saved_work
from kernelsm.app.demonstrations import model_choice
from kernelsm.examples.movie_reviews.example import movie_reviews
from kernelsm.models import language_model
from kernelsm.pipelines import prompt_check
from kernelsm.prompts.task import LONGEST_TEXT
from kernelsm.prompts.task_files import read_labelled
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.holders import hold, let_go
from kernelsm.workspace.kept import KeptItem
from kernelsm.workspace.prompt_projects import PROMPTS, find_prompts, keep_prompts

pytestmark = pytest.mark.usefixtures("warm_server")
SHOWN = [("a good film", "yes"), ("a bad book", "no"), ("long", "no"), ("good *and* <b>bad</b>", "yes"), ("a", "no")]
ASKED = [("a book", "no"), ("a film", "yes")]
FRESH = [("bad", "no"), ("good", "yes"), ("a long film", "no")]
Rows = list[tuple[str, str]]


def csv(rows: Rows, header: str = "text,label") -> bytes:
    return "\n".join([header, *(f'"{text}","{label}"' for text, label in rows)]).encode()


def drop(app: AppTest, group: str, data: bytes, name: str = "") -> AppTest:
    app.file_uploader(key=f"bring_prompts_{group}").set_value([(name or f"{group}.csv", data, "")]).run()
    assert not app.exception
    return app


def write(app: AppTest, **fields: str) -> AppTest:
    for name, text in fields.items():
        app.text_area(key=f"bring_prompts_{name}").set_value(text).run()
        assert not app.exception
    return app


def page() -> AppTest:
    app = open_app("data", run="planted")
    app.segmented_control(key="kernelsm_bring").set_value("Demonstrations for a prompt").run()
    assert not app.exception
    return app


def page_with_files(shown: Rows = SHOWN, asked: Rows = ASKED, fresh: Rows | None = FRESH, k: int = 2) -> AppTest:
    app = drop(drop(page(), "candidates", csv(shown)), "queries", csv(asked))
    if fresh is not None:
        drop(app, "fresh", csv(fresh))
    app.number_input(key="bring_prompts_k").set_value(k).run()
    assert not app.exception
    return app


def preview(app: AppTest) -> str:
    (code,) = app.main.code
    return str(code.value)


def check(app: AppTest) -> AppTest:
    app.button(key="prompt_check_start").click().run()
    assert not app.exception
    return app


def go_on(app: AppTest) -> str:
    """Go on to the next page, and return the key that the view names there."""
    press(app, "Go on to Demonstrations")
    assert app.title[0].value == "Demonstrations"
    turn(app, "demonstrations")
    return str(app.session_state["kernelsm_view"].prompts)


def said(app: AppTest) -> str:
    """The one error on the page, without marks."""
    (error,) = app.error
    return error.value.replace("\\", "")


def listed(app: AppTest) -> list[str]:
    options = [box.options for box in app.selectbox if box.key == "saved_choice"]
    return [option.rpartition(" · ")[0] for option in options[0]] if options else []


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> language_model.LanguageModel:
    """A tiny model that all sources have."""
    made = tiny_model()
    monkeypatch.setattr(prompt_check, "source_model", lambda source: made)
    return made


# --- from files to the next page ------------------------------------------------------------------------------------


def test_texts_are_brought_seen_checked_and_worked_on(jobs: list[JobSpec], model: object) -> None:
    app = page()
    assert "Movie reviews, until your candidates are there:" in texts(app)
    assert "Drop candidates and queries to go on." in texts(app)
    app.number_input(key="bring_prompts_k").set_value(2).run()
    drop(app, "candidates", csv(SHOWN), "My texts.csv")
    assert preview(app).endswith("Text: (your first query)\nLabel:")
    drop(app, "queries", csv(ASKED))
    assert "1 of the queries, drawn at random, are kept for checking" in texts(app).replace("\\", "")
    assert "5 candidates, 1 query, 1 fresh query. Label words: " in texts(app)
    drop(app, "fresh", csv(FRESH))
    assert "5 candidates, 2 queries, 3 fresh queries. Label words: yes (2), no (3)." in texts(app)
    write(app, instruction="Good?", demonstration="{text} = {label}\n", query="{text} =")
    assert preview(app) == "Good?\n\na good film = yes\na bad book = no\na book ="
    assert "Then the model says how probable it finds yes and no." in texts(app)

    check(app)
    assert not app.error
    assert [spec.work for spec in jobs] == ["kernelsm.pipelines.prompt_check:run"]
    assert "tiny reads these prompts: the longest has" in texts(app)
    assert "of at most 500 tokens" in texts(app)
    assert "asked 2 queries, takes about" in texts(app)
    said = re.search(r"200 subsets, each in (\d) orders, take about", texts(app))
    assert said
    key = go_on(app)
    # what the check advises is what Demonstrations begins with, and it can be changed
    assert app.number_input(key=f"demo_orders_{key}").value == int(said[1])
    app.number_input(key=f"demo_orders_{key}").set_value(1).run()
    assert "in 1 order each" in texts(app)
    found = find_prompts(key)
    assert (found.title, found.model) == ("My texts", "")
    assert 0 < found.pace < 60  # of the tiny model, measured: the job's expected time is made of it
    task = found.task
    groups = [[(one.text, one.label) for one in group] for group in (task.candidates, task.queries, task.fresh)]
    assert groups == [SHOWN, ASKED, FRESH]
    assert (task.k, task.labels, task.template.prompt([], task.queries[0])) == (2, ("yes", "no"), "Good?\n\na book =")
    # a link to it opens it, here alone
    other = open_app("demonstrations", prompts=key)
    assert other.session_state["kernelsm_view"].prompts == key
    assert not other.toast
    gone = open_app(prompts="0" * 40)
    assert gone.session_state["kernelsm_view"].prompts == ""
    assert "prompts=" in gone.toast[0].value.replace("\\", "")


@pytest.mark.parametrize(
    ("advised", "said"),
    [(0, "was not tried"), (2, "with 2 orders of each"), (6, "More than 6 orders of each are not")],
)
def test_it_is_said_why_so_many_orders_are_advised(
    jobs: list[JobSpec], model: object, monkeypatch: pytest.MonkeyPatch, advised: int, said: str
) -> None:
    monkeypatch.setattr(prompt_check, "_orders", lambda *_: advised)
    app = page()
    app.number_input(key="bring_prompts_k").set_value(2).run()
    drop(drop(app, "candidates", csv(SHOWN)), "queries", csv(ASKED))
    check(app)
    assert said in texts(app)
    assert f"each in {advised or 2} orders" in texts(app)


def test_what_is_changed_is_checked_anew_and_found_again_when_changed_back(
    jobs: list[JobSpec], model: object
) -> None:
    app = check(page_with_files(k=1))
    assert "200 subsets, take about" in texts(app)  # one demonstration has one order
    app.number_input(key="bring_prompts_k").set_value(3).run()
    assert "Go on to Demonstrations" not in [button.label for button in app.button]
    app.text_input(key=next(box.key for box in app.text_input if box.label == "Name")).set_value("Mine").run()
    app.number_input(key="bring_prompts_k").set_value(1).run()
    assert find_prompts(go_on(app)).title == "Mine"
    assert len(jobs) == 1


def test_the_templates_are_real_reviews_and_are_read_without_a_word(
    jobs: list[JobSpec], model: language_model.LanguageModel
) -> None:
    model.max_length = 4000  # its tokens are short
    app = page()
    labels = [button.label for button in app.get("download_button")]
    assert labels[:3] == ["candidates.csv", "queries.csv", "fresh.csv"]
    reviews = movie_reviews()
    for group in ("candidates", "queries", "fresh"):
        data = prompt_files._template(group)
        rows = read_labelled(data, f"{group}.csv")
        assert rows == getattr(reviews, group)[: len(rows)]
        assert {row.label for row in rows} == {"positive", "negative"}
        drop(app, group, data)
    assert not app.error
    assert not app.warning
    assert "Go on to Demonstrations" in [button.label for button in check(app).button]


def test_what_was_typed_stays_when_pages_are_turned() -> None:
    app = write(page(), instruction="Judge.", query="{text}?")
    app.number_input(key="bring_prompts_k").set_value(7).run()
    turn(turn(app, "fit"), "data")
    assert app.text_area(key="bring_prompts_instruction").value == "Judge."
    assert app.text_area(key="bring_prompts_query").value == "{text}?"
    assert app.number_input(key="bring_prompts_k").value == 7


def test_a_very_long_prompt_is_cut_in_the_preview_alone() -> None:
    long = "x" * (LONGEST_TEXT - 1)
    app = page_with_files([(long, "yes"), (long + "y", "no")], ASKED)
    assert len(preview(app)) < 7_000
    assert "characters are not shown" in preview(app)
    assert preview(app).endswith("Text: a book\nLabel:")


def test_the_server_draws_it_without_torch_and_calls_the_model_by_its_name() -> None:
    code = "import sys, kernelsm.app.data.prompts, kernelsm.app.data.saved_work; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert model_choice.DEFAULT_MODEL == language_model.DEFAULT_NAME


# --- what is wrong --------------------------------------------------------------------------------------------------

EMPTY_LABEL = [*SHOWN, ("more", "")]
WRONG_FILES: list[tuple[str, bytes, tuple[str, ...]]] = [
    ("candidates", csv(SHOWN[:1]), ("candidates.csv", "Found 1 candidate; expected at least 2")),
    ("candidates", b"id,text\n1,a\n2,b", ("candidates.csv", "no column of answers", "Rename a column")),
    ("candidates", csv(EMPTY_LABEL), ("candidates.csv, row 6, column 'label'", "an empty cell")),
    ("candidates", csv([(text, "yes") for text, _ in SHOWN]), ("1 different label", "2 to 200")),
    ("candidates", b"", ("0 bytes",)),
    ("candidates", b"\x89PNG\x00", ("candidates.csv", "UTF-8")),
    ("candidates", csv([*SHOWN, ("x" * (LONGEST_TEXT + 1), "no")]), ("row 6", "20,001 characters")),
    ("queries", csv([*ASKED, ("more", "maybe")]), ("queries.csv, row 3, column 'label'", "'maybe'", "'yes', 'no'")),
    ("fresh", csv([*FRESH, ("more", "maybe")]), ("fresh.csv, row 4, column 'label'", "'maybe'", "'yes', 'no'")),
    ("fresh", csv(FRESH, "id,label"), ("fresh.csv", "no column of texts")),
]


@pytest.mark.parametrize(("group", "data", "words"), WRONG_FILES)
def test_a_wrong_file_is_refused_at_once_and_nothing_is_lost(group: str, data: bytes, words: tuple[str, ...]) -> None:
    app = write(page_with_files(), instruction="Judge.")
    drop(app, group, data)
    assert all(word in said(app) for word in words), said(app)
    assert "Nothing else changed" in texts(app)
    assert app.text_area(key="bring_prompts_instruction").value == "Judge."
    for other in {"candidates", "queries", "fresh"} - {group}:
        assert app.file_uploader(key=f"bring_prompts_{other}").value is not None
    assert preview(app).startswith("Judge.")
    drop(app, group, csv({"candidates": SHOWN, "queries": ASKED, "fresh": FRESH}[group]))
    assert not app.error
    assert "prompt_check_start" in [button.key for button in app.button]


@pytest.mark.parametrize(("group", "data", "words"), [row for row in WRONG_FILES if "maybe" not in str(row[2])])
def test_a_wrong_file_is_refused_before_the_others_are_there(group: str, data: bytes, words: tuple[str, ...]) -> None:
    app = drop(page(), group, data)
    assert all(word in said(app) for word in words), said(app)


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("query", "Is it good?", ("template, query", "no {text}", "Put {text} where the text goes")),
        ("query", "", ("template, query", "no {text}")),
        ("query", "{text}\n", ("template, query", "a space or new line at its end")),
        ("query", "{text.__class__}", ("template, query", "{text.__class__}")),
        ("demonstration", "{text}", ("template, demonstration", "no {label}")),
        ("demonstration", "{text} {label} {", ("template, demonstration",)),
        ("demonstration", "{text} {label} {name}", ("template, demonstration", "{name}")),
    ],
)
def test_a_wrong_template_is_refused_at_once_and_nothing_is_lost(
    field: str, text: str, words: tuple[str, ...]
) -> None:
    for app in (page(), page_with_files()):
        write(app, instruction="Judge.", **{field: text})
        assert all(word in said(app) for word in words), said(app)
        assert not app.main.code
        assert "prompt_check_start" not in [button.key for button in app.button]
        assert app.text_area(key=f"bring_prompts_{field}").value == text
        write(app, **{field: "{text} is {label}\n\n" if field == "demonstration" else "{text} is"})
        assert not app.error
        assert preview(app).startswith("Judge.\n\n")


def test_more_demonstrations_than_candidates_are_refused() -> None:
    app = page_with_files(k=6)
    assert "Found 6; expected a whole number from 1 to the 5 candidates" in said(app)
    assert app.number_input(key="bring_prompts_k").value == 6
    assert "prompt_check_start" not in [button.key for button in app.button]
    app.number_input(key="bring_prompts_k").set_value(5).run()
    assert not app.error


def test_labels_that_begin_alike_are_fine_where_the_model_tells_them_apart(
    jobs: list[JobSpec], model: object
) -> None:
    rows = [(text, {"yes": "aq", "no": "ar"}[label]) for text, label in SHOWN]
    app = check(page_with_files(rows, rows, None))
    assert not app.error
    assert "The label words aq and ar begin with the same token." in texts(app)
    assert go_on(app)


def test_a_label_whose_tokens_begin_another_one_is_refused_by_name(jobs: list[JobSpec], model: object) -> None:
    rows = [(text, {"yes": "aq", "no": "aqr"}[label]) for text, label in SHOWN]
    # what follows a label makes the one the start of the other, too
    app = check(write(page_with_files(rows, rows, None), demonstration="{text}: {label}r", query="{text}:"))
    assert "'aq', whose tokens are the start of those of 'aqr'" in said(app)
    assert "Go on to Demonstrations" not in [button.label for button in app.button]
    drop(drop(app, "candidates", csv(SHOWN)), "queries", csv(ASKED))
    assert not app.error
    assert "Go on to Demonstrations" in [button.label for button in check(app).button]


def test_a_candidate_longer_than_the_context_window_is_named(jobs: list[JobSpec], model: object) -> None:
    app = check(page_with_files([*SHOWN, ("a bad book " * 300, "no")]))
    assert "candidate 6, 'a bad book a bad book" in said(app)
    assert "at most 500" in said(app)
    assert app.file_uploader(key="bring_prompts_candidates").value is not None


# --- the model ------------------------------------------------------------------------------------------------------


def test_another_model_is_offered_only_where_paths_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = page_with_files()
    assert "start the app on your own computer with `KERNELSM_ALLOW_PATHS=1`" in texts(app)
    assert "bring_prompts_model" not in [box.key for box in app.text_input]
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    app = page_with_files()
    assert app.text_input(key="bring_prompts_model").placeholder == language_model.DEFAULT_NAME
    assert "KERNELSM_ALLOW_PATHS" not in texts(app)


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def classifier(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    small_files.save_hugging_face(folder)


def absent(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (without_tokenizer, "no tokenizer.json"), (classifier, "BertForSequenceClassification"),
        (absent, "no folder"), (None, ""),
    ],
)  # fmt: skip
def test_a_folder_is_taken_where_it_holds_a_language_model(
    damage: Callable[[Path], None] | None, word: str, jobs: list[JobSpec], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    folder = save(tmp_path / "mine")
    if damage:
        damage(folder)
    app = page_with_files()
    app.text_input(key="bring_prompts_model").set_value(f" {folder} ").run()
    check(app)
    if damage:
        assert word in said(app)
        assert app.text_input(key="bring_prompts_model").value == f" {folder} "
        assert "Go on to Demonstrations" not in [button.label for button in app.button]
    else:
        assert "mine reads these prompts" in texts(app)
        assert find_prompts(go_on(app)).model == str(folder)


# --- what was brought -----------------------------------------------------------------------------------------------


@pytest.fixture
def worked_on(jobs: list[JobSpec], model: object) -> AppTest:
    """A session that brought demonstrations, on the page that lists them."""
    app = check(page_with_files())
    go_on(app)
    return turn(app, "data")


def key_of(app: AppTest) -> str:
    (key,) = app.session_state["kernelsm_prompts"]
    return str(key)


def test_it_is_listed_renamed_opened_and_deleted(worked_on: AppTest) -> None:
    key = key_of(worked_on)
    assert listed(worked_on) == ["candidates · demonstrations"]
    worked_on.text_input(key=f"saved_title_{key}").set_value(" *Mine* <b>x</b> ").run()
    press(worked_on, "Rename")
    assert listed(worked_on) == ["*Mine* <b>x</b> · demonstrations"]
    assert find_prompts(key).title == "*Mine* <b>x</b>"
    fresh = open_app("data")
    assert listed(fresh) == []
    worked_on.button(key="saved_open").click().run()
    assert worked_on.title[0].value == "Demonstrations"
    turn(worked_on, "data")
    size = PROMPTS.size(key)
    assert size > 100
    press(worked_on, "Delete it")
    assert not PROMPTS.opens(key)
    assert r"Deleted \*Mine\* \<b\>x\</b\>, " in texts(worked_on)
    assert listed(worked_on) == []
    assert worked_on.session_state["kernelsm_view"].prompts == ""


def test_what_another_session_brought_too_stays_until_the_last_one_deletes_it(worked_on: AppTest) -> None:
    key = key_of(worked_on)
    item = KeptItem(PROMPTS, key)
    hold(item, "0" * 32, "owner")
    press(worked_on, "Delete it")
    assert PROMPTS.opens(key)
    assert listed(worked_on) == []
    other = open_app("data", prompts=key)
    assert listed(other) == ["candidates · demonstrations, seen"]
    assert let_go(item, ["0" * 32]) > 0
    assert not PROMPTS.opens(key)
    other.run()
    assert other.toast[0].value == "candidates is not on this server any more."


def test_what_is_gone_is_missed_without_an_error(worked_on: AppTest, own_cache: Path) -> None:
    key = key_of(worked_on)
    file = own_cache / "prompts" / f"{key}.json"
    file.write_text(file.read_text()[:99])
    worked_on.run()
    assert not worked_on.exception
    assert worked_on.toast[0].value == "candidates is not on this server any more."
    assert listed(worked_on) == []


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Session files that the page offered for download."""
    files: list[bytes] = []
    write_session = saved_work.write_session

    def recorded(*given: Any, **named: Any) -> bytes:
        files.append(write_session(*given, **named))
        return files[-1]

    monkeypatch.setattr(saved_work, "write_session", recorded)
    return files


def test_a_session_file_takes_it_to_another_server(
    worked_on: AppTest, written: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of(worked_on)
    press(worked_on, "Write a session file")
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "elsewhere"))
    st.cache_resource.clear()
    app = open_app("data")
    app.segmented_control(key="kernelsm_bring").set_value("A saved session").run()
    app.file_uploader(key="bring_session").upload("session.zip", written[0]).run()
    press(app, "Open this session")
    assert not app.error
    assert "Demonstrations for a prompt: 1." in texts(app)
    assert listed(app) == ["candidates · demonstrations"]
    assert app.session_state["kernelsm_view"].prompts == key
    assert json.dumps(find_prompts(key).task.to_dict()) == json.dumps(
        find_prompts(key, tmp_path / "cache").task.to_dict()
    )


def test_a_renamed_one_and_its_twin_with_another_model_are_two(worked_on: AppTest) -> None:
    key = key_of(worked_on)
    twin = keep_prompts(replace(find_prompts(key), model="someone/model"))
    assert twin != key
    assert listed(open_app("data", prompts=twin)) == ["candidates · demonstrations, seen"]
    PROMPTS.delete(twin)
    assert (PROMPTS.opens(key), PROMPTS.opens(twin)) == (True, False)
