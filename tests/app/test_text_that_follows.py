"""Texts for a language model through the pages: what is guessed, asked and said."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_harness import as_read, bring, compute, go_on, run, texts, turn
from bring_controls import change, key_of
from small_language_model import network, save
from streamlit.testing.v1 import AppTest

from kernelsm.app.shell.open_runs import open_run
from kernelsm.models.causal_text import language_model
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.requests import ProjectRequest

pytestmark = pytest.mark.usefixtures("warm_server")
# words of other objectives that must stand nowhere on the way
OF_OTHERS = ("accuracy", "logit", "classes", "is right on", "to convergence")


def lines() -> bytes:
    rows = []
    for number in range(48):
        source = ("films", "books", "swapped")[number % 3]
        good = number % 2 == 0
        said = "positive" if good != (source == "swapped") else "negative"
        prompt = f"a {'good' if good else 'bad'} {'book' if source == 'books' else 'film'}"
        rows.append({"prompt": prompt, "completion": f" {said}", "source": source})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def captions(app: AppTest) -> str:
    return as_read("\n".join(str(one.value) for one in app.caption))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[bytes]:
    """A tiny Llama as the zip of its folder."""
    folder, sink = save(tmp_path / "tiny", network(initializer_range=0.1)), io.BytesIO()
    with zipfile.ZipFile(sink, "w") as into:
        for file in folder.iterdir():
            into.write(file, file.name)
    language_model.cache_clear()
    yield sink.getvalue()
    language_model.cache_clear()


def test_what_follows_is_guessed_and_the_packaged_model_is_offered(drawn: list[ProjectRequest]) -> None:
    data = lines()
    app = bring("texts.jsonl", data)
    key = key_of(data)
    assert app.segmented_control(key=f"bring_objective_{key}_completion").value == "next tokens"
    assert "Guessed: text that follows. Its name says that it is what a language model is to write." in captions(app)
    assert app.multiselect(key=f"bring_prompt_{key}").value == ["prompt"]
    assert set(app.segmented_control(key=f"bring_rule_{key}").options) == {"Columns", "Random slices"}
    assert "by label" not in app.selectbox(key=f"bring_target_{key}").options
    asked = drawn[0]
    assert (asked.model.origin, asked.model.training, asked.model.rank) == ("packaged", {}, None)
    assert asked.mapping["objective"] == "next tokens"
    app.select_slider(key="bring_rank").set_value(4).run()
    app.number_input(key="bring_passes").set_value(3).run()
    assert (drawn[0].model.rank, drawn[0].model.training) == (4, {"epochs": 3})
    # a prompt is not needed, and the guess can be overruled
    app.multiselect(key=f"bring_prompt_{key}").set_value([]).run()
    assert drawn[0].mapping["inputs"] == []
    app.segmented_control(key=f"bring_objective_{key}_completion").set_value("classification").run()
    assert not app.exception
    assert "Logistic regression" in app.selectbox(key="bring_architecture_text").options


def test_texts_go_through_all_pages_in_their_own_words(jobs: list[JobSpec], archive: bytes) -> None:
    data = lines()
    app = bring("texts.jsonl", data)
    app.segmented_control(key="bring_language_model").set_value("folder").run()
    assert not any(button.key == "prepare_start" for button in app.button)
    app.file_uploader(key="bring_folder").upload("tiny.zip", archive).run()
    app.button(key="prepare_start").click().run()
    assert not app.error, app.error[0].value
    said = as_read(texts(app))
    assert re.search(r"3 tasks and \d targets?: 36 training and 12 test samples of text that follows", said)
    assert "has a perplexity of" in said
    app = go_on(app)
    said = as_read(texts(app))
    assert "of the margin (log-odds of a text's mean token)" in said
    assert app.segmented_control(key="view_measure").options == ["loss", "perplexity", "margin"]
    assert "Adapted to the tasks" not in app.selectbox(key="view_projection").options
    app = compute(app)
    outcomes = open_run(run(app)).outcomes
    assert outcomes.meta["unit"] == "nats a token"
    for page in ("subsets", "fit", "explore", "decide", "compare"):
        words = as_read(texts(turn(app, page)))
        assert not [word for word in OF_OTHERS if word in words], page
    app = turn(app, "gradients")
    app.segmented_control(key="view_estimator").set_value("retraining").run()
    assert not app.exception
    assert "real fine-tunings of the" in as_read(texts(app))
    assert "by 2 passes over its texts" in as_read(texts(app))


def test_a_column_of_sentences_may_be_text_of_its_own(drawn: list[ProjectRequest]) -> None:
    rows = [{"text": f"This is sentence number {i} of a book.", "source": "ab"[i % 2]} for i in range(60)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    app = change(bring("prose.jsonl", data), data, "label", "text")
    assert app.segmented_control(key=f"bring_objective_{key_of(data)}_text").value == "next tokens"
    assert (drawn[0].mapping["label"], drawn[0].mapping["inputs"]) == ("text", [])
