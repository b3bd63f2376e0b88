"""Texts for prompts as people have them, through the page: columns, label words, free answers, several fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from app_harness import open_app, press, texts, turn
from small_language_model import tiny_model
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.app.shell.open_runs import open_run
from kernelsm.models import language_model
from kernelsm.pipelines import ask_model, askers, prompt_check
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.prompt_projects import find_prompts

pytestmark = pytest.mark.usefixtures("warm_server")
CASES = Path(__file__).parents[1] / "prompts" / "as_people_have_them"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> language_model.LanguageModel:
    """A tiny model that all sources have."""
    made = tiny_model()
    monkeypatch.setattr(prompt_check, "source_model", lambda source: made)
    monkeypatch.setattr(askers, "source_model", lambda source: made)
    monkeypatch.setattr(ask_model, "_likeness", lambda task, store: [0.5] * task.K)  # needs a model of its own
    return made


def page() -> AppTest:
    app = open_app("data", run="planted")
    app.segmented_control(key="kernelsm_bring").set_value("Demonstrations for a prompt").run()
    assert not app.exception
    return app


def drop(app: AppTest, group: str, name: str, data: bytes | None = None) -> AppTest:
    content = (CASES / name).read_bytes() if data is None else data
    app.file_uploader(key=f"bring_prompts_{group}").set_value([(name, content, "")]).run()
    assert not app.exception
    return app


def as_json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows).encode()


def box(app: AppTest, kind: str, start: str) -> Any:
    (found,) = [one for one in app.get(kind) if str(one.key or "").startswith(start)]
    return found


def said(app: AppTest) -> str:
    return texts(app).replace("\\", "")


@pytest.mark.parametrize("name", [path.name for path in sorted(CASES.glob("*")) if path.name.startswith("cand")])
def test_every_file_of_the_support_desk_is_read_at_once(name: str) -> None:
    app = drop(page(), "candidates", name)
    assert not app.error
    assert "24 candidates. Label words: " in said(app)
    answer = box(app, "selectbox", "bring_prompts_answer_candidates").value
    wanted = {"cand_cat.csv": "category", "cand_chat.jsonl": "messages.assistant", "cand_dspy.json": "route"}
    assert answer == wanted.get(name, "label")
    assert "Guessed: " in said(app)


def test_labels_that_differ_in_case_are_merged_unless_one_says_no() -> None:
    app = drop(drop(page(), "candidates", "cand.csv"), "queries", "quer_case.csv")
    assert not app.error
    assert "merged: “Billing” as “billing”, “Technical” as “technical”, " in said(app)
    box(app, "checkbox", "bring_prompts_merge").set_value(False).run()
    assert "'Billing'" in app.error[0].value.replace("\\", "")
    box(app, "checkbox", "bring_prompts_merge").set_value(True).run()
    assert not app.error


def test_numbered_labels_are_given_names() -> None:
    app = drop(page(), "candidates", "hf_int.csv")
    assert "Label words: 0 (8), 1 (8), 2 (8)." in said(app)
    names = box(app, "text_input", "bring_prompts_names")
    names.set_value("0=billing, 1=technical, 2=account").run()
    assert "Label words: billing (8), technical (8), account (8)." in said(app)
    box(app, "text_input", "bring_prompts_names").set_value("0=billing, 0=x").run()
    assert "'0' twice" in app.error[0].value.replace("\\", "")


def test_a_wrong_guess_is_changed() -> None:
    rows = [{"text": "not this", "note": f"this {i}", "label": "same", "verdict": "ab"[i % 2]} for i in range(6)]
    app = drop(page(), "candidates", "c.json", as_json(rows))
    assert "1 different label" in app.error[0].value
    box(app, "selectbox", "bring_prompts_answer_candidates").set_value("verdict").run()
    box(app, "multiselect", "bring_prompts_texts_candidates").set_value(["note"]).run()
    assert not app.error
    assert "Label words: a (3), b (3)." in said(app)
    (code,) = app.main.code
    assert "Text: this 0\nLabel: a" in str(code.value)


def test_a_file_without_a_guess_asks_for_its_columns() -> None:
    rows = [{"id": i, "x": f"some text {i}", "y": f"other text {i}"} for i in range(4)]
    app = drop(page(), "candidates", "c.json", as_json(rows))
    assert "no column of answers" in app.error[0].value
    box(app, "selectbox", "bring_prompts_answer_candidates").set_value("y").run()
    box(app, "multiselect", "bring_prompts_texts_candidates").set_value(["x"]).run()
    assert not app.error


def test_the_system_message_of_a_chat_can_be_the_instruction() -> None:
    app = drop(page(), "candidates", "cand_chat.jsonl")
    app.button(key="bring_prompts_system").click().run()
    (code,) = app.main.code
    assert str(code.value).startswith("Route the ticket.\n\n")


FIELDS = [
    {"question": f"Who wrote {i}?", "context": f"{name} wrote it.", "answer": name, "reasoning": f"It says {name}."}
    for i, name in enumerate(["Ada", "Bob"] * 4)
]


def test_several_fields_get_a_template_that_names_them(jobs: list[JobSpec], model: object) -> None:
    app = drop(drop(page(), "candidates", "c.json", as_json(FIELDS)), "queries", "q.json", as_json(FIELDS[:4]))
    assert not app.error
    app.button(key="bring_prompts_fields").click().run()
    assert app.text_area(key="bring_prompts_query").value == "Question: {question}\nContext: {context}\nAnswer:"
    app.number_input(key="bring_prompts_k").set_value(1).run()
    (code,) = app.main.code
    shown = "Question: Who wrote 0?\nContext: Ada wrote it.\nAnswer: It says Ada. So the answer is Ada.\n\n"
    assert str(code.value).startswith(shown)
    app.text_area(key="bring_prompts_query").set_value("{question}\n{nothing}:").run()
    assert "{nothing}" in app.error[0].value.replace("\\", "")
    app.text_area(key="bring_prompts_query").set_value("{question}\nAnswer:").run()
    app.button(key="prompt_check_start").click().run()
    assert not app.exception
    press(app, "Go on to Demonstrations")
    turn(app, "demonstrations")
    task = find_prompts(str(app.session_state["kernelsm_view"].prompts)).task
    assert task.fields == ("question", "context")
    assert task.template.tail(task.queries[0]).endswith("?\nAnswer:")
    assert task.candidates[1].reasoning == "It says Bob."


SUMS = [{"question": f"What is {i} plus {i + 3}?", "answer": 2 * i + 3} for i in range(12)]


def test_free_answers_are_guessed_shown_and_changed() -> None:
    app = drop(drop(page(), "candidates", "c.json", as_json(SUMS[:8])), "queries", "q.json", as_json(SUMS[8:]))
    assert not app.error
    assert box(app, "segmented_control", "bring_prompts_kind").value == "free"
    assert "All 8 answers are different." in said(app)
    assert "Free answers: right where its last number is that of the reference." in said(app)
    assert "Then the model says how probable it finds the reference, " in said(app)
    box(app, "selectbox", "bring_prompts_rule").set_value("regex").run()
    box(app, "text_input", "bring_prompts_pattern").set_value("(").run()
    assert "rule, pattern" in app.error[0].value.replace("\\", "")
    box(app, "text_input", "bring_prompts_pattern").set_value(r"(\d+)$").run()
    assert not app.error
    box(app, "segmented_control", "bring_prompts_kind").set_value("labels").run()
    assert "expected a label of the candidates" in app.error[0].value


def asked(app: AppTest) -> str:
    """Go on from the check, ask for ten prompts, show the table on all pages, and return the key of the texts."""
    app.button(key="prompt_check_start").click().run()
    assert not app.exception
    assert not app.error
    press(app, "Go on to Demonstrations")
    turn(app, "demonstrations")
    key = str(app.session_state["kernelsm_view"].prompts)
    app.number_input(key="demo_subsets").set_value(10).run()
    app.number_input(key=f"demo_orders_{key}").set_value(1).run()
    press(app, "Ask the model")
    assert not app.exception
    assert not app.error
    press(app, "Show this result on all pages")
    assert not app.exception
    return key


def table(app: AppTest) -> Outcomes:
    return open_run(str(app.session_state["kernelsm_view"].run)).outcomes


@pytest.mark.timeout(600)
def test_a_sheet_of_sums_goes_from_the_files_to_a_table_of_outcomes(jobs: list[JobSpec], model: object) -> None:
    app = drop(drop(page(), "candidates", "c.json", as_json(SUMS[:6])), "queries", "q.json", as_json(SUMS[6:]))
    app.number_input(key="bring_prompts_k").set_value(2).run()
    source = find_prompts(asked(app))
    assert (source.task.labels, source.task.rule) == ((), AnswerRule("number"))
    found = table(app)
    assert (found.masks.shape, found.meta["unit"]) == ((10, 6), "nats per answer")
    assert (found.values > 0).all()
    assert "Guessing among" not in said(app)
    for name in ("fit", "explore", "compare"):
        turn(app, name)
        assert not app.exception, name


@pytest.mark.timeout(600)
def test_77_intents_go_from_the_files_to_a_table_of_outcomes(jobs: list[JobSpec], model: object) -> None:
    header, *rows = (CASES.parent / "intents.csv").read_bytes().splitlines(keepends=True)
    app = drop(page(), "candidates", "intents.csv", header + b"".join(rows[::2]))
    drop(app, "queries", "asked.csv", header + b"".join(rows[1:16:2]))
    assert not app.error
    assert "77 candidates, 4 queries, 4 fresh queries." in said(app)
    assert "and 65 more" in said(app)
    assert box(app, "segmented_control", "bring_prompts_kind").value == "labels"
    app.number_input(key="bring_prompts_k").set_value(2).run()
    source = find_prompts(asked(app))
    assert len(source.task.labels) == 77
    found = table(app)
    assert (found.masks.shape, found.meta["unit"]) == ((10, 77), "nats")
    assert "Guessing among 77 labels" in said(app)
